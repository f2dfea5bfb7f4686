"""A whole index from one database into another while it is in use, verified.

Owns: the passes of a copy, when the last one may begin, what is verified. Must not know: engines, homes, the terminal.

What carries a number that grows with every write (elements, tombstones, copies at sites, history, audit) is followed by
that number, however often: the place reached is kept in the target, in the commit that brought the rows. All else, and what
was removed without a trace, is found by the last pass. That reads both sides in the order of keys while nobody writes,
repairs each stretch that differs, and adds up what it reads back; so it also verifies.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from everysite.errors import Conflict, Refused
from everysite.index.copied_tables import COPIED, Row, Sum, Table

PAGE = 500  # rows in memory at once, of each side
_PAUSE_S = 1.0
_SOURCE = "source"  # the note that tells which index this is a copy of

Hold = Callable[[], contextlib.AbstractContextManager[object]]
Said = Callable[[str, int], None]


class Source(Protocol):
    """The database that is read."""

    place: str

    def page(self, table: Table, by: Sequence[str], after: Row | None, upto: Row | None, limit: int) -> list[Row]:
        """Rows after one place up to another, in the order of the columns `by`; None: no bound there."""

    def epoch(self) -> str:
        """Which history this is; '' when no tracker ever ran here."""

    def added(self) -> frozenset[str]:
        """Paths that an admin had indexed."""

    def frozen(self) -> contextlib.AbstractContextManager[object]:
        """Nobody writes while the block runs, and all reads see one state. Raises Conflict when somebody has it open."""


class Target(Protocol):
    """The database that is filled. No tracker can open it before `finish`."""

    place: str

    def page(self, table: Table, by: Sequence[str], after: Row | None, upto: Row | None, limit: int) -> list[Row]:
        """As of the source."""

    def count(self, table: Table) -> int: ...

    def notes(self) -> dict[str, str]: ...

    def put(self, table: Table, rows: Sequence[Row], notes: Mapping[str, str]) -> None:
        """In one commit with the notes. What shares a unique value with a new row gives way to it."""

    def replace(self, table: Table, after: Row | None, upto: Row | None, rows: Sequence[Row]) -> None:
        """These rows are all there is in this range of the key. In one commit."""

    def index(self, paths: Iterable[str]) -> None:
        """These paths, and no others, are indexed beside those that always are."""

    def finish(self) -> None:
        """It is an index like any other from now on."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was verified of one table: the same on both sides."""

    table: str
    rows: int
    digest: str


def copy(source: Source, target: Target, hold: Hold, said: Said, wait_s: float, page: int = PAGE) -> list[Copied]:
    """Bring everything over. `hold` keeps trackers from starting during the last pass, and raises Conflict while one runs;
    that is waited for, `wait_s` at most. `said(what, rows)` hears of every page, and of what is
    waited for with 0 rows.

    Raises Refused (the target is a copy of something else; the two sides differ at the end), Conflict (a tracker was not
    stopped in time), SiteUnreachable, TargetFull. After any of them, and after a kill, the next call goes on.
    """
    _same_source(source, target)
    places = {name: int(value) for name, value in target.notes().items() if name != _SOURCE}
    run = _Run(source, target, places, said, page)
    run.follow()
    end = time.monotonic() + wait_s
    while True:
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(hold())
                stack.enter_context(source.frozen())
                return run.last()
        except Conflict as err:
            if time.monotonic() > end:
                raise
            said(str(err), 0)
        time.sleep(_PAUSE_S)
        run.follow()


def _same_source(source: Source, target: Target) -> None:
    """Numbers of two histories must not be mixed."""
    known, now = target.notes().get(_SOURCE), source.epoch()
    if known is None:
        target.put(COPIED[0], (), {_SOURCE: now})
    elif known != now:
        raise Refused(
            f"{target.place} holds an unfinished copy of another index, or of {source.place} before it was restored;"
            " remove it, or name another database"
        )


class _Run:
    """One call of `copy`. `places`: table -> the last number of it that is in the target."""

    def __init__(self, source: Source, target: Target, places: dict[str, int], said: Said, page: int) -> None:
        self._source, self._target, self._places, self._said, self._page = source, target, places, said, page

    def follow(self) -> None:
        """Everything that changed since the last time."""
        for table in COPIED:
            if table.grows:
                self._follow(table)

    def _follow(self, table: Table) -> None:
        by = (table.grows,)
        rows: list[Row] | None = None
        while rows is None or len(rows) == self._page:
            rows = self._source.page(table, by, (self._places.get(table.name, 0),), None, self._page)
            if not rows:
                return
            [place] = table.at(rows[-1], by)
            self._target.put(table, rows, {table.name: str(place)})
            self._places[table.name] = place
            self._said(table.name, len(rows))

    def last(self) -> list[Copied]:
        """While nobody writes."""
        _same_source(self._source, self._target)
        self.follow()
        found = [self._settled(table) for table in COPIED]
        for table, one in zip(COPIED, found, strict=True):
            if (there := self._target.count(table)) != one.rows:
                raise Refused(_differs(self._target.place, table, f"{there} rows instead of {one.rows}"))
        self._target.index(self._source.added())
        self._target.finish()
        return found

    def _settled(self, table: Table) -> Copied:
        here, there = Sum(), Sum()
        after: Row | None = None
        while True:
            rows = self._source.page(table, table.key, after, None, self._page)
            upto = table.at(rows[-1], table.key) if len(rows) == self._page else None
            here.add(rows)
            there.add(self._repaired(table, after, upto, rows))
            if rows:
                self._said(f"{table.name}, verifying", len(rows))
            if upto is None:
                break
            after = upto
        if (here.count, here.digest) != (there.count, there.digest):
            raise Refused(_differs(self._target.place, table, f"digest {there.digest} instead of {here.digest}"))
        return Copied(table.name, here.count, here.digest)

    def _repaired(self, table: Table, after: Row | None, upto: Row | None, rows: list[Row]) -> list[Row]:
        """What the target has in this range when it has been made the same."""
        there = self._target.page(table, table.key, after, upto, self._page + 1)
        if there == rows:
            return there
        self._target.replace(table, after, upto, rows)
        return self._target.page(table, table.key, after, upto, self._page + 1)


def _differs(place: str, table: Table, how: str) -> str:
    return f"{place}: table {table.name} is not what it should be ({how}); it was not put to use, copy again"
