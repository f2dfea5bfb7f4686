"""Work that lasts no longer than the client waits for it, nor than the server runs.

Owns: the end of long polls and streams when the client hangs up or the server stops.
Must not know: what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from everysite.errors import Transient
from everysite.web.request import Gone

T = TypeVar("T")


class Attention:
    """Who is being waited for. One a server."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Task[None]] = set()
        self._closed = False

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

    def open(self) -> None:
        """The server starts (again)."""
        self._closed = False


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
