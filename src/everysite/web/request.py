"""One HTTP request, as far as every door reads it.

Owns: Asked: headers, method, the address it came from, its body up to the cap.
Must not know: operations, what a body means.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from starlette.types import Receive, Scope

from everysite.errors import BadRequest, TooLarge
from everysite.web.wiretext import decoded

_DRAIN_S = 5
_DRAIN_BYTES = 128 << 20
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Gone(Exception):
    """The client hung up; there is nobody to answer."""


@dataclass(slots=True)
class Asked:
    """What came in. `path` is raw, without the base path; `params` are the decoded pieces the route names."""

    scope: Scope
    receive: Receive
    headers: dict[bytes, bytes]
    method: str
    path: bytes
    address: str = ""
    scheme: str = "http"
    params: dict[str, str] = field(default_factory=dict)
    what: str = "access"  # the operation, as its route names it
    whole: bool = False  # nothing of the body is left to read

    @property
    def query(self) -> bytes:
        """The raw query string, without '?'."""
        raw: bytes = self.scope["query_string"]
        return raw

    @property
    def media_type(self) -> bytes:
        """Of the body, lower case, without parameters; b'' when it was not said."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    @property
    def wants_json(self) -> bool:
        """Whether the client asked for JSON by name, in which case errors are JSON too."""
        return b"json" in self.headers.get(b"accept", b"")

    async def body(self, cap: int) -> bytes:
        """All of the body. Raises TooLarge naming the cap, Gone when the client hung up."""
        length = self.headers.get(b"content-length")
        if length is not None and int(length) > cap:
            raise _too_large(cap)
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise Gone
        if not message.get("more_body"):
            self.whole = True
            return _capped(message.get("body", b""), cap)
        return await self._rest(bytearray(message.get("body", b"")), cap)

    async def _rest(self, body: bytearray, cap: int) -> bytes:
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            self.whole = not message.get("more_body")
            body += message.get("body", b"")
            if len(body) > cap:
                raise _too_large(cap)
            if self.whole:
                return bytes(body)

    async def drain(self) -> None:
        """Read away a body nobody wants, within bounds: a client that writes all before it reads would be cut off by
        the closing connection and never see why it was refused. Connections that stay open need none of this."""
        closes = self.headers.get(b"connection", b"").lower() == b"close" or self.scope["http_version"] == "1.0"
        if self.whole or not closes or self.method == "GET" or b"expect" in self.headers:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                left = _DRAIN_BYTES
                while left > 0 and (message := await self.receive())["type"] == "http.request":
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        break


def _capped(body: bytes, cap: int) -> bytes:
    if len(body) > cap:
        raise _too_large(cap)
    return body


def _too_large(cap: int) -> TooLarge:
    shown = f"{cap >> 20} MB" if cap >= 1 << 20 else f"{cap} bytes"
    return TooLarge(f"the body is larger than {shown}; send it in smaller batches")


def segment(raw: bytes, name: str) -> str:
    """A piece of the path that stands for a name. Raises BadRequest for NUL."""
    text = decoded(raw)
    if "\0" in text:
        raise BadRequest(f"{name} contains a NUL character")
    return text
