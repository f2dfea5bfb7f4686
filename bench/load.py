"""HTTP load from a process of its own: prepared requests over a few connections, each sends its next one when it was answered.

Owns: the generator and what it counts. Must not know: who is asked, what for.

`python -m bench.load FILE` reads a Plan as JSON and prints a Result as JSON. uvloop and httptools keep it below the cost
of any server it measures (some 12 us a request); requests are bytes made beforehand, `$N` in them becomes a number no
other request has.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httptools
import msgspec
import uvloop

_NUMBER, _WIDTH = b"$N", 20


class Plan(msgspec.Struct, frozen=True):
    """`requests` whole messages in bytes, sent in turns; `count` in all; `rate` a second over all connections, 0: as fast
    as it goes (then latencies say little)."""

    port: int
    requests: list[bytes]
    count: int
    connections: int = 16
    rate: int = 0


class Result(msgspec.Struct, frozen=True):
    """Latencies in ms, from the moment a request was due."""

    seconds: float
    p50: float
    p99: float


def drive(plan: Plan, work: Path) -> Result:
    """Carry a plan out in a process of its own. Raises CalledProcessError when an answer was no success."""
    path = work / "plan.json"
    path.write_bytes(msgspec.json.encode(plan))
    done = subprocess.run([sys.executable, "-m", "bench.load", str(path)], check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout, type=Result)


def request(method: str, path: str, body: bytes = b"", token: str = "") -> bytes:
    """A whole message. `$N` in it is `_WIDTH` characters long when it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body.replace(_NUMBER, bytes(_WIDTH)))}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        self._next()

    def _next(self) -> None:
        found = next(self._run.messages, None)
        if found is None:
            self._run.ended()
            return
        self._due, message = found
        wait = self._due - time.perf_counter()
        if self._due and wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send, message)
        else:
            self._due = self._due or time.perf_counter()
            self._send(message)

    def _send(self, message: bytes) -> None:
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        assert self._parser is not None
        self._parser.feed_data(data)

    def connection_lost(self, err: Exception | None) -> None:
        self._run.fail("a connection was closed")

    # called by the parser
    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._parser.get_status_code() >= 300:
            self._run.fail(f"an answer has the status {self._parser.get_status_code()}")
            return
        self._run.latencies.append(time.perf_counter() - self._due)
        self._next()


class _Run:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._open = plan.connections
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.messages = self._messages()

    def _messages(self) -> Iterator[tuple[float, bytes]]:
        """(when it is due, message)."""
        start, run = time.perf_counter(), f"{os.getpid() & 0xFFFFFFFF:08x}"
        for number, message in zip(range(self._plan.count), itertools.cycle(self._plan.requests), strict=False):
            due = start + number / self._plan.rate if self._plan.rate else 0.0
            yield due, message.replace(_NUMBER, f"{run}{number:012d}".encode())

    def ended(self) -> None:
        self._open -= 1
        if not self._open and not self.done.done():
            self.done.set_result(None)

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))


async def _main(plan: Plan) -> Result:
    run = _Run(plan)
    start = time.perf_counter()
    loop = asyncio.get_running_loop()
    lines = [await loop.create_connection(lambda: _Line(run), "127.0.0.1", plan.port) for _ in range(plan.connections)]
    await run.done
    seconds = time.perf_counter() - start
    for transport, _ in lines:
        transport.abort()
    took = sorted(run.latencies)
    return Result(seconds, took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000)


if __name__ == "__main__":
    result = uvloop.run(_main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))
    print(msgspec.json.encode(result).decode())
