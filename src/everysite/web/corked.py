"""Head and body of an answer leave together.

Owns: the protocol of a connection that joins what is written in one turn of the event loop.
Must not know: what is answered.

uvicorn writes the head of an answer and then its body, and uvloop sends each at once: two system calls and two packets
where one does. Joining them took a fifth off the processor time of a read.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from everysite.web.guarded import GuardedProtocol

_LARGE = 64 << 10  # bytes; from here on a second system call costs less than a copy


class CorkedProtocol(GuardedProtocol):
    """The protocol of our connections, on a transport that waits for the body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        corked = _Corked(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(cast(asyncio.Transport, corked))


class _Corked:
    """A transport. The first bytes wait for the next ones, at most until the event loop is done with this turn."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Called twice for an answer with a body."""
        if len(data) > _LARGE:
            self._flush()
            self._transport.write(data)
        elif self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        elif data:
            self._held = data
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)

    def close(self) -> None:
        """What was written is sent before."""
        self._flush()
        self._transport.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Somebody else speaks from now on (a web socket)."""
        self._flush()
        self._transport.set_protocol(protocol)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
