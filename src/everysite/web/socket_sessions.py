"""Sessions of Socket.IO: the protocol, by python-socketio.

Owns: who is let in, what clients may send (nothing), what may wait for them, the end of sessions.
Must not know: what is told, and when.

Around the library stands what a server on the open net needs: sign-in before anything is told, bounds on what comes in and
on what waits to go out, an end for those whose token has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

import socketio  # type: ignore[import-untyped]  # it ships no type information
from starlette.types import Receive, Scope, Send

from everysite.errors import EverysiteError
from everysite.web.attention import Attention
from everysite.web.identity import caller_of, foreign
from everysite.web.outbox import Outbox
from everysite.web.request import Asked, Gone
from everysite.web.socket_told import Member, Telling
from everysite.web.socket_tracker import IN, TellsChanges
from everysite.web.streams import Streams

_ANONYMOUS_S = 10.0  # to sign in after the handshake
_EVERY_S = 1.0
_TRIES = 10  # sign-ins of one session
_ODD = (ValueError, KeyError, IndexError, AttributeError, TypeError)  # what the library makes of malformed packets

_log = logging.getLogger("everysite.web")
_quiet = logging.getLogger("everysite.web.socketio")  # the library logs every refusal as an error
_quiet.setLevel(logging.CRITICAL)
_quiet.propagate = False
_quiet.addHandler(logging.NullHandler())


class Sessions:
    """All of one face."""

    def __init__(self, service: TellsChanges, attention: Attention) -> None:
        self._service = service
        self._streams = Streams(service)
        self._telling = Telling(service)
        self._tries: dict[str, int] = {}  # session -> sign-ins so far
        self._since: dict[str, float] = {}  # session that has not signed in -> since when
        self._tending: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        # Origins are checked at the door, where the base path and the proxies are known; so the library is told not to.
        self._server = socketio.AsyncServer(
            async_mode="asgi", cors_allowed_origins=[], logger=_quiet, engineio_logger=_quiet, monitor_clients=False,
            max_http_buffer_size=IN, http_compression=False,
        )  # fmt: skip
        self._engine = self._server.eio
        self._engine.create_queue = Outbox
        self._forward = self._engine.handlers["message"]
        self._engine.on("message", self._receive)
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        attention.at_end.append(self._end)

    async def request(self, asked: Asked, receive: Receive, send: Send) -> None:
        """One poll or post."""
        await self._server.handle_request(self._scope(asked), receive, send)

    async def socket(self, asked: Asked, send: Send) -> None:
        """A whole WebSocket."""
        try:
            await self._server.handle_request(self._scope(asked), asked.receive, send)
        except _ODD as err:
            raise Gone from err

    def _scope(self, asked: Asked) -> Scope:
        if self._tending is None or self._tending.done():
            self._tending = asyncio.create_task(self._tend(), name="socketio")
        method = "POST" if asked.scope["method"] == "POST" else "GET"  # a WebSocket begins as a GET
        return {**asked.scope, "method": method, "headers": list(asked.headers.items()), "everysite.asked": asked}

    # --- sessions ---

    async def _receive(self, session: str, data: Any) -> None:
        """Only signing in and leaving reach the library; events and acknowledgements of clients mean nothing here."""
        if not isinstance(data, str) or data[:1] not in ("0", "1"):
            return
        if data[0] == "0":
            self._tries[session] = self._tries.get(session, 0) + 1
            if self._telling.of_session(session) is not None:
                return
            if self._tries[session] > _TRIES:
                await self._drop(session)
                return
        with contextlib.suppress(*_ODD):  # as if it never came
            await self._forward(session, data)

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        asked = self._signed(environ["asgi.scope"]["everysite.asked"], auth)
        try:
            caller = await caller_of(asked, self._service, "guest")
        except EverysiteError as err:
            raise socketio.exceptions.ConnectionRefusedError(str(err), {"code": err.code}) from err
        session: str = self._server.manager.eio_sid_from_sid(sid, "/")
        if session not in self._engine.sockets:  # it left while its token was looked up
            raise socketio.exceptions.ConnectionRefusedError("gone")
        leave = self._streams.add(asked, caller, lambda error: self._revoked(sid))
        self._telling.join(Member(sid, session, self._service.sight(caller), self._put, leave))

    def _signed(self, asked: Asked, auth: Any) -> Asked:
        """The handshake's request with the token of the sign-in, which comes first. Cookies are for our own pages only."""
        headers = {name: value for name, value in asked.headers.items() if name != b"cookie" or not foreign(asked)}
        token = auth.get("token") if isinstance(auth, dict) else None
        if isinstance(token, str) and token:
            headers[b"authorization"] = b"Bearer " + token.encode("latin-1", "replace")
        scope = {**asked.scope, "method": "WEBSOCKET"}  # a session outlives its request: as strict as for a WebSocket
        return Asked(scope, asked.receive, headers, "GET", asked.path, asked.address, asked.scheme)

    async def _disconnect(self, sid: str, reason: str = "") -> None:
        self._telling.leave(sid)

    def _put(self, session: str, packet: Any) -> None:
        """Queue a packet; a session that does not take what it is sent is closed, and comes back to read the feed."""
        socket = self._engine.sockets.get(session)
        if socket is None or socket.closed or socket.closing:
            return
        if socket.queue.has_room(packet):
            socket.queue.put_nowait(packet)
        else:
            socket.queue.clear()
            self._spawn(self._drop(session))

    def _revoked(self, sid: str) -> None:
        self._telling.leave(sid)
        self._spawn(self._server.disconnect(sid))

    async def _drop(self, session: str) -> None:
        """End a session at once, whatever it still waits for."""
        socket = self._engine.sockets.pop(session, None)
        if socket is not None:
            await socket.close(wait=False, abort=True)
            socket.queue.put_nowait(None)  # lets its writer, or its waiting poll, go

    # --- care ---

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a session of Socket.IO could not be ended", exc_info=task.exception())

    async def _tend(self) -> None:
        """Every second: sessions that answer no ping, and those that never signed in."""
        sessions = True
        while sessions:
            await asyncio.sleep(_EVERY_S)
            now = asyncio.get_running_loop().time()
            for session, socket in list(self._engine.sockets.items()):
                if socket.closed or not await socket.check_ping_timeout():
                    await self._drop(session)
                elif self._telling.of_session(session):
                    self._since.pop(session, None)
                elif now - self._since.setdefault(session, now) > _ANONYMOUS_S:
                    await self._drop(session)
            for known in (self._since, self._tries):
                for session in [session for session in known if session not in self._engine.sockets]:
                    del known[session]
            sessions = bool(self._engine.sockets)

    def _end(self) -> None:
        """The server stops: waiting polls are answered, and nobody is told anything any more."""
        for session in list(self._engine.sockets):
            self._spawn(self._drop(session))
        if self._tending is not None:
            self._tending.cancel()
