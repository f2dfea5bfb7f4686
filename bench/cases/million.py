"""Searches in an index of 1,000,000 elements, in process: what the index itself needs, without HTTP.

Every row is one kind of search with other values each time. The ratio column compares with the first row.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import Callable

from bench.measure import Row, Setting, Table
from everysite.decide.query import EVERYTHING, And, ChangedSince, Compare, Equals, Search
from everysite.index import sqlite
from everysite.index.sqlite import SqliteIndex
from everysite.model.clock import Version
from everysite.model.element import Body, Element

_ELEMENTS = 1_000_000
_SEARCHES = 200  # a round; the slow ones take some 30 ms
_START = 1_700_000_000_000
_SHOWS = 200
Make = Callable[[random.Random, int], Search]


def run(setting: Setting) -> Table:
    """Timed: so many searches after each other, each awaited."""
    rows = asyncio.run(_measured(setting))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    title = f"{_SEARCHES} searches in {setting.count(_ELEMENTS):,} elements ({memory} MB of memory at most)"
    return Table(title, rows, of=rows[0].name, rate=("searches/s", _SEARCHES))


def _body(number: int, chance: random.Random) -> Body:
    return {
        "author": "support",
        "time": _START + number * 7,
        "origin": ("paris", "rome", "oslo")[number % 3],
        "type": chance.choice(("shot", "asset", "task", "note")),
        "show": f"show{chance.randrange(_SHOWS)}",
        "n": chance.randrange(100_000),
        "meta": {"frame": number % 1000},
        "text": "x" * 400,
    }


async def _fill(index: SqliteIndex, count: int) -> None:
    chance = random.Random(1)
    for start in range(0, count, 1000):
        page = [
            Element(f"/project/{n % 997:03}/{n:07}.exr", _body(n, chance) | {"src_id": f"s{n // 10}"}, Version(1, 0))
            for n in range(start, min(count, start + 1000))
        ]
        await index.run(lambda tx, page=page: tx.elements.put(page))  # type: ignore[misc]
    for path in ("type", "show", "n", "meta.frame"):
        await index.run(lambda tx, path=path: tx.elements.add_index(path))  # type: ignore[misc]


def _show(chance: random.Random) -> Equals:
    return Equals("show", f"show{chance.randrange(_SHOWS)}")


_KINDS: dict[str, tuple[Make, bool]] = {
    "identifier": (lambda c, n: Search(Equals("_id", f"/project/{(k := c.randrange(n)) % 997:03}/{k:07}.exr")), False),
    "key, 10 found": (lambda c, n: Search(Equals("src_id", f"s{c.randrange(n // 10)}")), False),
    "key, first 10": (lambda c, n: Search(_show(c), limit=10), False),
    "nested key, first 10": (lambda c, n: Search(Equals("meta.frame", c.randrange(1000)), limit=10), False),
    "range, 100 found": (
        lambda c, n: Search(And((Compare("n", ">=", k := c.randrange(99_000)), Compare("n", "<", k + 10)))),
        False,
    ),
    "changed since": (lambda c, n: Search(ChangedSince(_START + (n - 100) * 7)), False),
    "folder": (
        lambda c, n: Search(
            And(
                (
                    Compare("_id", ">=", f"/project/{(k := c.randrange(996)):03}/"),
                    Compare("_id", "<", f"/project/{k:03}0"),
                )
            )
        ),
        False,
    ),
    "newest 50": (lambda c, n: Search(EVERYTHING, (("time", -1),), limit=50), False),
    "key, counted": (lambda c, n: Search(_show(c), limit=100), True),
    "2 keys, order, counted": (
        lambda c, n: Search(And((_show(c), Equals("type", "shot"))), (("time", -1),), limit=50),
        True,
    ),
}


async def _measured(setting: Setting) -> list[Row]:
    index = sqlite.open(str(setting.work / "index.db"))
    count = setting.count(_ELEMENTS, 1000)
    try:
        await _fill(index, count)
        return [
            await _row(index, name, make, counted, setting.rounds, count) for name, (make, counted) in _KINDS.items()
        ]
    finally:
        await index.close()


async def _row(index: SqliteIndex, name: str, make: Make, counted: bool, rounds: int, count: int) -> Row:
    row, each = Row(name), []
    chance = random.Random(2)
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(_SEARCHES):
            search, before = make(chance, count), time.perf_counter()
            await index.read(lambda tx, search=search: tx.elements.find(search, counted))  # type: ignore[misc]
            each.append(time.perf_counter() - before)
        row.seconds.append(time.perf_counter() - begun)
    row.values = {"p99 us": sorted(each)[int(len(each) * 0.99)] * 1e6}
    return row
