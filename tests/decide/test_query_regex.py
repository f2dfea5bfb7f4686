from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.decide.query_regex import LONGEST, finder, read_flags
from everysite.errors import BadRequest


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "found"),
    [
        ("b", "", "abc", True),  # anywhere
        ("^b", "", "abc", False),
        ("c$", "", "abc", True),
        ("c$", "", "abc\n", False),  # the end of the text, as in JavaScript
        ("^b$", "", "a\nb\nc", False),
        ("^b$", "m", "a\nb\nc", True),
        ("a.c", "", "a\nc", False),
        ("a.c", "s", "a\nc", True),
        ("ABC", "", "abc", False),
        ("ABC", "i", "abc", True),
        ("É", "i", "é", True),
        (" a  b # a remark\n", "x", "ab", True),
        (r"a\ b[ #]", "x", "a b#", True),
        (r"[] ]", "x", "]", True),
        (r"a\/b", "", "a/b", True),
        (r"\u00e9", "", "é", True),
        (r"\u{1F600}", "", "😀", True),
        (r"\\u00e9", "", "\\u00e9", True),  # the backslash itself is escaped
        (r"a\_b\é", "", "a_bé", True),
        (r"(?<year>\d{4})-(?:\d\d)", "", "on 2026-11", True),
        ("", "", "", True),
        (r"^.$", "", "😀", True),
        ("a{", "", "a{", True),
        ("x*", "gdvyu", "", True),
    ],
)
def test_patterns_mean_what_they_mean_in_javascript(pattern: str, flags: str, text: str, found: bool) -> None:
    assert finder(pattern, flags)(text) is found


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "missing"),
        ("*", "no argument for repetition"),
        ("[^]", "missing ]"),
        ("[z-a]", "range"),
        ("(?=a)", "look-around and backreferences are not offered"),
        ("(?!a)", "look-around and backreferences are not offered"),
        ("(?<=a)", "not offered"),
        ("(?<!a)", "not offered"),
        (r"(a)\1", "not offered"),
        (r"(?<n>a)\k<n>", "not offered"),
        (r"((a{100}){100}){100}", "repetition size"),
        (r"\pL{300}", "too large"),  # not for RE2 as it comes: it would take 8 MiB
        ("a" * (LONGEST + 1), f"longer than {LONGEST}"),
        ("\ud800", "surrogates"),
    ],
)
def test_what_cannot_be_used_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(said)):
        finder(pattern)


def test_flags() -> None:
    assert read_flags("ygsimx") == "imsx"
    assert read_flags("") == ""
    with pytest.raises(BadRequest, match="'z' is no flag"):
        read_flags("iz")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*(.*)*x", "(?:a?){50}a{50}$"])
def test_patterns_that_run_for_years_elsewhere_end_at_once(pattern: str) -> None:
    assert finder(pattern)("a" * 100_000 + "!") is False


@given(st.text(st.sampled_from("ab.^*+?|()"), max_size=8), st.text(st.sampled_from("ab\né"), max_size=8))
def test_plain_patterns_find_what_python_finds(pattern: str, text: str) -> None:
    try:
        ours, theirs = finder(pattern), re.compile(pattern)
    except (BadRequest, re.error):
        return  # one of them refuses it: possessive repetition, look-around
    assert ours(text) is (theirs.search(text) is not None)


@given(st.text(), st.sampled_from(["", "i", "m", "s", "x", "imsx"]))
def test_any_pattern_is_read_or_refused(pattern: str, flags: str) -> None:
    try:
        found = finder(pattern, flags)
    except BadRequest:
        return
    assert found("some text") in (True, False)
