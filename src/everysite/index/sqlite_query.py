"""The leaves of a predicate as SQL conditions on SQLite's table `element`.

Owns: a leaf's two conditions, ranges, hints. Must not know: how leaves are put together (bounds), connections, rows, sorting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from everysite.decide.query import AtSite, Compare, Equals, Exists, Matches, OneOf
from everysite.index.bounds import Bounds, joined_bounds, same
from everysite.index.conditions import ALL, NONE, Sql, is_plain, joined, negated
from everysite.index.patterns import needed_text
from everysite.index.sqlite_paths import DEEPER, NULL, Place, ranked
from everysite.index.sqlite_standing import StateKey
from everysite.index.sqlite_value import test

_INLINE = 20  # values of IN written out; more travel as one JSON text
_encode = msgspec.json.Encoder().encode


class Where(Protocol):
    """What the tables offer."""

    def place(self, path: str) -> Place | StateKey: ...

    def standing(self, question: AtSite) -> str: ...


class Leaves:
    """See bounds.Leaves."""

    def __init__(self, where: Where) -> None:
        self._where = where

    def leaf(self, node: Any) -> Bounds:
        return _at(self._where.place(node.path), node)

    def between(self, low: Compare, high: Compare) -> Bounds:
        return _between(self._where.place(low.path), low, high)

    def standing(self, question: AtSite) -> str:
        return self._where.standing(question)


def _at(place: Place | StateKey, node: Any) -> Bounds:
    if isinstance(node, OneOf):
        return _one_of(place, node)
    if isinstance(node, Exists) or (isinstance(node, Equals) and node.value is None):
        there = _there(place)
        return there if isinstance(node, Exists) else _null(place, there)
    if isinstance(place, StateKey):
        sure, maybe = test(node, "value")
        return Bounds(Sql(place.where(sure.text), sure.values), Sql(place.where(maybe.text), maybe.values))
    if place.value == "key" and isinstance(node, Equals | Compare) and not isinstance(node.value, str):
        return same(NONE)  # a column of texts would take a number for its digits
    sure, maybe = test(node, place.value)
    return _hinted(place, node, Bounds(sure, _or_deeper(place, node, maybe)))


def _between(place: Place | StateKey, low: Compare, high: Compare) -> Bounds:
    """Without the edges that keep other types out: the engine takes one bound a side, and these are closer."""
    found = joined_bounds([_at(place, low), _at(place, high)], "AND", ALL)
    number = not isinstance(low.value, str)
    if isinstance(place, StateKey) or (place.value == "key" and number):
        return found
    tests = [Sql(f"{place.value} {node.op} ?", (ranked(node.value),)) for node in (low, high)]
    sure = joined(tests, "AND", ALL)
    if not place.deeper:
        return _hinted(place, low, Bounds(sure, sure))
    return _hinted(place, low, Bounds(sure, found.maybe))


def _or_deeper(place: Place, node: Any, maybe: Sql) -> Sql:
    if not place.deeper or maybe == ALL:
        return maybe
    return joined([maybe, Sql(f"{place.value} = {DEEPER}")], "OR", NONE)


def _hinted(place: Place, node: Any, found: Bounds) -> Bounds:
    """Without an index: the text that must stand in a body is looked for before the body is parsed, at a third of the cost."""
    if not place.key or place.index or found.maybe in (ALL, NONE):
        return found
    text = _standing_text(node) or place.key
    hint = Sql("instr(body, ?)", (text,))
    return Bounds(joined([hint, found.sure], "AND", ALL), joined([hint, found.maybe], "AND", ALL))


def _standing_text(node: Any) -> str:
    """What stands in the text of a body for which a leaf holds."""
    if isinstance(node, Equals) and isinstance(node.value, str):
        return _encode(node.value).decode()
    if isinstance(node, Matches):
        return _encode(needed_text(node.pattern, node.flags)).decode()[1:-1]
    return ""


def _there(place: Place | StateKey) -> Bounds:
    if isinstance(place, StateKey):
        return same(Sql(place.where()))
    maybe = Sql(f"{place.value} IS NOT NULL")
    sure = Sql(f"({place.value} IS NOT NULL AND {place.value} <> {DEEPER})") if place.deeper else maybe
    return _hinted(place, None, Bounds(sure, maybe))


def _null(place: Place | StateKey, there: Bounds) -> Bounds:
    """Equal to null: absent, or null. (In an array: DEEPER.)"""
    if isinstance(place, StateKey):
        return Bounds(negated(there.maybe), negated(there.sure))
    absent, null = Sql(f"{place.value} IS NULL"), [Sql(f"{place.value} = {NULL}")] * place.nulls
    sure = joined([absent, *null], "OR", NONE)
    return Bounds(sure, _or_deeper(place, None, sure))


def _one_of(place: Place | StateKey, node: OneOf) -> Bounds:
    plain = [value for value in node.values if is_plain(value)]
    parts = [_at(place, Equals(node.path, value)) for value in node.values if not is_plain(value)]
    if len(plain) == 1:
        parts.append(_at(place, Equals(node.path, plain[0])))
    elif plain:
        parts.append(_in(place, plain))
    return joined_bounds(parts, "OR", NONE)


def _in(place: Place | StateKey, plain: Sequence[str | int | float]) -> Bounds:
    if isinstance(place, Place) and place.value == "key":
        plain = [value for value in plain if isinstance(value, str)]
    marks, values = ",".join("?" * len(plain)), tuple(plain)
    if len(plain) > _INLINE:
        marks, values = "SELECT value FROM json_each(?)", (_encode(plain).decode(),)
    if isinstance(place, StateKey):
        return same(Sql(place.where(f"value IN ({marks})"), values))
    sure = Sql(f"{place.value} IN ({marks})", values)
    return _hinted(place, None, Bounds(sure, _or_deeper(place, None, sure)))
