"""From the predicate tree to SQL conditions on the table `element`.

Owns: for each node two conditions, one that holds only if the node does, one that holds whenever the node does.
Must not know: connections, rows, sorting.

Where both are the same text the engine alone gives the answer. Where they differ (arrays, regular expressions, whole
objects), a row of which only the second holds is looked at with `decide.query_match`. A negation exchanges the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from everysite.decide.query import (
    And,
    AtSite,
    ChangedSince,
    Compare,
    Contains,
    Equals,
    Exists,
    Matches,
    Mod,
    Not,
    OneOf,
    Or,
    Predicate,
    TypeIs,
)
from everysite.index.sqlite_paths import DEEPER, FALSE, NULL, OBJECT, TRUE, Place, ranked, storable
from everysite.index.sqlite_patterns import literal_start, plain_text
from everysite.index.sqlite_rows import prefix_end
from everysite.index.sqlite_standing import StateKey

_DEEPEST = 60  # nested nodes; SQLite takes expressions 1,000 deep
_LONGEST_LIKE = 10_000  # SQLite refuses patterns above 50,000 bytes
_INLINE = 20  # values of IN written out; more travel as one JSON text
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition and what is bound to its question marks."""

    text: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """`sure` implies the node, the node implies `maybe`. Either may be NULL for false."""

    sure: Sql
    maybe: Sql

    @property
    def exact(self) -> bool:
        return self.sure == self.maybe


ALL, NONE = Sql("1"), Sql("0")
OPEN = Bounds(NONE, ALL)
Test = tuple[Sql, Sql]


class Where(Protocol):
    """What the tables offer."""

    def place(self, path: str) -> Place | StateKey: ...

    def standing(self, question: AtSite) -> str: ...


def bounds(node: Predicate, where: Where, depth: int = 0) -> Bounds:
    """The conditions of a node."""
    if depth > _DEEPEST:
        return OPEN
    match node:
        case And(parts):
            return _joined([bounds(part, where, depth + 1) for part in parts], "AND", ALL)
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
            return _at(where.place(node.path), node) if storable(node.path) else _nowhere(node)


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


def joined(parts: Sequence[Sql], word: str, empty: Sql) -> Sql:
    """All of them with AND or OR between. As a tree of low depth, since SQLite bounds the depth and not the width."""
    other = NONE if empty == ALL else ALL
    if other in parts:
        return other
    rest = [part for part in parts if part != empty]
    if not rest:
        return empty
    if len(rest) == 1:
        return rest[0]
    if len(rest) <= 8:
        return Sql("(" + f" {word} ".join(p.text for p in rest) + ")", tuple(v for p in rest for v in p.values))
    half = len(rest) // 2
    return joined([joined(rest[:half], word, empty), joined(rest[half:], word, empty)], word, empty)


def _at(place: Place | StateKey, node: Any) -> Bounds:
    if isinstance(node, OneOf):
        return _one_of(place, node)
    if isinstance(node, Exists) or (isinstance(node, Equals) and node.value is None):
        there = _there(place)
        return there if isinstance(node, Exists) else _null(place, there)
    if isinstance(place, StateKey):
        sure, maybe = _test(node, "value")
        return Bounds(Sql(place.where(sure.text), sure.values), Sql(place.where(maybe.text), maybe.values))
    if place.value == "key" and isinstance(node, Equals | Compare) and not isinstance(node.value, str):
        return _same(NONE)  # a column of texts would take a number for its digits
    sure, maybe = _test(node, place.value)
    return _hinted(place, node, Bounds(sure, _or_deeper(place, node, maybe)))


def _or_deeper(place: Place, node: Any, maybe: Sql) -> Sql:
    if not place.deeper or maybe == ALL:
        return maybe
    return joined([maybe, Sql(f"{place.value} = {DEEPER}")], "OR", NONE)


def _hinted(place: Place, node: Any, found: Bounds) -> Bounds:
    """Without an index: the text that must stand in a body is looked for before the body is parsed, at a third of the cost."""
    if not place.key or place.indexed or found.maybe in (ALL, NONE):
        return found
    is_text = isinstance(node, Equals) and isinstance(node.value, str)
    text = _encode(node.value).decode() if is_text else place.key
    hint = Sql("instr(body, ?)", (text,))
    return Bounds(joined([hint, found.sure], "AND", ALL), joined([hint, found.maybe], "AND", ALL))


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
    plain = [value for value in node.values if _plain(value)]
    parts = [_at(place, Equals(node.path, value)) for value in node.values if not _plain(value)]
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


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and _exact(value)


def _exact(value: str | int | float) -> bool:
    if isinstance(value, str):
        return storable(value)
    return -(2**63) <= value < 2**63


def _test(node: Any, value: str) -> Test:
    """(sure, maybe) for a value that is neither absent, null nor DEEPER; NULL counts as false."""
    test = _TESTS.get(type(node))
    return test(node, value) if test else (NONE, Sql(f"{value} = {DEEPER}"))


def _equals(node: Equals, value: str) -> Test:
    wanted = node.value
    if isinstance(wanted, bool):
        return _both(Sql(f"{value} = {TRUE if wanted else FALSE}"))
    if isinstance(wanted, dict | list):  # told apart outside, for {"a": 1} is {"a": 1.0}
        return NONE, Sql(f"{value} = {OBJECT if isinstance(wanted, dict) else DEEPER}")
    if isinstance(wanted, str) and not storable(wanted):
        return NONE, NONE
    found = Sql(f"{value} = ?", (ranked(wanted),))
    return (found, found) if _exact(wanted) else (NONE, found)


def _compare(node: Compare, value: str) -> Test:
    wanted, op = node.value, node.op
    if isinstance(wanted, bool):
        return _both(Sql(f"({value} {op} {TRUE if wanted else FALSE} AND {value} >= {FALSE})"))
    if isinstance(wanted, str):
        if not storable(wanted):
            return NONE, Sql(f"({value} >= '' AND {value} < {NULL})")
        edge = f"{value} < {NULL}" if op[0] == ">" else f"{value} >= ''"
        return _both(Sql(f"({value} {op} ? AND {edge})", (wanted,)))
    if isinstance(wanted, int | float):
        edge = f" AND {value} < ''" if op[0] == ">" else ""
        sure = Sql(f"({value} {op} ?{edge})", (ranked(wanted),))
        if _exact(wanted):
            return sure, sure
        return NONE, Sql(f"({value} {op[0]}= ?{edge})", (ranked(wanted),))
    return NONE, ALL


def _type_is(node: TypeIs, value: str) -> Test:
    maybe = joined([Sql(_TYPES[kind].replace("{k}", value)) for kind in node.types], "OR", NONE)
    return (maybe, maybe) if _EXACT_TYPES.issuperset(node.types) else (NONE, maybe)


_EXACT_TYPES = frozenset({"null", "bool", "number", "string", "object"})
_TYPES = {
    "null": f"{{k}} = {NULL}",
    "bool": f"{{k}} >= {FALSE}",
    "number": "{k} < ''",
    "int": "{k} < ''",
    "double": "{k} < ''",
    "string": f"({{k}} >= '' AND {{k}} < {NULL})",
    "object": f"{{k}} = {OBJECT}",
    "array": f"{{k}} = {DEEPER}",
}


def _contains(node: Contains, value: str) -> Test:
    """Case is folded outside where anything but ASCII is in play; LIKE does it for ASCII, up to a NUL."""
    text, odd = Sql(f"typeof({value}) = 'text'"), Sql(f"octet_length({value}) <> length({value})")
    folded = node.text.casefold()
    if not folded.isascii() or "\0" in folded or len(folded) > _LONGEST_LIKE:
        return NONE, joined([text, odd], "AND", ALL) if not folded.isascii() else text
    pattern = "%" + folded.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    like = Sql(f"{value} LIKE ? ESCAPE '\\'", (pattern,))
    return joined([text, like], "AND", ALL), joined([text, joined([like, odd], "OR", NONE)], "AND", ALL)


def _matches(node: Matches, value: str) -> Test:
    plain = plain_text(node.pattern, node.flags)
    if plain is not None:
        return _both(Sql(f"(typeof({value}) = 'text' AND instr({value}, ?))", (plain,)))
    start = literal_start(node.pattern, node.flags)
    end = prefix_end(start)
    if not start or end is None:
        return NONE, Sql(f"({value} >= '' AND {value} < {NULL})")
    return NONE, Sql(f"({value} >= ? AND {value} < ?)", (start, end))


def _mod(node: Mod, value: str) -> Test:
    return NONE, Sql(f"{value} < ''")


def _both(sql: Sql) -> Test:
    return sql, sql


_TESTS: dict[type, Callable[..., Test]] = {
    Equals: _equals,
    Compare: _compare,
    TypeIs: _type_is,
    Contains: _contains,
    Matches: _matches,
    Mod: _mod,
}
"""The others (Size, Member) are about arrays."""
