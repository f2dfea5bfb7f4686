"""Following the change feed: one change after the other, over breaks and restarts.

Owns: Change, Feed. Must not know: threads, sockets.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec
from msgspec import UNSET

from everysite.client.calls import Element
from everysite.client.connection import Client
from everysite.errors import Transient
from everysite.tracker.contract import CHANGES
from everysite.tracker.feed_messages import Changes, ChangesAsked

_WAIT_MS = 25_000  # below the 30 to 60 s after which proxies cut a silent line
_FIRST_PAUSE = 1.0  # s before a tracker that is away is asked again; each time twice as long
_LONGEST_PAUSE = 30.0


class Change(msgspec.Struct, frozen=True):
    """An element as it is now; or, with `element` None, the identifier of one that is gone.

    `cursor` stands behind this change: following from it goes on with the next one.
    """

    cursor: str
    id: str
    element: Element | None


class Feed:
    """An async iterator that does not end. `cursor` stands behind the last change that was given out; keep it.

    A tracker that is away is asked again, first after a second, later every 30 s. Raises what the tracker refuses:
    CursorLost, SignInNeeded, Forbidden.
    """

    def __init__(self, client: Client, since: str = "", prefix: str = "", query: str = "") -> None:
        self.cursor = since
        self._client, self._prefix, self._query = client, prefix, query
        self._ready: deque[Change] = deque()
        self._asked = since
        self._pause = 0.0

    async def start(self) -> None:
        """Take this moment for the beginning, where none was given. Raises SiteUnreachable."""
        if not self._asked:
            self._asked = self.cursor = (await self._page(0)).cursor

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> Change:
        await self.start()
        while not self._ready:
            await self._fill()
        change = self._ready.popleft()
        self.cursor = change.cursor if self._ready else self._asked
        return change

    async def _fill(self) -> None:
        await asyncio.sleep(self._pause)
        try:
            page = await self._page(_WAIT_MS)
        except Transient:
            self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
            return
        self._pause = 0.0
        self._ready.extend(
            Change(entry.cursor, entry.id, None if entry.element is UNSET else msgspec.json.decode(entry.element))
            for entry in page.changes
        )
        self._asked = page.cursor
        if not self._ready:
            self.cursor = page.cursor

    async def _page(self, wait_ms: int) -> Changes:
        asked = ChangesAsked(self._asked, wait_ms=wait_ms, prefix=self._prefix, query=self._query)
        return await self._client.call(CHANGES, asked)
