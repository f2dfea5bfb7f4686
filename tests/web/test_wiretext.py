"""Percent-encoding: once, and again only where a client did it twice."""

from __future__ import annotations

import pytest

from everysite.web.wiretext import decoded, decoded_again


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("plain", "plain"),
        ("%", "%"),
        ("100%", "100%"),
        ("100%25", "100%"),
        ("%41 %zz", "%41 %zz"),
        ("%C3%A9", "é"),
        ("é%20", "é "),
        ("%FF", "%FF"),
        ("%00", "%00"),
        ("%2525", "%25"),
        ("a%0Ab", "a\nb"),
        ("", ""),
    ],
)
def test_what_was_encoded_twice_is_decoded_twice(text: str, meant: str) -> None:
    assert decoded_again(text) == meant


def test_bytes_are_decoded_once() -> None:
    assert decoded(b"%2541") == "%41"
    assert decoded(b"%") == "%"
