"""What waits for a session of Socket.IO is bounded, and leaves in portions clients take."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from everysite.web import outbox
from everysite.web.outbox import Outbox

pytestmark = pytest.mark.anyio


@dataclass
class Packet:
    data: str


async def poll(box: Outbox) -> list[Packet]:
    """As the library takes packets: one it waits for, then all there are."""
    found = [await box.get()]
    while True:
        try:
            found.append(box.get_nowait())
        except asyncio.QueueEmpty:
            return found


async def test_a_poll_takes_sixteen_and_loses_none() -> None:
    box = Outbox()
    sent = [Packet(str(n)) for n in range(40)]
    for packet in sent:
        box.put_nowait(packet)
    polls = [await poll(box) for _ in range(3)]
    assert [len(each) for each in polls] == [16, 16, 8]
    assert [packet for each in polls for packet in each] == sent


async def test_room_ends_with_the_number_and_with_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_PACKETS", 3)
    monkeypatch.setattr(outbox, "_BYTES", 100)
    box = Outbox()
    assert box.has_room(Packet("x" * 500)), "an empty one takes anything"
    box.put_nowait(Packet("x" * 60))
    assert box.has_room(Packet("x" * 40)) and not box.has_room(Packet("x" * 41))
    for _ in range(2):
        box.put_nowait(Packet("x"))
    assert not box.has_room(Packet(""))
    await poll(box)
    box.put_nowait(Packet("x" * 60))
    assert box.has_room(Packet("x" * 40)) and not box.has_room(Packet("x" * 41)), "what was taken no longer counts"


async def test_clearing_leaves_it_as_new() -> None:
    box = Outbox()
    box.put_nowait(Packet("x"))
    box.clear()
    assert box.empty()
    await box.join()
    box.put_nowait(None)
    assert await box.get() is None
