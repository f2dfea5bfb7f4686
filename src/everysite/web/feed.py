"""The doors of the change feed: an answer, a long poll, server-sent events, a WebSocket.

Owns: which of the four was asked for, the framing of each. Must not know: how changes are found, who may see them.

All four ask the same operation in turns. A stream holds a cursor and one page on its way, so a reader that is slow costs
nothing but its place: the next page is asked for when the last one is gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec.structs import replace
from starlette.types import Send

from everysite.errors import CursorLost, EverysiteError, Forbidden, SignInNeeded
from everysite.tracker.contract import CHANGES
from everysite.tracker.feed_messages import ChangeEntry, Changes, ChangesAsked
from everysite.tracker.operation import Tracker
from everysite.web import answer
from everysite.web.attention import Attention
from everysite.web.endpoint import Service, endpoint
from everysite.web.identity import caller_of
from everysite.web.options import Options
from everysite.web.request import Asked, Gone
from everysite.web.routing import Route
from everysite.web.shapes import Plain
from everysite.web.streams import Streams, patient

_BEAT_MS = 15_000  # a sign of life while nothing changes; proxies cut what is silent for 30 to 60 s
_CHUNK = 64 << 10  # bytes written before the line is asked whether it can take more
_PAGE = 200  # entries of one page of a stream
_RETRY = b"retry: 2000\n\n"
_EVENTS: answer.Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back until its buffer is full
]
_KEPT = 8  # pages whose bytes are kept for others
_encode = msgspec.json.Encoder().encode
T = TypeVar("T")

Pages = AsyncIterator[Changes]


class FeedDoors:
    """The handlers of /api/changes."""

    def __init__(self, service: Service, options: Options, attention: Attention) -> None:
        self._service, self._attention = service, attention
        self._streams = Streams(service)
        self._form = Plain(CHANGES, options)
        self._answered = endpoint(CHANGES, service, options, attention)

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", CHANGES.path, self.get, CHANGES.name),
            Route("WEBSOCKET", CHANGES.path, self.socket, CHANGES.name),
            Route("WEBSOCKET", CHANGES.path + "/ws", self.socket, CHANGES.name),
        )

    async def get(self, asked: Asked, send: Send) -> None:
        """JSON at once or after `wait_ms`; events for those who accept them."""
        if asked.scope["method"] != "HEAD" and b"text/event-stream" in asked.headers.get(b"accept", b""):
            await self._stream(asked, patient(send, asked, self._attention), Events)
        elif b"wait_ms" in asked.query:
            caller = await caller_of(asked, self._service, CHANGES.right)
            async with self._streams.admitted(asked, caller):
                await self._answered(asked, send)
        else:
            await self._answered(asked, send)

    async def socket(self, asked: Asked, send: Send) -> None:
        """The JSON answers as messages, one after the other; the first one tells the cursor. Nothing is read."""
        await self._stream(asked, patient(send, asked, self._attention), Messages)

    async def _stream(self, asked: Asked, send: Send, form: Callable[[Send, Pages], Stream]) -> None:
        """What is wrong with the request is answered with a status; what ends a stream later is its last word."""
        caller = await caller_of(asked, self._service, CHANGES.right)
        asked.method = "GET"  # a WebSocket's request is read like one
        request, _ = await self._form.read(asked)
        tracker = self._service.as_caller(caller)
        request = replace(
            request, since=_last_event(asked) or request.since, limit=min(request.limit, _PAGE), wait_ms=0
        )
        first = await tracker.call(CHANGES, request)
        stream = form(send, _pages(tracker, request, first))

        async def pump() -> None:
            async with self._streams.admitted(asked, caller):
                await stream.pump()

        try:
            await self._attention.during(pump(), asked.receive)
        except EverysiteError as err:
            await stream.end(err)
        except OSError as err:  # the server's word for a line that is gone
            raise Gone from err


def _last_event(asked: Asked) -> str:
    """Where a browser's EventSource goes on after a break; it repeats the address it was first given."""
    return asked.headers.get(b"last-event-id", b"").decode("latin-1")


async def _pages(tracker: Tracker, request: ChangesAsked, page: Changes) -> Pages:
    """One page after the other, an empty one every 15 s while nothing changes."""
    while True:
        yield page
        page = await tracker.call(CHANGES, replace(request, since=page.cursor, wait_ms=_BEAT_MS))


class Stream(Protocol):
    """One answer that does not end."""

    async def pump(self) -> None:
        """Send pages as long as there are any."""

    async def end(self, error: EverysiteError) -> None:
        """Say why it ends; raise it when nothing was said yet."""


class Events:
    """Server-sent events. An event's id is its cursor, so a browser goes on where it was by itself."""

    def __init__(self, send: Send, pages: Pages) -> None:
        self._send, self._pages = send, pages
        self._begun = False
        self._cursor = ""

    async def pump(self) -> None:
        await answer.begin(self._send, _EVENTS)
        self._begun = True
        await answer.more(self._send, _RETRY)
        async for page in self._pages:
            for chunk in _framed(page):
                await answer.more(self._send, chunk)
            # Without data it is no event: it moves the id, or keeps the line alive.
            moved = page.cursor != (page.changes[-1].cursor if page.changes else self._cursor)
            if moved or not page.changes:
                await answer.more(self._send, b"id: %s\n\n" % page.cursor.encode() if moved else b":\n\n")
            self._cursor = page.cursor

    async def end(self, error: EverysiteError) -> None:
        if not self._begun:
            raise error
        said = _encode({"error": str(error), "code": error.code})
        await answer.more(self._send, b"event: end\ndata: " + said + b"\n\n")
        await answer.end(self._send)


def _chunks(entries: list[ChangeEntry]) -> Iterator[bytes]:
    chunk = bytearray()
    for entry in entries:
        chunk += b"id: %s\ndata: %s\n\n" % (entry.cursor.encode(), _encode(entry))
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


class Messages:
    """WebSocket messages. The server's own pings keep the line alive, so an empty page is told only when it moves on."""

    def __init__(self, send: Send, pages: Pages) -> None:
        self._send, self._pages = send, pages
        self._begun = False
        self._cursor = ""

    async def pump(self) -> None:
        await self._send({"type": "websocket.accept"})
        self._begun = True
        async for page in self._pages:
            if page.changes or page.cursor != self._cursor:
                for text in _texts(page):
                    await self._send({"type": "websocket.send", "text": text})
            self._cursor = page.cursor

    async def end(self, error: EverysiteError) -> None:
        if not self._begun:
            raise error
        await self._send({"type": "websocket.close", "code": _close_code(error), "reason": str(error)[:100]})


def _parts(page: Changes) -> Iterator[Changes]:
    """A page in messages of bounded size (or one element, however large)."""
    start = size = 0
    for place, entry in enumerate(page.changes):
        size += len(entry.element) if isinstance(entry.element, msgspec.Raw) else 0
        if size >= _CHUNK and place + 1 < len(page.changes):
            yield Changes(entry.cursor, page.changes[start : place + 1], True)
            start, size = place + 1, 0
    yield Changes(page.cursor, page.changes[start:], page.more)


class _Once(Generic[T]):
    """Work on the newest pages, done once: those who follow alike are given one and the same page."""

    def __init__(self, work: Callable[[Changes], list[T]]) -> None:
        self._work = work
        self._kept: dict[int, tuple[Changes, list[T]]] = {}  # with the page, so that its number stays its own

    def __call__(self, page: Changes) -> list[T]:
        found = self._kept.get(id(page))
        if found is None:
            found = self._kept[id(page)] = page, self._work(page)
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return found[1]


_framed = _Once(lambda page: list(_chunks(page.changes)))
_texts = _Once(lambda page: [_encode(part).decode() for part in _parts(page)])


def _close_code(error: EverysiteError) -> int:
    """The statuses of HTTP above 4000, where applications have their own; 1012: the service restarts."""
    if isinstance(error, SignInNeeded):
        return 4401
    if isinstance(error, Forbidden):
        return 4403
    return 4410 if isinstance(error, CursorLost) else 1012
