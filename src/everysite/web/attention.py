"""Work that lasts no longer than the client waits for it, nor than the server runs.

Owns: the end of long polls and streams when the client hangs up or the server stops.
Must not know: what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from everysite.errors import Transient
from everysite.web.request import Gone

T = TypeVar("T")


class Attention:
    """Who is being waited for. One a server."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Task[None]] = set()
        self._closed = False
        self.at_end: list[Callable[[], None]] = []  # called when the server stops
        self.cut: Callable[[tuple[str, int]], None] | None = None  # the server's way to cut the line to a client

    async def during(self, work: Coroutine[Any, Any, T], receive: Receive) -> T:
        """The result of the work. Raises Gone when the client hung up, Transient when the server stops; both end the work.

        The request's body must have been read.
        """
        job = asyncio.ensure_future(work)
        watcher = asyncio.ensure_future(_until_gone(receive))
        self._watchers.add(watcher)
        if self._closed:
            watcher.cancel()
        try:
            await asyncio.wait((job, watcher), return_when=asyncio.FIRST_COMPLETED)
            if job.done():
                return job.result()
            if self._closed:
                raise Transient("the tracker is stopping; ask again when it is back")
            raise Gone
        finally:
            self._watchers.discard(watcher)
            job.cancel()
            watcher.cancel()
            await asyncio.gather(job, watcher, return_exceptions=True)

    def close(self) -> None:
        """The server stops: end everything that waits, and all that comes."""
        self._closed = True
        for watcher in self._watchers:
            watcher.cancel()
        for end in self.at_end:
            end()

    def hang_up(self, scope: Scope) -> None:
        """Cut the line of a request or WebSocket, with what waits to be sent on it."""
        if self.cut is not None and scope["client"] is not None:
            self.cut(scope["client"])

    def open(self) -> None:
        """The server starts (again)."""
        self._closed = False


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
