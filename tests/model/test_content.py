"""A content that is none is refused at the door, before any verb sees it."""

from __future__ import annotations

import msgspec
import pytest

from everysite.model.element import Content

GOOD = {"size": 1, "mtime_ns": 2, "mode": 0o644, "digest": "A" * 42 + "I="}


def decode(**change: object) -> Content:
    return msgspec.json.decode(msgspec.json.encode(GOOD | change), type=Content)


def test_a_whole_one_passes() -> None:
    assert len(decode().digest) == 32


@pytest.mark.parametrize(
    "change",
    [{"size": -1}, {"size": 2**63}, {"mtime_ns": 2**63}, {"mode": 0o10000}, {"digest": ""}, {"digest": "AAAA"}],
)
def test_what_is_none_is_named(change: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(change))):
        decode(**change)
