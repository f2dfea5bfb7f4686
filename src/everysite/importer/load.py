"""A dump into a tracker: what is missing is made, what is there is compared, all is checked at the end.

Owns: the order (sites and users first), batches, finding the one that is refused among many, what is told afterwards.
Must not know: the form of the dump, the index behind the tracker, what is printed.

Every batch is a request like any other, so a run that was killed is simply started again: what came is there already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
from blake3 import blake3

from everysite.errors import Refused
from everysite.importer.compare import Sum, extra, same
from everysite.importer.convert import FIRST, Coming, converted, kind_of
from everysite.importer.json_texts import Found
from everysite.importer.values import Unfit
from everysite.model.element import Body
from everysite.tracker.contract import CREATE, READ, SITES, UPDATE
from everysite.tracker.messages import Ids, Items, Nothing
from everysite.tracker.operation import Tracker
from everysite.tracker.settings import GLOBALS, GLOBALS_KEY

_BATCH = 1000  # elements of one request
_BYTES = 4 << 20  # of them as JSON; a single one may be larger

Dump = Callable[[bool], Iterator[Found]]
"""Reads the dump from its beginning; True: with its checksums."""


class Told(Protocol):
    """Hears of each element that did not simply come: `what` is refused, differs or note."""

    def __call__(self, what: str, place: str, key: str, why: str) -> None: ...


class Outcome(msgspec.Struct):
    """What an import did. `verified` of `read` documents are there as the dump has them, with the sum `digest`."""

    read: int = 0
    came: dict[str, int] = {}  # kind -> elements that were made
    there: int = 0  # were there already, the same
    overwritten: int = 0
    differing: int = 0
    refused: int = 0
    verified: int = 0
    digest: str = ""
    sound: bool = False  # what was verified is what should be there


class Loading:
    """One run. `progress` hears the number of documents that are done."""

    def __init__(
        self,
        tracker: Tracker,
        dump: Dump,
        told: Told,
        overwrite: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._tracker, self._dump, self._told, self._overwrite = tracker, dump, told, overwrite
        self._progress = progress or (lambda count: None)
        self._came: Counter[str] = Counter()
        self._apart: set[bytes] = set()  # places of what did not come as it is
        self._sites: set[str] = set()
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """Raises what the dump raises: before anything is written, for all of it is read once at the beginning."""
        first = self._survey()
        for kind in FIRST:
            await self._load(iter([found for each, found in first if each == kind]))
            self._sites |= {site.name for site in (await self._tracker.call(SITES, Nothing())).sites}
        await self._load(found for found in self._dump(False) if found.body is None or kind_of(found.body) not in FIRST)
        await self._verify()
        self._outcome.came = dict(self._came)
        return self._outcome

    def _survey(self) -> list[tuple[str, Found]]:
        first: list[tuple[str, Found]] = []
        for found in self._dump(True):
            self._outcome.read += 1
            if found.body is not None and (kind := kind_of(found.body)) in FIRST:
                first.append((kind, found))
        return first

    # --- bringing in ---

    async def _load(self, dump: Iterator[Found]) -> None:
        for batch in self._batches(dump, self._refuse):
            answer = await self._tracker.call(READ, Ids([coming.key for coming in batch]))
            fresh: list[Coming] = []
            for coming, there in zip(batch, answer.items, strict=True):
                if there is None:
                    fresh.append(coming)
                elif same(coming, there):
                    self._outcome.there += 1
                else:
                    await self._differs(coming, there)
            await self._create(fresh)
            self._progress(self._done)

    @property
    def _done(self) -> int:
        found = self._outcome
        return sum(self._came.values()) + found.there + found.overwritten + found.differing + found.refused

    def _batches(self, dump: Iterator[Found], refuse: Callable[[Found, str], None]) -> Iterator[list[Coming]]:
        """Elements that can come, of different identifiers in each batch."""
        batch: dict[str, Coming] = {}
        size = 0
        for found in dump:
            try:
                coming = _coming(found, self._sites)
            except Unfit as err:
                refuse(found, str(err))
                continue
            if len(batch) == _BATCH or size > _BYTES or coming.key in batch:
                yield list(batch.values())
                batch, size = {}, 0
            batch[coming.key] = coming
            size += len(msgspec.json.encode(coming.body))
        if batch:
            yield list(batch.values())

    async def _create(self, batch: list[Coming]) -> None:
        """All or none come; where one is refused, the halves are tried, down to that one."""
        if not batch:
            return
        try:
            await self._tracker.call(CREATE, Items([coming.item for coming in batch]))
        except Refused as err:
            if len(batch) == 1:
                self._refuse(batch[0], str(err))
                return
            half = len(batch) // 2
            await self._create(batch[:half])
            await self._create(batch[half:])
            return
        for coming in batch:
            self._came[coming.kind] += 1
            for note in coming.notes:
                self._told("note", coming.place, coming.key, note)

    async def _differs(self, coming: Coming, there: Body) -> None:
        untouched = coming.key == GLOBALS_KEY and {**there, **GLOBALS} == there and there.get("author") == "support"
        if not (self._overwrite or untouched):
            keys = [key for key in coming.body if coming.body[key] != there.get(key)] + extra(coming, there)
            self._told("differs", coming.place, coming.key, f"here and in the dump: {', '.join(sorted(keys)[:10])}")
            self._outcome.differing += 1
            self._apart.add(_mark(coming.place))
            return
        try:
            await self._replace(coming, there)
        except Refused as err:
            self._refuse(coming, str(err))
            return
        if untouched and not self._overwrite:
            self._came[coming.kind] += 1
        else:
            self._outcome.overwritten += 1

    async def _replace(self, coming: Coming, there: Body) -> None:
        """Every key as the dump has it; keys it does not know go. Raises Refused."""
        if any("." in key for key in coming.body):
            raise Unfit("a key has a dot in it; remove the element, then import again")
        change = {**coming.item, **dict.fromkeys(extra(coming, there))}
        for _ in range(2):  # another origin moves `time` to now, which the second time puts back
            [now] = (await self._tracker.call(UPDATE, Items([change]))).items
            if now is not None and same(coming, now):
                return
        raise Unfit("it cannot be made what the dump says; remove the element, then import again")

    def _refuse(self, found: Found | Coming, why: str) -> None:
        self._outcome.refused += 1
        self._apart.add(_mark(found.place))
        key = found.key if isinstance(found, Coming) else str((found.body or {}).get("_id", ""))
        self._told("refused", found.place, key, why)

    # --- checking ---

    async def _verify(self) -> None:
        """Read the dump once more, and each of its elements from the index: both sums have to be the same."""
        wanted, found = Sum(), Sum()
        dump = (each for each in self._dump(False) if _mark(each.place) not in self._apart)
        for batch in self._batches(dump, lambda each, why: None):
            answer = await self._tracker.call(READ, Ids([coming.key for coming in batch]))
            for coming, there in zip(batch, answer.items, strict=True):
                wanted.add(coming, coming.body)
                if there is not None:
                    found.add(coming, there)
        outcome = self._outcome
        outcome.verified, outcome.digest = found.count, found.digest
        outcome.sound = (found.count, found.digest) == (
            wanted.count,
            wanted.digest,
        ) and found.count == outcome.read - outcome.differing - outcome.refused


def _coming(found: Found, sites: set[str]) -> Coming:
    if found.body is None:
        raise Unfit(found.problem)
    return converted(found.place, found.body, sites)


def _mark(place: str) -> bytes:
    return blake3(place.encode()).digest(16)
