"""Bytes through the tracker: order, back-pressure, and both ends going away."""

from __future__ import annotations

import asyncio

import pytest

from everysite.errors import Cancelled, NotFound, SiteUnreachable
from everysite.tracker import relay
from everysite.tracker.agent_messages import WantedFile
from everysite.tracker.relay import Broker

pytestmark = pytest.mark.anyio
FILES = [WantedFile("/a")]


async def test_chunks_arrive_in_order() -> None:
    broker = Broker()
    exchange = await broker.open("paris", FILES)
    wanted = await broker.next("paris", 1000)
    assert (wanted.id, wanted.files) == (exchange.id, FILES)

    async def send() -> None:
        sending = broker.exchange(wanted.id)
        for n in range(100):
            await sending.put(bytes([n]))
        await sending.close()

    sender = asyncio.create_task(send())
    assert b"".join([c async for c in exchange]) == bytes(range(100))
    await sender
    await broker.finish(exchange)
    with pytest.raises(NotFound):
        broker.exchange(exchange.id)


async def test_a_slow_reader_holds_the_sender_back() -> None:
    broker = Broker()
    exchange = await broker.open("paris", FILES)
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(64):
            await exchange.put(bytes(1 << 20))
            sent += 1
        await exchange.close()

    sender = asyncio.create_task(send())
    await asyncio.sleep(0.05)
    assert sent <= 5
    assert sum([len(c) async for c in exchange]) == 64 << 20
    await sender


async def test_a_reader_that_goes_ends_the_sender() -> None:
    broker = Broker()
    exchange = await broker.open("paris", FILES)
    await exchange.put(bytes(8 << 20))
    sender = asyncio.create_task(exchange.put(b"more"))
    await asyncio.sleep(0)
    await broker.finish(exchange)
    with pytest.raises(Cancelled):
        await sender


async def test_a_sender_that_fails_tells_the_reader() -> None:
    broker = Broker()
    exchange = await broker.open("paris", FILES)
    await exchange.put(b"begin")
    await exchange.close(SiteUnreachable("paris: gone"))
    got = []
    with pytest.raises(SiteUnreachable, match="paris: gone"):
        async for chunk in exchange:
            got.append(chunk)
    assert got == [b"begin"]


async def test_nobody_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_PICK_UP", 0.05)
    exchange = await Broker().open("paris", FILES)
    with pytest.raises(SiteUnreachable, match="paris"):
        async for _ in exchange:
            pass


async def test_two_servers_get_one_request_each() -> None:
    broker = Broker()
    first, second = (asyncio.create_task(broker.next("paris", 2000)) for _ in range(2))
    await asyncio.sleep(0)
    opened = {(await broker.open("paris", FILES)).id for _ in range(2)}
    assert {(await first).id, (await second).id} == opened
    assert (await broker.next("paris", 1)).id == ""
