"""Starting and stopping: taken ports, long polls, clients that hang up or read nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tests.web.stub import Stub
from tests.web.wire import ask, read_answer, until

from everysite.client import Client
from everysite.errors import Conflict, EverysiteError, Transient, Unreadable
from everysite.tracker import agent_messages
from everysite.tracker.agent_messages import Claim
from everysite.tracker.contract import CLAIM
from everysite.web.app import create_app
from everysite.web.options import Options
from everysite.web.server import Running, serve

pytestmark = pytest.mark.anyio
CLAIM_BODY = b'{"mapping": 1, "epoch": 1, "wait_ms": 90000}'
CLAIM_RAW = b"POST /api/agent/claim HTTP/1.1\r\nHost: x\r\nAuthorization: B t-paris\r\nContent-Length: %d\r\n\r\n%s" % (
    len(CLAIM_BODY),
    CLAIM_BODY,
)


async def polls(stub: Stub, count: int) -> None:
    await until(lambda: stub.polls == count)


async def test_fifty_long_polls_end_at_once_with_the_server(stub: Stub) -> None:
    server = await serve(create_app(stub), "127.0.0.1", 0)
    async with Client(f"http://127.0.0.1:{server.port}", "t-paris") as client:
        waiting = [asyncio.create_task(client.call(CLAIM, Claim(1, 1, wait_ms=90_000))) for _ in range(50)]
        await polls(stub, 50)
        async with asyncio.timeout(5):
            await server.stop()
        said = await asyncio.gather(*waiting, return_exceptions=True)
    assert {(type(error), str(error)) for error in said if isinstance(error, EverysiteError)} == {
        (Transient, "the tracker is stopping; ask again when it is back")
    }
    assert len(said) == 50
    assert stub.polls == 0


async def test_a_client_that_hangs_up_ends_its_poll(server: Running, stub: Stub) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(CLAIM_RAW)
    await polls(stub, 1)
    writer.close()
    await polls(stub, 0)


async def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\nGET /api/none HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    statuses = [(await read_answer(reader)).status for _ in range(40)]
    writer.close()
    assert statuses == [200, 404] * 20


NO_HTTP = [
    b"nonsense\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
]


@pytest.mark.parametrize("raw", NO_HTTP)
async def test_what_is_no_http_is_400(server: Running, raw: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(raw)
    assert (await read_answer(reader)).status == 400
    writer.close()


async def test_a_reader_that_reads_nothing_does_not_keep_the_server(stub: Stub) -> None:
    stub.elements["/big"] = {"_id": "/big", "text": "x" * (30 << 20)}
    server = await serve(create_app(stub), "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", server.port)) as lazy:
        lazy.sendall(b"GET /api/read//big HTTP/1.1\r\nHost: x\r\nAuthorization: B t-guest\r\n\r\n")
        await asyncio.sleep(0.2)
        async with asyncio.timeout(5):
            await server.stop()


async def test_streams_end_with_the_server(stub: Stub) -> None:
    server = await serve(create_app(stub), "127.0.0.1", 0)
    async with Client(f"http://127.0.0.1:{server.port}", "t-rome") as client:
        stream = client.fetch(agent_messages.Fetch("paris", []))
        first = asyncio.ensure_future(anext(stream))
        await until(lambda: bool(stub.broker._open))
        [exchange] = stub.broker._open.values()
        await exchange.put(b"begun")
        assert await first == b"begun"
        async with asyncio.timeout(5):
            await server.stop()
        with pytest.raises(Transient, match="broke off"):
            await anext(stream)
    assert not stub.broker._open


async def test_a_taken_port_and_a_foreign_address_are_said(server: Running, stub: Stub) -> None:
    with pytest.raises(Conflict, match=f"127.0.0.1:{server.port}: .*--port"):
        await serve(create_app(stub), "127.0.0.1", server.port)
    for host in ("198.51.100.1", "no.such.host.invalid"):
        with pytest.raises((Conflict, Unreadable), match="--"):
            await serve(create_app(stub), host, 0)


async def test_the_pages_have_what_no_face_claims_and_their_lifespan(stub: Stub) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.url.path} {request.scope['root_path']}")

    app = create_app(stub, Options(base_path="/sync"), [Route("/ui", page)], lifespan)
    server = await serve(app, "127.0.0.1", 0)
    assert events == ["up"]
    assert (await ask(server.port, "GET", "/sync/ui")).text == "/sync/ui /sync"
    assert (await ask(server.port, "GET", "/ui")).text == "/sync/ui /sync"
    assert (await ask(server.port, "GET", "/api/none")).status == 404
    assert (await ask(server.port, "GET", "/none")).status == 404
    await server.stop()
    assert events == ["up", "down"]


async def test_a_start_that_fails_is_an_exception(stub: Stub) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"):
        await serve(create_app(stub, lifespan=lifespan), "127.0.0.1", 0)
