"""What a regular expression says in plain words is true of every text it is found in."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everysite.decide.query_regex import finder
from everysite.errors import BadRequest
from everysite.index.patterns import literal_start, needed_text, plain_text

pieces = st.sampled_from(
    (
        *"ab1.^$*+?|()[]{}\\/ ",
        r"\.",
        r"\d",
        r"\x61",
        r"\b",
        "a{2}",
        "[ab]",
        "(?:a)",
        r"\/",
        r"\Qa",
        r"\pL",
        r"\u0061",
        "é",
        "-",
    )
)
texts = st.text(st.sampled_from("ab1. /A-é\n"), max_size=8)


@given(st.lists(pieces, max_size=6).map("".join), st.sampled_from(("", "i", "m", "s", "x", "im")), texts)
@example("^a.b", "", "a.b")
@example(r"\x61b", "", "ab")
@settings(max_examples=3000, deadline=None)
def test_a_match_holds_the_plain_words(pattern: str, flags: str, text: str) -> None:
    try:
        found = finder(pattern, flags)(text)
    except BadRequest:
        return
    plain = plain_text(pattern, flags)
    assert plain is None or (plain in text) == found
    if found:
        assert text.startswith(literal_start(pattern, flags))
        assert needed_text(pattern, flags) in text


@pytest.mark.parametrize(
    ("pattern", "start", "needed"),
    [
        ("^/show/.*beauty.*", "/show/", "beauty"),
        (r"\.exr$", "", ".exr"),
        ("ab+c", "", "c"),
        ("abc?def", "", "def"),
        ("a|bcd", "", ""),
        ("x[abc]defg", "", "x"),
        (r"\x61bcd", "", ""),
    ],
)
def test_plain_words_are_seen(pattern: str, start: str, needed: str) -> None:
    assert (literal_start(pattern, ""), needed_text(pattern, "")) == (start, needed)
