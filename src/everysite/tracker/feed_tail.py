"""The newest changes, read once and shared by everybody who follows the feed.

Owns: reading changes from the index with the elements as clients see them, the tail kept in memory.
Must not know: who may see what, who waits.

Change numbers grow in the order of commits, so what was read up to a number is complete up to it. A thing changed twice
is in the index once, at its newest number; within one page an element that changed in several ways (its keys, its copy at
a site) is one entry.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from everysite.index.contract import Index, Transaction
from everysite.model.element import Body
from everysite.tracker.states import compose

_STEP = 128  # changes read at once: some 2 ms of work
_ENTRIES = 20_000  # kept in memory, at most
_BYTES = 32 << 20
SECRET = "password"
"""A key nobody is ever told, whoever wrote it."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Entry:
    """A change. `body`: the element as clients see it, as JSON; b'' when it is gone."""

    number: int
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Entries after a number. `last`: everything up to here was looked at. `more`: there was more behind it."""

    entries: Sequence[Entry]
    last: int
    more: bool


class Tail:
    """Of one index. `commits` counts what was committed since it was made."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._entries: list[Entry] = []
        self._bytes = 0
        self._start = self._last = -1  # the entries are all changes after _start, up to _last; -1: nothing was read yet
        self._seen = -1  # the commits that are in it
        self._reading: asyncio.Task[None] | None = None
        self.commits = 0
        self.version = 0  # another one whenever something was added

    async def after(self, number: int, commits: int, limit: int) -> Page:
        """What changed after a number, with at least the first `commits` commits in it."""
        await self._catch_up(commits)
        if not self.holds(number):
            return await self._index.read(lambda tx: read(tx, number, min(limit, _STEP)), scan=True)
        first = bisect_right(self._entries, number, key=lambda entry: entry.number)
        found = self._entries[first : first + limit]
        more = first + limit < len(self._entries)
        return Page(found, found[-1].number if more else max(self._last, number), more)

    def holds(self, number: int) -> bool:
        """Whether everything after a number is in memory."""
        return number >= self._start

    async def last(self, commits: int) -> int:
        """The newest change number."""
        await self._catch_up(commits)
        return self._last

    async def _catch_up(self, commits: int) -> None:
        """One reads for all who ask meanwhile."""
        while self._seen < commits:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(), name="feed")
            await asyncio.shield(self._reading)

    async def _read(self) -> None:
        commits = self.commits
        newest = await self._index.read(lambda tx: tx.last_change())
        self.version += newest > self._last
        if self._last < 0 or newest - self._last > _ENTRIES:
            self._entries, self._bytes, self._start, self._last = [], 0, newest, newest
        while self._last < newest:
            page = await self._index.read(_next(self._last))
            self._add(page.entries)
            self._last = page.last
            self.version += 1
            await asyncio.sleep(0)  # short reads do not leave the loop by themselves
        self._seen = commits

    def _add(self, entries: Sequence[Entry]) -> None:
        self._entries += entries
        self._bytes += sum(len(entry.body) for entry in entries)
        if len(self._entries) > _ENTRIES or self._bytes > _BYTES:
            self._trim()

    def _trim(self) -> None:
        """Half of it goes, so that this happens seldom."""
        count = 0
        while len(self._entries) - count > _ENTRIES // 2 or (self._bytes > _BYTES // 2 and count < len(self._entries)):
            self._bytes -= len(self._entries[count].body)
            count += 1
        self._start = self._entries[count - 1].number
        del self._entries[:count]


def _next(after: int) -> Callable[[Transaction], Page]:
    return lambda tx: read(tx, after, _STEP)


def read(tx: Transaction, after: int, limit: int) -> Page:
    """The page of changes after a number, from the index itself."""
    changes = tx.changes(after, limit)
    more = len(changes) == limit
    newest = {change.key: change for change in changes}  # later ones take the place of earlier ones
    ordered = [change for change in changes if newest[change.key] is change]
    keys = [change.key for change in ordered if change.kind != "tombstone"]
    bodies = dict(zip(keys, compose(tx, tx.elements.get(keys)), strict=True))
    entries = [Entry(change.number, change.key, _encoded(bodies.get(change.key))) for change in ordered]
    # Without more to come, the numbers behind the last change were given out and left unused.
    return Page(entries, changes[-1].number if more else max(after, tx.last_change()), more)


def _encoded(body: Body | None) -> bytes:
    if body is None:
        return b""
    if SECRET in body:
        body = {key: value for key, value in body.items() if key != SECRET}
    return _encode(body)
