"""Bytes through the tracker: whole, bounded in memory, and ended on both sides when one goes."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator

import pytest
from tests.web.stub import Stub
from tests.web.wire import ask, until

from everysite.client import Client, connection
from everysite.errors import EverysiteError, Forbidden, NotFound, SiteUnreachable, SourceChanged, Transient
from everysite.tracker import agent_messages, relay
from everysite.tracker import contract as ops
from everysite.web.server import Running

pytestmark = pytest.mark.anyio
FETCH = agent_messages.Fetch("paris", [agent_messages.WantedFile("/a")])
PIECE = bytes(range(256)) * 1024


@pytest.fixture
async def rome(server: Running) -> AsyncIterator[Client]:
    async with Client(f"http://127.0.0.1:{server.port}", "t-rome") as client:
        yield client


@pytest.fixture
async def paris(server: Running) -> AsyncIterator[Client]:
    async with Client(f"http://127.0.0.1:{server.port}", "t-paris") as client:
        yield client


async def pieces(count: int, sent: list[int] | None = None) -> AsyncIterator[bytes]:
    for _ in range(count):
        if sent is not None:
            sent[0] += len(PIECE)
        yield PIECE


async def test_bytes_arrive_as_they_were_sent(rome: Client, paris: Client) -> None:
    async def source() -> None:
        wanted = await paris.call(ops.SERVE, agent_messages.Serve("paris", 5000))
        assert wanted.files == FETCH.files
        await paris.send(wanted.id, pieces(40))

    sending = asyncio.create_task(source())
    got = b"".join([chunk async for chunk in rome.fetch(FETCH)])
    await sending
    assert got == PIECE * 40


async def test_a_long_upload_is_not_taken_for_silence(
    rome: Client, paris: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SILENCE", 0.5)

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield PIECE
            await asyncio.sleep(0.15)

    async def source() -> None:
        await paris.send((await paris.call(ops.SERVE, agent_messages.Serve("paris", 5000))).id, slow())

    sending = asyncio.create_task(source())
    assert b"".join([chunk async for chunk in rome.fetch(FETCH)]) == PIECE * 8
    await sending


async def test_a_stream_that_falls_silent_is_given_up(
    rome: Client, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SILENCE", 0.3)
    with pytest.raises(SiteUnreachable, match="no answer in time"):
        [chunk async for chunk in rome.fetch(FETCH)]
    await until(lambda: not stub.broker._open)


async def test_an_empty_stream_is_whole_too(rome: Client, paris: Client) -> None:
    async def source() -> None:
        await paris.send((await paris.call(ops.SERVE, agent_messages.Serve("paris", 5000))).id, pieces(0))

    sending = asyncio.create_task(source())
    assert [chunk async for chunk in rome.fetch(FETCH)] == []
    await sending


async def test_a_slow_reader_holds_the_source_back(rome: Client, paris: Client) -> None:
    total, sent = 400, [0]  # 100 MB, of which buffers may hold a part

    async def source() -> None:
        await paris.send((await paris.call(ops.SERVE, agent_messages.Serve("paris", 5000))).id, pieces(total, sent))

    sending = asyncio.create_task(source())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stream = rome.fetch(FETCH)
    got = len(await anext(stream))
    held = -1
    while held != sent[0]:
        held = sent[0]
        await asyncio.sleep(0.3)
    assert held < 40 << 20, "the source must wait"
    async for chunk in stream:
        got += len(chunk)
    await sending
    assert got == total * len(PIECE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 90 << 10  # KB


async def test_a_reader_that_goes_ends_the_source(rome: Client, paris: Client, stub: Stub) -> None:
    ended: list[BaseException] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield PIECE
            await asyncio.sleep(0)

    async def source() -> None:
        try:
            await paris.send((await paris.call(ops.SERVE, agent_messages.Serve("paris", 5000))).id, endless())
        except EverysiteError as err:
            ended.append(err)

    sending = asyncio.create_task(source())
    stream = rome.fetch(FETCH)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(sending, 10)
    assert isinstance(ended[0], Transient)
    assert not stub.broker._open


async def test_a_reader_that_goes_ends_a_source_that_says_nothing(rome: Client, paris: Client, stub: Stub) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield PIECE
        await asyncio.sleep(60)

    async def source() -> None:
        await paris.send((await paris.call(ops.SERVE, agent_messages.Serve("paris", 5000))).id, stuck())

    sending = asyncio.create_task(source())
    stream = rome.fetch(FETCH)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    with pytest.raises(Transient):
        await asyncio.wait_for(sending, 10)
    assert not stub.broker._open


async def test_a_source_that_goes_ends_the_reader(rome: Client, server: Running) -> None:
    async def source() -> None:
        async with Client(f"http://127.0.0.1:{server.port}", "t-paris") as paris:
            id = (await paris.call(ops.SERVE, agent_messages.Serve("paris", 5000))).id
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = f"PUT /api/agent/relay/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: B t-paris\r\nContent-Length: 999999\r\n\r\n"
        writer.write(head.encode() + b"some")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()

    sending = asyncio.create_task(source())
    with pytest.raises(Transient, match="broke off"):
        [chunk async for chunk in rome.fetch(FETCH)]
    await sending


async def test_errors_before_the_first_byte_keep_their_class(
    rome: Client, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_PICK_UP", 0.05)
    with pytest.raises(SiteUnreachable, match="paris: its agent did not begin"):
        [chunk async for chunk in rome.fetch(FETCH)]
    with pytest.raises(NotFound, match="there is no site 'oslo'"):
        [chunk async for chunk in rome.fetch(agent_messages.Fetch("oslo", []))]
    monkeypatch.setattr(relay, "_PICK_UP", 5)
    reading = asyncio.ensure_future(anext(rome.fetch(FETCH)))
    await until(lambda: bool(stub.broker._open))
    [exchange] = stub.broker._open.values()
    await exchange.close(SourceChanged("/a changed"))
    with pytest.raises(SourceChanged, match="/a changed"):
        await reading


async def test_who_may_move_bytes(server: Running, rome: Client, stub: Stub) -> None:
    async with Client(f"http://127.0.0.1:{server.port}", "t-user") as user:
        with pytest.raises(Forbidden):
            await anext(user.fetch(FETCH))
    exchange = await stub.broker.open("paris", [])
    with pytest.raises(Forbidden):
        await rome.send(exchange.id, pieces(1))
    with pytest.raises(NotFound):
        await rome.send("nonsense", pieces(0))
    assert (await ask(server.port, "PUT", f"/api/agent/relay/{exchange.id}", b"x")).status == 401
    assert (await ask(server.port, "POST", ops.FETCH_PATH, {"site": 1}, "t-rome")).status == 400
    assert (await ask(server.port, "POST", ops.FETCH_PATH, b"{", "t-rome")).status == 400
