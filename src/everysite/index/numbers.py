"""Numbers that are never given twice: ids, change numbers, seq, the clock.

Owns: handing out ranges of numbers without a query a row. Must not know: what they are for, how an engine keeps the last.
"""

from __future__ import annotations

from collections.abc import Iterable

from everysite.model.clock import Version, tick


class Numbers:
    """The counters during one transaction. A unit that is rolled back leaves a gap, never a number used twice."""

    def __init__(self, writes: bool) -> None:
        self._writes = writes
        self._values: dict[str, int] = {}
        self._dirty: set[str] = set()

    def begin(self, last: Iterable[tuple[str, int]]) -> None:
        """At the start of a transaction: (name, last number given out)."""
        self._values = dict(last)
        self._dirty.clear()

    def changed(self) -> list[tuple[str, int]]:
        """What has to be kept before the commit; asked a second time, what was given out since."""
        news = [(name, self._values[name]) for name in sorted(self._dirty)]
        self._dirty.clear()
        return news

    def take(self, name: str, count: int = 1) -> int:
        """The first of `count` numbers in a row that are the caller's now. Numbers start at 1."""
        last = self._values.get(name, 0)
        self._set(name, last + count)
        return last + 1

    def last(self, name: str) -> int:
        """The last one given out, 0 before the first."""
        return self._values.get(name, 0)

    def stamp(self, now: int) -> Version:
        """The next version of the clock."""
        last = Version(self._values.get("clock.ms", 0), self._values.get("clock.counter", 0))
        version = tick(last, now)
        self._set("clock.ms", version.ms)
        self._set("clock.counter", version.counter)
        return version

    def _set(self, name: str, value: int) -> None:
        if not self._writes:
            raise TypeError("a unit given to read() wants to write; give it to run()")
        self._values[name] = value
        self._dirty.add(name)
