"""The face of Socket.IO 4: existing clients hear of changes here (tracker-api 10).

Owns: what is let through to the sessions: our own pages and those of named sites, bodies within bounds.
Must not know: the protocol, who is told what.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Send

from everysite.errors import BadRequest, Forbidden
from everysite.web.answer import SECURITY
from everysite.web.attention import Attention
from everysite.web.identity import foreign
from everysite.web.options import Options
from everysite.web.request import Asked
from everysite.web.routing import Route
from everysite.web.socket_tracker import IN, TellsChanges
from everysite.web.streams import patient
from everysite.web.wiretext import fields

if TYPE_CHECKING:
    from everysite.web.socket_sessions import Sessions

PATH = "/socket.io"


class SocketIo:
    """The door."""

    def __init__(self, service: TellsChanges, options: Options, attention: Attention) -> None:
        self._service, self._attention = service, attention
        self._origins = frozenset(origin.encode() for origin in options.origins)
        self._sessions: Sessions | None = None
        self._opening = asyncio.Lock()

    def routes(self) -> tuple[Route, ...]:
        return tuple(Route(method, PATH, self.handle, "Socket.IO") for method in ("GET", "POST", "WEBSOCKET"))

    async def handle(self, asked: Asked, send: Send) -> None:
        """One poll, one post, or a whole WebSocket."""
        if foreign(asked) and asked.headers.get(b"origin") not in self._origins:
            raise Forbidden("pages of other sites are not let in here; an admin can name theirs in api.origins")
        if any(name == "j" for name, _ in fields(asked.query)):
            raise BadRequest("JSONP is not spoken here; it would show events to pages of other sites")
        sessions = self._sessions or await self._open()
        if asked.scope["type"] == "websocket":
            await sessions.socket(asked, patient(send, asked, self._attention))
            return
        body = await asked.body(IN) if asked.method == "POST" else b""
        asked.headers[b"content-length"] = b"%d" % len(body)
        await sessions.request(asked, _once(body), _secured(send))

    async def _open(self) -> Sessions:
        """The library takes half a second to load: when the first client comes, beside the loop."""
        async with self._opening:
            if self._sessions is None:
                made = await asyncio.to_thread(_load)
                self._sessions = made(self._service, self._attention)
        return self._sessions


def _load() -> type[Sessions]:
    from everysite.web.socket_sessions import Sessions

    return Sessions


def _once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _secured(send: Send) -> Send:
    """The library's answers come in two messages, without their length."""
    start: Message = {}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        length = (b"content-length", b"%d" % len(message["body"]))
        await send({**start, "headers": [*start["headers"], length, *SECURITY]})
        await send(message)

    return sending
