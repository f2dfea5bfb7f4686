"""The change feed: what is different since a cursor, and waiting for the next change.

Owns: the verb `changes`, cursors, who waits and when they are woken. Must not know: HTTP, SQL.

There is no log that could be trimmed and no queue that could grow: a cursor is a position in the order of changes, and who
is slow reads on from it later, from memory if it is still there, else from the index. Everybody who waits is woken after a
commit, and one of them reads for all.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Hashable
from itertools import islice

import msgspec

from everysite.decide import query_text
from everysite.decide.query import Predicate
from everysite.errors import BadRequest, CursorLost, Transient
from everysite.index.contract import Index, Transaction
from everysite.tracker.feed_messages import ChangeEntry, Changes, ChangesAsked
from everysite.tracker.feed_tail import Entry, Page, Tail
from everysite.tracker.feed_view import View
from everysite.tracker.operation import Caller
from everysite.tracker.sight import Sight

EPOCH = "epoch"
"""Fact of an index: which history its change numbers belong to. Written at the first start, and anew by a restore."""

_PAUSE_S = 0.02  # between two wakes
_PER_WAITER_S = 0.0002  # and longer with many: telling 2,000 takes some 100 ms, which may be a quarter of the time
_SLICE = 50  # waiters woken at once; other requests get their turn between two slices
_SHARED = 200  # answers kept for those who follow alike
_SCAN = 5_000  # changes one request looks through for a few that match
_BYTES = 4 << 20  # of elements in one answer


class Feed:
    """One a tracker. `see` tells what a caller sees now, `read` what the text of a query means."""

    def __init__(
        self, index: Index, see: Callable[[Caller], Sight], read: Callable[[str], Predicate] = query_text.parse
    ) -> None:
        self._index, self._see, self._read = index, see, read
        self._tail = Tail(index)
        self._version = 0
        self._pages: dict[Hashable, tuple[Changes, int]] = {}  # of this version of the tail
        self._waiting: set[asyncio.Future[int]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._woken = 0.0
        self._forget: Callable[[], None] | None = None
        self._closed = False
        self.epoch = ""

    async def start(self) -> None:
        """Listen to the index from now on."""
        self.epoch = await self._index.run(_epoch)
        self._forget = self._index.listen(self._committed)
        self._closed = False

    def close(self) -> None:
        """Nobody waits any longer; for the end of the process."""
        self._closed = True
        if self._forget is not None:
            self._forget()
            self._forget = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._release(self._waiting)

    async def changes(self, caller: Caller, asked: ChangesAsked) -> Changes:
        """Raises BadRequest (no cursor, no query), CursorLost, Transient when the tracker stops meanwhile."""
        view = View(self._see(caller), asked.prefix, self._read(asked.query) if asked.query else None)
        commits = self._tail.commits
        number = await self._position(asked.since, commits)
        end = asyncio.get_running_loop().time() + asked.wait_ms / 1000
        while True:
            found, number = await self._shared(view, number, commits, asked.limit)
            left = end - asyncio.get_running_loop().time()
            if found.changes or found.more or left <= 0:
                return found
            commits = await self._wait(commits, left)

    def cursor(self, number: int) -> str:
        """A position in the order of changes, for clients."""
        return f"{self.epoch}.{number}"

    async def _position(self, since: str, commits: int) -> int:
        last = await self._tail.last(commits)
        if since in ("", "0"):
            return 0 if since else last
        epoch, dot, text = since.rpartition(".")
        if not dot or not epoch or not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise BadRequest(f"since={since!r} is no cursor; give one as it was answered, or 0 for everything")
        if int(text) > last and self._index.shared:  # another process may have told it, of a commit we hear of soon
            last = await self._index.read(lambda tx: tx.last_change())
        if epoch != self.epoch or int(text) > last:
            raise CursorLost(
                "this cursor belongs to another history (the tracker was restored from a backup);"
                " read everything anew with since=0"
            )
        return int(text)

    async def _shared(self, view: View, number: int, commits: int, limit: int) -> tuple[Changes, int]:
        """What a view shows after a number, and up to where. Many who follow alike are at one place: worked out once."""
        await self._tail.last(commits)
        version = self._tail.version
        if self._version != version or len(self._pages) > _SHARED:
            self._pages, self._version = {}, version
        place = view.key, number, limit
        known = self._pages.get(place)
        if known is None:
            found, page = await self._visible(view, number, commits, limit)
            changes = Changes(self.cursor(page.last), [self._told(entry) for entry in found], page.more)
            known = changes, page.last
            if self._tail.version == self._version == version and self._tail.holds(number):
                self._pages[place] = known
        return known

    async def _visible(self, view: View, number: int, commits: int, limit: int) -> tuple[list[Entry], Page]:
        """Up to `limit` entries the caller sees; the page returned ends behind what was looked at."""
        found: list[Entry] = []
        size = looked = 0
        while True:
            page = await self._tail.after(number, commits, limit)
            for entry in page.entries:
                if view.shows(entry):
                    if found and (len(found) == limit or size + len(entry.body) > _BYTES):
                        return found, Page((), number, True)
                    found.append(entry)
                    size += len(entry.body)
                number = entry.number
            number, looked = page.last, looked + len(page.entries)
            if not page.more or len(found) == limit or looked >= _SCAN:
                return found, Page((), number, page.more)

    def _told(self, entry: Entry) -> ChangeEntry:
        if not entry.body:
            return ChangeEntry(self.cursor(entry.number), "removed", entry.key)
        return ChangeEntry(self.cursor(entry.number), "element", entry.key, msgspec.Raw(entry.body))

    # --- waiting ---

    def _committed(self) -> None:
        self._tail.commits += 1
        if self._waiting:
            self._schedule()

    async def _wait(self, seen: int, seconds: float) -> int:
        """Until there are commits after the `seen` ones, at most so long; how many there are then."""
        if self._closed:
            raise Transient("the tracker is stopping; ask again when it is back")
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        if self._tail.commits > seen:
            self._schedule()
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except TimeoutError:
            return seen
        finally:
            self._waiting.discard(waiter)

    def _schedule(self) -> None:
        """At once after a quiet time, else after a pause that grows with the number of those who wait."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            pause = max(_PAUSE_S, len(self._waiting) * _PER_WAITER_S)
            self._timer = loop.call_later(max(0.0, self._woken + pause - loop.time()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._woken = asyncio.get_running_loop().time()
        self._slice(self._waiting.copy())

    def _slice(self, waiters: set[asyncio.Future[int]]) -> None:
        some = set(islice(waiters, _SLICE))
        self._release(some)
        waiters -= some
        if waiters:
            asyncio.get_running_loop().call_later(0.001, self._slice, waiters)

    def _release(self, waiters: set[asyncio.Future[int]]) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(self._tail.commits)


def _epoch(tx: Transaction) -> str:
    known = tx.meta(EPOCH)
    if known is None:
        known = secrets.token_hex(4)
        tx.set_meta(EPOCH, known)
    return known
