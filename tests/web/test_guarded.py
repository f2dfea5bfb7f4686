"""Requests without an end: heads that grow, connections that fall silent, bodies after the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.web.stub import Stub
from tests.web.wire import ask, read_answer

from everysite.web import guarded
from everysite.web.app import create_app
from everysite.web.server import Running, serve

pytestmark = pytest.mark.anyio
BODY = b"POST /api/read HTTP/1.1\r\nHost: x\r\nAuthorization: B t-admin\r\nContent-Length: 900000\r\n\r\n"


@pytest.fixture
async def server(stub: Stub) -> AsyncIterator[Running]:
    running = await serve(create_app(stub), "127.0.0.1", 0)
    yield running
    await running.stop()


async def flooded(port: int, first: bytes, again: bytes) -> None:
    """Send one thing without end; return when the server has put an end to it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(first)
        for _ in range(1000):
            writer.write(again)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()
    raise AssertionError("it was let send for ever")


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"GET / HTTP/1.1\r\n", b"X-One: %s\r\n" % (b"a" * 100) * 1000),
        (b"GET / HTTP/1.1\r\nX-One: ", b"a" * 100_000),
        (b"GET /", b"a" * 100_000),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
            b"X-One: %s\r\n" % (b"a" * 100) * 1000,
        ),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 100_000),
    ],
    ids=["many", "long", "address", "trailers", "extension"],
)
async def test_a_head_without_an_end_is_cut_off(server: Running, first: bytes, again: bytes) -> None:
    await flooded(server.port, first, again)
    assert (await ask(server.port, "GET", "/api/health")).status == 200


async def test_a_head_that_is_too_large_is_told_so(server: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /" + b"a" * (guarded._HEAD + 1))
    answer = await read_answer(reader)
    assert (answer.status, b"in the body of a POST" in answer.body) == (431, True)
    writer.close()


async def test_a_large_head_is_read(server: Running) -> None:
    headers = {"X-Large": "a" * 60_000, "X-Larger": "b" * 60_000}
    assert (await ask(server.port, "GET", "/api/health", headers=headers)).status == 200


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", BODY, BODY + b"[", b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\nGET"]
)
async def test_whoever_falls_silent_is_let_go(server: Running, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(guarded, "_HEAD_S", 0.1)
    monkeypatch.setattr(guarded, "_SILENCE_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        if sent.endswith(b"GET"):
            assert (await read_answer(reader)).status == 200
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_a_slow_head_has_a_minute_and_no_more(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "_HEAD_S", 0.2)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with pytest.raises(ConnectionError):
        for byte in b"GET /" + b"a" * 10_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)
    writer.close()


async def test_a_body_that_goes_on_after_its_answer_is_cut_off(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "_WASTE", 1 << 20)
    endless = b"POST /api/signIn HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    await flooded(server.port, endless, b"10000\r\n" + b"a" * 0x10000 + b"\r\n")


async def test_who_waits_for_an_answer_is_not_silent(
    server: Running, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "_HEAD_S", 0.05)
    monkeypatch.setattr(guarded, "_SILENCE_S", 0.05)
    body = b'{"mapping": 1, "epoch": 1, "wait_ms": 400}'
    head = b"POST /api/agent/claim HTTP/1.1\r\nHost: x\r\nAuthorization: B t-paris\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head + body)
    assert (await read_answer(reader)).status == 200
    writer.close()
