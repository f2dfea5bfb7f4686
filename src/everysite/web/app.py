"""The application: one ASGI callable in front of everything.

Owns: which requests a face answers and which go to the pages; telling errors; the base path.
Must not know: single operations, how the server listens.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Lifespan, Receive, Scope, Send

from everysite.errors import NotFound, TooManyAttempts
from everysite.tracker.buckets import Buckets
from everysite.tracker.core import wall_clock
from everysite.tracker.relay import Broker
from everysite.web.answer import answer
from everysite.web.attention import Attention
from everysite.web.errors_http import failure, form
from everysite.web.faces import Face, api, downloads, enabled, entrance, socketio
from everysite.web.identity import proxied
from everysite.web.options import DEFAULTS, Options
from everysite.web.origins import crossing, tell_methods
from everysite.web.request import Asked, Gone
from everysite.web.routing import Route, Router
from everysite.web.socket_tracker import TellsChanges
from everysite.web.sockets import refusing

_OVERRIDE = b"x-http-method-override"


class Tracked(TellsChanges, Protocol):
    """The tracker with its relay."""

    @property
    def broker(self) -> Broker: ...


def create_app(
    service: Tracked,
    options: Options = DEFAULTS,
    pages: Sequence[BaseRoute] = (),
    lifespan: Lifespan[Starlette] | None = None,
) -> App:
    """The ASGI application over a tracker. `pages` are Starlette routes for all that no face claims."""
    attention = Attention()
    served = [
        api(service, service.broker, options, attention),
        socketio(service, options, attention),
        entrance(service, options),
        downloads(options),
    ]
    faces = enabled(served, options.faces_off)
    return App(faces, options, attention, Starlette(routes=list(pages), lifespan=lifespan))


class App:
    """Faces first, by raw path; Starlette has the rest and the lifespan."""

    def __init__(self, faces: Sequence[Face], options: Options, attention: Attention, rest: Starlette) -> None:
        self.attention = attention
        self._faces = faces
        self._face_of = {id(route): face for face in faces for route in face.routes}
        self._router = Router([route for face in faces for route in face.routes])
        self._base = options.base_path.rstrip("/").encode()
        self._origins = frozenset(origin.encode() for origin in options.origins)
        self._believe = proxied(options.proxies) if options.proxies else None
        self._pace = Buckets(options.requests_per_minute)
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Faces see a WebSocket as a request of its own method, which is no safe one: pages of other sites may open it.
            scope, send = {**scope, "method": "WEBSOCKET"}, refusing(send)
        elif scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        asked = self._asked(scope, receive)
        send = crossing(asked, self._origins, send)
        route: Route | None = None
        try:
            if wait := self._pace.take(asked.address, wall_clock()):
                seconds = -(-wait // 1000)
                raise TooManyAttempts(f"too many requests from this address; try again in {seconds} s", seconds)
            if asked.method == "OPTIONS":
                await tell_methods(asked, self._router.allowed(asked.path), send)
                return
            route = self._router.find(asked)
            if route is not None:
                await route.handler(asked, send)
                return
            if self._face_at(asked.path) is not None or not self._rest.routes:
                raise NotFound("there is nothing at this address")
        except Gone:
            return
        except Exception as err:  # noqa: BLE001  the last door: whatever it was, the client gets an answer, the log the rest
            await self._refuse(err, asked, route, send)
            return
        await self._rest(self._below_base(scope), receive, send)

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """What has to be entered before the first request and left after the last one."""
        return self._rest.router.lifespan_context(self._rest)

    def _asked(self, scope: Scope, receive: Receive) -> Asked:
        headers = dict(scope["headers"])
        method: str = scope["method"]
        if method == "POST" and _OVERRIDE in headers:
            method = headers[_OVERRIDE].decode("latin-1").strip().upper()
        elif method == "HEAD":
            method = "GET"
        path: bytes = scope["raw_path"]
        if self._base and path.startswith(self._base + b"/"):
            path = path[len(self._base) :]
        scheme: str = {"ws": "http", "wss": "https"}.get(scope["scheme"]) or scope["scheme"]
        asked = Asked(scope, receive, headers, method, path, (scope["client"] or ("",))[0], scheme)
        if self._believe is not None:
            self._believe(asked)
        return asked

    def _below_base(self, scope: Scope) -> Scope:
        base = self._base.decode()
        if base and not scope["path"].startswith(base + "/"):  # the proxy took it off; Starlette wants to see it
            return {**scope, "root_path": base, "path": base + scope["path"]}
        return {**scope, "root_path": base} if base else scope

    def _face_at(self, path: bytes) -> Face | None:
        for face in self._faces:
            prefix = face.prefix.encode()
            if prefix and (path == prefix or path.startswith(prefix + b"/")):
                return face
        return None

    async def _refuse(self, error: Exception, asked: Asked, route: Route | None, send: Send) -> None:
        failed = failure(error, f"{asked.method} {route.template if route else 'unknown path'}")
        face = self._face_of[id(route)] if route else self._face_at(asked.path)
        headers, body = face.refuse(failed, asked, asked.what) if face else form(failed, "Access", asked.wants_json)
        await asked.drain()
        await answer(send, failed.status, body, headers)
