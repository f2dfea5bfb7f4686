"""Which index a search goes by.

Owns: the choice among the indexes that lead to what is asked for. Must not know: sorting of values, rows.

The engine keeps no statistics: with two indexed conditions it guesses, and a wrong guess reads a hundred times the rows.
Here each condition is counted in its own index, up to a bound, before one is named to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from everysite.decide.query import ChangedSince, Compare, Equals, Matches, OneOf, Search
from everysite.index.bounds import Between, Bounds, Part, bounds, conjuncts, joined_bounds
from everysite.index.conditions import ALL, Sql, findable, is_plain
from everysite.index.patterns import literal_start
from everysite.index.sqlite_paths import Place
from everysite.index.sqlite_places import Places
from everysite.index.sqlite_query import Leaves

_BOUNDS = (500, WIDE := 20_000)  # rows counted of each condition, first few; counting WIDE takes a millisecond


@dataclass(frozen=True, slots=True)
class Way:
    """`source` is what stands after FROM. `few`: less than WIDE rows are read. `early`: nothing leads to few, but the oldest
    rows may well hold as many as are asked for. `sought`: other conditions, with the indexes that tell them of a row."""

    source: str = "element"
    few: bool = False
    early: bool = False
    sought: tuple[tuple[Part, str], ...] = ()

    def where(self, parts: Sequence[Part], places: Places) -> Bounds:
        """All of the conditions. What an index tells of a row is asked there, at a fifth of the cost of reading its body."""
        found = []
        for part in parts:
            index = next((index for known, index in self.sought if known is part), "")
            found.append(_told(part, index, places) if index else bounds(part, Leaves(places)))
        return joined_bounds(found, "AND", ALL)


def _told(part: Part, index: str, places: Places) -> Bounds:
    """As a scalar, since the engine makes a join of EXISTS and may begin it at the wrong end."""
    where = bounds(part, Leaves(places)).maybe
    rows = f"SELECT 1 FROM element AS other INDEXED BY {index} WHERE other.id = element.id AND {where.text}"
    told = Sql(f"ifnull(({rows}), 0)", where.values)
    return Bounds(told, told)


@dataclass(frozen=True, slots=True)
class _Lead:
    """A condition that an index leads to. `equal`: its rows come oldest first."""

    part: Part
    index: str
    equal: bool


def choose(db: apsw.Connection, places: Places, search: Search, counted: bool) -> Way:
    """The way of a search."""
    leads = [lead for part in conjuncts(search.where) if (lead := _lead(part, places)) is not None]
    if not leads:
        return Way()
    walk = _walk(search, places)
    if len(leads) == 1 and leads[0].equal and not walk and not (search.sort and not counted):
        return Way(f"element INDEXED BY {leads[0].index}", few=False)
    best = _fewest(db, places, leads)
    if best is not None:
        sought = tuple(
            (lead.part, lead.index) for lead in leads if lead.equal and lead.index not in (best.index, "element_key")
        )
        return Way(f"element INDEXED BY {best.index}", few=True, sought=sought)
    if walk and search.limit and not counted:
        return Way(f"element INDEXED BY {walk}")
    wide = next((lead for lead in leads if lead.equal), leads[0])
    early = bool(search.limit) and not (counted or search.sort or wide.equal)
    return Way(f"element INDEXED BY {wide.index}", early=early)


def _lead(part: Part, places: Places) -> _Lead | None:
    path = _path(part)
    if path is None or not findable(path):
        return None
    place = places.place(path)
    if not isinstance(place, Place) or not place.index or place.deeper:
        return None
    return _Lead(part, place.index, isinstance(part, Equals))


def _path(part: Part) -> str | None:
    """The path of a condition on one range, or few values, of it; else None."""
    match part:
        case Equals(path, value) | Compare(path, _, value) if is_plain(value):
            return path
        case OneOf(path, values) if values and all(is_plain(value) for value in values):
            return path
        case Matches(path, pattern, flags) if literal_start(pattern, flags):
            return path
        case Between(low, _):
            return low.path
        case ChangedSince():
            return "time"
        case _:
            return None


def _walk(search: Search, places: Places) -> str:
    """The index that has every row in the order asked for; '' when there is none."""
    if not search.sort or not findable(search.sort[0][0]):
        return ""
    place = places.place(search.sort[0][0])
    ordered = isinstance(place, Place) and place.whole and not (place.deeper or place.nulls)
    return place.index if ordered and isinstance(place, Place) else ""


def _fewest(db: apsw.Connection, places: Places, leads: list[_Lead]) -> _Lead | None:
    """The condition that holds for the fewest rows; None: all of them for WIDE or more."""
    for bound in _BOUNDS:
        size, _, lead = min((_size(db, places, lead, bound), i, lead) for i, lead in enumerate(leads))
        if size < bound:
            return lead
    return None


def _size(db: apsw.Connection, places: Places, lead: _Lead, bound: int) -> int:
    where = bounds(lead.part, Leaves(places)).maybe
    sql = f"SELECT count(*) FROM (SELECT 1 FROM element INDEXED BY {lead.index} WHERE {where.text} LIMIT {bound})"
    return int(next(db.execute(sql, where.values))[0])
