from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.errors import PathRefused
from everysite.model.path import below, canonical, check_id, is_package, key_of, name, name_in, to_bytes, to_text

# Bytes that like to go wrong: valid UTF-8, lone continuation bytes, and the private characters the text form itself uses.
pieces = st.one_of(
    st.binary(max_size=4),
    st.text(max_size=4).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(
        [b"\xee\xbe\x80", b"\xee\xbf\xbf", b"\xee\xbe", b"\xee", b"\xed\xa0\x80", "\uef7f\uf000".encode(), b"\n"]
    ),
)
raws = st.lists(pieces, max_size=5).map(b"".join)
texts = st.text(
    st.one_of(st.characters(codec="utf-8"), st.characters(min_codepoint=0xEF00, max_codepoint=0xF010)), max_size=8
)


@given(raws)
def test_every_byte_name_survives_its_text_form(raw: bytes) -> None:
    text = to_text(raw)
    assert to_bytes(text) == raw
    text.encode()  # no surrogates: it is JSON
    assert canonical(text) == text


@given(raws, raws)
def test_two_names_never_share_a_text(one: bytes, other: bytes) -> None:
    assert (to_text(one) == to_text(other)) == (one == other)


@given(texts)
def test_every_text_names_one_byte_string(text: str) -> None:
    assert to_bytes(canonical(text)) == to_bytes(text)
    assert canonical(canonical(text)) == canonical(text)


def test_ordinary_names_are_their_utf8_reading() -> None:
    assert to_text("/né/雪".encode()) == "/né/雪"
    assert to_text(b"caf\xe9") == "caf\uefe9"


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(PathRefused, match="Unicode"):
        to_bytes("\ud800")
    with pytest.raises(PathRefused, match="Unicode"):
        check_id("/\udc80/\uef80")


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "empty"),
        (b"a\0b", "NUL"),
        (b"/a", "absolute"),
        (b"..", "'..'"),
        (b"a/../b", "'..'"),
        (b"./a", "'.'"),
        (b"a//b", "two slashes"),
        (b"a/", "two slashes"),
        (b"a" * 256, "at most 255"),
        (b"a/" * 1930 + b"a", "longer than"),
    ],
)
def test_names_that_lead_nowhere_or_outside_are_refused(raw: bytes, word: str) -> None:
    with pytest.raises(PathRefused, match=word):
        name(raw)


@pytest.mark.parametrize("raw", [b"a", b"...", b"..a/b..", b" ", b"\n", b"\xff", b"a" * 255, b"-rf", b"~"])
def test_strange_names_are_names(raw: bytes) -> None:
    assert name(raw) == raw


@given(raws)
def test_a_name_stays_inside_its_root(raw: bytes) -> None:
    try:
        parts = name(raw).split(b"/")
    except PathRefused:
        return
    depth = 0
    for part in parts:
        depth += {b"..": -1, b".": 0, b"": 0}.get(part, 1)
        assert depth > 0


@pytest.mark.parametrize(
    "key", ["", "/", "a", "a/b", "//", "//a", "/a//", "/a/./b", "/..", "/a/../b", "/a\0", "/" + "x" * 256]
)
def test_what_is_no_path_is_refused(key: str) -> None:
    with pytest.raises(PathRefused):
        check_id(key)


@given(raws, st.booleans(), st.sampled_from(["/", "/shots/", "/a/b/"]))
def test_a_name_becomes_an_id_and_comes_back(raw: bytes, package: bool, prefix: str) -> None:
    try:
        found = name(raw)
    except PathRefused:
        return
    key = key_of(found, prefix, package)
    assert check_id(key) == key
    assert is_package(key) is package
    assert below(key, prefix)
    assert name_in(key, prefix) == raw


def test_a_prefix_is_not_below_itself_and_neighbours_are_apart() -> None:
    assert not below("/a/", "/a/")
    assert not below("/ab", "/a/")
    with pytest.raises(PathRefused, match="not below"):
        name_in("/ab/c", "/a/")
    with pytest.raises(PathRefused):
        name_in("/a/../../etc", "/a/")
