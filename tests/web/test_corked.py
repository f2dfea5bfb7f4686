"""Head and body in one write, and nothing lost or late."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from everysite.web.corked import _LARGE, _Corked

pytestmark = pytest.mark.anyio


class Recorder:
    """A transport that remembers what was sent, and how often."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_extra_info(self, name: str) -> Any:
        return name


def corked() -> tuple[_Corked, Recorder]:
    under = Recorder()
    return _Corked(cast(asyncio.Transport, under), asyncio.get_running_loop()), under


async def test_head_and_body_leave_together() -> None:
    transport, under = corked()
    transport.write(b"head ")
    transport.write(b"body")
    assert under.sent == [b"head body"]
    await asyncio.sleep(0)
    assert under.sent == [b"head body"]


async def test_a_head_alone_leaves_with_the_turn() -> None:
    transport, under = corked()
    transport.write(b"head")
    assert under.sent == []
    await asyncio.sleep(0)
    assert under.sent == [b"head"]


async def test_a_large_body_is_not_copied() -> None:
    transport, under = corked()
    transport.write(b"head")
    transport.write(bytes(_LARGE + 1))
    assert [len(data) for data in under.sent] == [4, _LARGE + 1]


async def test_nothing_is_lost_by_a_close_and_nothing_is_written_after_an_abort() -> None:
    transport, under = corked()
    transport.write(b"head")
    transport.close()
    assert under.sent == [b"head"]
    transport, under = corked()
    transport.write(b"head")
    transport.abort()
    await asyncio.sleep(0)
    assert under.sent == []
    assert transport.get_extra_info("peername") == "peername"
