"""How long and how large a request may be before anybody knows what it is.

Owns: the protocol of a connection that bounds heads, silence, and what is sent after the answer.
Must not know: what is asked for, how large a body may be (the doors say that).

The parser keeps every byte of a head until its end: without a bound whoever reaches the port fills the memory, and
connections that never ask anything stay for ever.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = 256 << 10  # bytes; identifiers in a path are by far the most of it
_HEAD_S = 60.0  # for all of it
_SILENCE_S = 120.0  # within a body; an agent's disk may wake up meanwhile
_WASTE = 128 << 20  # bytes that are read away after the answer
_TOO_LARGE = b"The head of the request is larger than 256 kB; send identifiers in the body of a POST"


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to everything."""

    _unheard = 0  # bytes since the last that meant something
    _wasted = 0
    _in_head = True
    _whole = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(_HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unheard += len(data)
        super().data_received(data)
        if not self._whole:
            self._unfinished()
        elif self._timer is not None:
            self._stop_waiting()

    def on_message_begin(self) -> None:
        self._whole, self._in_head, self._wasted = False, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._unheard, self._in_head = 0, False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        if self.cycle.response_complete:
            self._wasted += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unheard, self._whole = 0, True
        super().on_message_complete()

    def _unfinished(self) -> None:
        if self.transport.is_closing():
            return
        if self._unheard > _HEAD:
            self._refuse()
        elif self._wasted > _WASTE:
            self.transport.close()
        elif not self._in_head:
            self._wait(_SILENCE_S)
        elif self._timer is None:
            self._wait(_HEAD_S)

    def _refuse(self) -> None:
        head = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
        self.transport.write(head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(_TOO_LARGE) + _TOO_LARGE)
        self.transport.close()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._expired, seconds)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self, seconds: float) -> None:
        self._timer = None
        if self not in self.connections or self.transport.is_closing():  # a web socket speaks here now
            return
        if self.flow.read_paused:  # it is ours to read
            self._wait(seconds)
        else:
            self.transport.abort()
