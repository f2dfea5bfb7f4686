"""Two thousand who follow the feed of a real tracker, and some who never read.

The tracker is a process of its own, so its memory is its own; it starts with the few open files most systems allow.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.cli.processes import PASSWORD, Up
from tests.web.wire import ask

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

EVENTS, SOCKETS, LAZY = 1_700, 300, 30
_SSE = "GET /api/changes?prefix={prefix} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: x {token}\r\n\r\n"
_WS = (
    "GET /api/changes/ws?prefix={prefix} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: x {token}\r\n\r\n"
)


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024


class Follower:
    """A raw connection that keeps nothing but whether it has seen a word."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, request: str) -> Follower:
        made = cls(*await asyncio.open_connection("127.0.0.1", port))
        made.writer.write(request.encode())
        head = await made.reader.readuntil(b"\r\n\r\n")
        assert head.split()[1] in (b"200", b"101"), head
        return made

    async def see(self, word: bytes) -> None:
        """Read on until this was sent."""
        kept = b""
        while word not in kept:
            data = await self.reader.read(1 << 16)
            assert data, "the line was cut"
            kept = kept[-len(word) :] + data


async def crowd(port: int, token: str) -> list[Follower]:
    found: list[Follower] = []
    requests = [_SSE] * EVENTS + [_WS] * SOCKETS
    for start in range(0, len(requests), 100):
        some = (
            Follower.open(port, text.format(token=token, prefix="crowd-small"))
            for text in requests[start : start + 100]
        )
        found += await asyncio.gather(*some)
    return found


@contextlib.asynccontextmanager
async def lazy(port: int, token: str) -> AsyncIterator[None]:
    """Connections that ask for everything from now on and never read a byte of it."""
    writers = []
    for _ in range(LAZY):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # a reader that does not read, not one that buffers
        writer.write(_SSE.format(token=token, prefix="").encode())
        writers.append(writer)
    yield
    for writer in writers:
        writer.close()


async def create(port: int, token: str, *keys: str, size: int = 0) -> None:
    items = [{"_id": key, "text": "x" * size} for key in keys]
    assert (await ask(port, "POST", "/api/create/", items, token)).status == 201


async def test_two_thousand_follow_and_some_never_read(tmp_path: Path, many_files: None) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # what the tracker is started with
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        port = urlsplit(up.url).port
        assert port
        signed = await ask(port, "POST", "/api/signIn/", {"username": "admin", "password": PASSWORD})
        token = json.loads(signed.body)["token"]
        await ask(port, "GET", "/api/changes", token=token)
        before = memory(up.process.pid)

        followers = await crowd(port, token)
        idle = memory(up.process.pid) - before
        print(f"{idle / len(followers):.0f} bytes for each of {len(followers)} connections that wait")
        assert idle < len(followers) * 60_000

        await create(port, token, "crowd-small-one")
        async with asyncio.timeout(60):
            await asyncio.gather(*(each.see(b"crowd-small-one") for each in followers))

        async with lazy(port, token):
            for n in range(40):  # 20 MB for each of those who do not read
                await create(port, token, *[f"crowd-big-{n}-{k}" for k in range(5)], size=100_000)
            await create(port, token, "crowd-small-two")
            async with asyncio.timeout(60):
                await asyncio.gather(*(each.see(b"crowd-small-two") for each in followers))
            grown = memory(up.process.pid) - before - idle
            assert grown < 200 << 20, f"{grown >> 20} MB, of 600 that nobody reads"
            begun = time.monotonic()
            assert up.stop() == 0
            assert time.monotonic() - begun < 8, "5 s for the streams, and the end of the process"
        for each in followers:
            each.writer.close()
