"""From the predicate tree to SQL conditions on the table `element`.

Owns: for each node two conditions, one that holds only if the node does, one that holds whenever the node does.
Must not know: connections, rows, sorting.

Where both are the same text the engine alone gives the answer. Where they differ (arrays, regular expressions, whole
objects), a row of which only the second holds is looked at with `decide.query_match`. A negation exchanges the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from everysite.decide.query import (
    And,
    AtSite,
    ChangedSince,
    Compare,
    Equals,
    Exists,
    Matches,
    Not,
    OneOf,
    Or,
    Predicate,
)
from everysite.index.sqlite_paths import DEEPER, NULL, Place, findable, ranked
from everysite.index.sqlite_patterns import needed_text
from everysite.index.sqlite_standing import StateKey
from everysite.index.sqlite_value import ALL, NONE, Sql, is_plain, joined, test

_DEEPEST = 60  # nested nodes; SQLite takes expressions 1,000 deep
_INLINE = 20  # values of IN written out; more travel as one JSON text
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Bounds:
    """`sure` implies the node, the node implies `maybe`. Either may be NULL for false."""

    sure: Sql
    maybe: Sql

    @property
    def exact(self) -> bool:
        return self.sure == self.maybe


OPEN = Bounds(NONE, ALL)


class Where(Protocol):
    """What the tables offer."""

    def place(self, path: str) -> Place | StateKey: ...

    def standing(self, question: AtSite) -> str: ...


@dataclass(frozen=True, slots=True)
class Between:
    """Two comparisons of one path that bound values of one type from both sides: one range of an index."""

    low: Compare
    high: Compare


Part = Predicate | Between


def conjuncts(node: Predicate) -> list[Part]:
    """What all must hold, with Ands in Ands unfolded and ranges paired."""
    flat: list[Part] = []
    highs: dict[tuple[str, bool], Compare] = {}
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, And):
            waiting += reversed(one.parts)
        elif isinstance(one, Compare) and one.op[0] == "<" and _bounding(one) and _side(one) not in highs:
            highs[_side(one)] = one
        else:
            flat.append(one)
    for i, part in enumerate(flat):
        if isinstance(part, Compare) and part.op[0] == ">" and _bounding(part) and _side(part) in highs:
            flat[i] = Between(part, highs.pop(_side(part)))
    return [*flat, *highs.values()]


def _bounding(node: Compare) -> bool:
    return is_plain(node.value) and findable(node.path)


def _side(node: Compare) -> tuple[str, bool]:
    return node.path, isinstance(node.value, str)


def all_of(parts: Sequence[Bounds]) -> Bounds:
    """That all of them hold."""
    return _joined(parts, "AND", ALL)


def every(parts: Sequence[Part], where: Where, depth: int = 0) -> Bounds:
    """The conditions of all of them together."""
    return all_of([bounds(part, where, depth) for part in parts])


def bounds(node: Part, where: Where, depth: int = 0) -> Bounds:
    """The conditions of a node."""
    if depth > _DEEPEST:
        return OPEN
    match node:
        case And():
            return every(conjuncts(node), where, depth + 1)
        case Between(low, high):
            return _between(where.place(low.path), low, high)
        case Or(parts):
            return _joined([bounds(part, where, depth + 1) for part in parts], "OR", NONE)
        case Not(part):
            inner = bounds(part, where, depth + 1)
            return Bounds(_not(inner.maybe), _not(inner.sure))
        case AtSite():
            return _same(Sql(where.standing(node)))
        case ChangedSince(ms):
            return _at(where.place("time"), Compare("time", ">", ms))
        case _:
            return _at(where.place(node.path), node) if findable(node.path) else _nowhere(node)


def _same(sql: Sql) -> Bounds:
    return Bounds(sql, sql)


def _nowhere(node: Any) -> Bounds:
    """Of a path that no body can have."""
    absent = (isinstance(node, Equals) and node.value is None) or (isinstance(node, OneOf) and None in node.values)
    return _same(ALL if absent else NONE)


def _not(sql: Sql) -> Sql:
    if sql in (ALL, NONE):
        return NONE if sql == ALL else ALL
    return Sql(f"({sql.text}) IS NOT TRUE", sql.values)


def _joined(parts: Sequence[Bounds], word: str, empty: Sql) -> Bounds:
    sure, maybe = (joined(sqls, word, empty) for sqls in ([p.sure for p in parts], [p.maybe for p in parts]))
    return Bounds(sure, maybe)


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
        return _same(NONE)  # a column of texts would take a number for its digits
    sure, maybe = test(node, place.value)
    return _hinted(place, node, Bounds(sure, _or_deeper(place, node, maybe)))


def _between(place: Place | StateKey, low: Compare, high: Compare) -> Bounds:
    """Without the edges that keep other types out: the engine takes one bound a side, and these are closer."""
    found = _joined([_at(place, low), _at(place, high)], "AND", ALL)
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
        return _same(Sql(place.where()))
    maybe = Sql(f"{place.value} IS NOT NULL")
    sure = Sql(f"({place.value} IS NOT NULL AND {place.value} <> {DEEPER})") if place.deeper else maybe
    return _hinted(place, None, Bounds(sure, maybe))


def _null(place: Place | StateKey, there: Bounds) -> Bounds:
    """Equal to null: absent, or null. (In an array: DEEPER.)"""
    if isinstance(place, StateKey):
        return Bounds(_not(there.maybe), _not(there.sure))
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
    return _joined(parts, "OR", NONE)


def _in(place: Place | StateKey, plain: Sequence[str | int | float]) -> Bounds:
    if isinstance(place, Place) and place.value == "key":
        plain = [value for value in plain if isinstance(value, str)]
    marks, values = ",".join("?" * len(plain)), tuple(plain)
    if len(plain) > _INLINE:
        marks, values = "SELECT value FROM json_each(?)", (_encode(plain).decode(),)
    if isinstance(place, StateKey):
        return _same(Sql(place.where(f"value IN ({marks})"), values))
    sure = Sql(f"{place.value} IN ({marks})", values)
    return _hinted(place, None, Bounds(sure, _or_deeper(place, None, sure)))
