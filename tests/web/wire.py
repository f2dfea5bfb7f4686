"""Raw HTTP/1.1 for tests: requests as bytes, so that odd ones stay as odd as they are written.

Owns: ask(), Answer, until(). Must not know: our client.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


async def until(met: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something the other side does. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110  what is waited for is no event of ours
            await asyncio.sleep(0.01)


async def ask(
    port: int,
    method: str,
    target: str | bytes,
    body: Any = None,
    token: str = "",
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own. `body`: bytes as they are, anything else as JSON."""
    said = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(headers or {})}
    if token:
        said["Authorization"] = f"Bearer {token}"
    data = b""
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        said.setdefault("Content-Type", "application/json")
    if body is not None or method in ("POST", "PUT"):
        said.setdefault("Content-Length", str(len(data)))
    raw = target if isinstance(target, bytes) else target.encode()
    head = method.encode() + b" " + raw + b" HTTP/1.1\r\n"
    head += b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in said.items()) + b"\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head + data)
        await writer.drain()
        return await read_answer(reader, method == "HEAD")
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader, bodiless: bool = False) -> Answer:
    """An answer with a content-length, as every whole answer has."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    bodiless = bodiless or head[0].split()[1] in ("204", "304")
    body = b"" if bodiless else await reader.readexactly(int(headers["content-length"]))
    return Answer(int(head[0].split()[1]), headers, body)
