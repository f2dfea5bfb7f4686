"""Whatever bytes come in: a value, or an error that says what is wrong with them."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.errors import BadRequest
from everysite.tracker.agent_messages import Claim, Settle
from everysite.web import bodies

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text("abc_#.", min_size=1, max_size=4)
trees = st.dictionaries(names, st.recursive(texts, lambda inner: st.dictionaries(names, inner, min_size=1)), max_size=4)
broken = st.binary() | st.lists(st.sampled_from([b"a", b"[", b"]", b"=", b"&", b"%", b"[]", b"+"])).map(b"".join)


@given(broken)
def test_no_bytes_are_too_odd_for_a_form(raw: bytes) -> None:
    with contextlib.suppress(BadRequest):
        msgspec.json.encode(bodies.form(raw))


@given(broken | st.sampled_from([b"{}", b'{"mapping":1e99}', b"[" * 5000, b'{"a":' * 5000, b'"\\ud800\\udc00"']))
def test_no_bytes_are_too_odd_for_json(raw: bytes) -> None:
    for kind in (Any, Claim, Settle):
        with contextlib.suppress(BadRequest):
            msgspec.json.encode(bodies.from_json(msgspec.json.Decoder(kind).decode, raw))


@given(trees)
def test_a_form_keeps_nested_keys(tree: dict[str, Any]) -> None:
    assert bodies.form("&".join(_pairs(tree)).encode()) == tree


def _pairs(tree: dict[str, Any], above: str = "") -> list[str]:
    pairs: list[str] = []
    for name, value in tree.items():
        key = f"{above}[{name}]" if above else name
        pairs += _pairs(value, key) if isinstance(value, dict) else [f"{quote(key)}={quote(value)}"]
    return pairs


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**30])
def test_numbers_that_fit_nowhere_are_refused(number: int) -> None:
    decode = msgspec.json.Decoder().decode
    with pytest.raises(BadRequest, match="64 bits"):
        bodies.from_json(decode, msgspec.json.encode({"a": [{"b": number}]}))
    assert bodies.from_json(decode, b'{"a": "9999999999999999999999"}') == {"a": "9999999999999999999999"}
    assert bodies.from_json(decode, str((1 << 63) - 1).encode()) == (1 << 63) - 1
