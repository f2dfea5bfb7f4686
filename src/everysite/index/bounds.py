"""From the predicate tree to SQL conditions on the table `element`, of either engine.

Owns: for each node two conditions, one that holds only if the node does, one that holds whenever the node does; pairing
comparisons to ranges. Must not know: what a leaf is in the words of one engine, connections, rows, sorting.

Where both are the same text the engine alone gives the answer. Where they differ (arrays, regular expressions, whole
objects), a row of which only the second holds is looked at with `decide.query_match`. A negation exchanges the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from everysite.decide.query import And, AtSite, ChangedSince, Compare, Equals, Not, OneOf, Or, Predicate
from everysite.index.conditions import ALL, NONE, Sql, findable, is_plain, joined, negated

_DEEPEST = 60  # nested nodes; SQLite takes expressions 1,000 deep


@dataclass(frozen=True, slots=True)
class Bounds:
    """`sure` implies the node, the node implies `maybe`. Either may be NULL for false."""

    sure: Sql
    maybe: Sql

    @property
    def exact(self) -> bool:
        return self.sure == self.maybe


OPEN = Bounds(NONE, ALL)


@dataclass(frozen=True, slots=True)
class Between:
    """Two comparisons of one path that bound values of one type from both sides: one range of an index."""

    low: Compare
    high: Compare


Part = Predicate | Between


class Leaves(Protocol):
    """What an engine makes of nodes that have no nodes in them, in its tables as they are now."""

    def leaf(self, node: Any) -> Bounds:
        """Of a node with a path that bodies can have."""

    def between(self, low: Compare, high: Compare) -> Bounds: ...

    def standing(self, question: AtSite) -> str: ...


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


def every(parts: Sequence[Part], leaves: Leaves, depth: int = 0) -> Bounds:
    """The conditions of all of them together."""
    return joined_bounds([bounds(part, leaves, depth) for part in parts], "AND", ALL)


def bounds(node: Part, leaves: Leaves, depth: int = 0) -> Bounds:
    """The conditions of a node."""
    if depth > _DEEPEST:
        return OPEN
    match node:
        case And():
            return every(conjuncts(node), leaves, depth + 1)
        case Between(low, high):
            return leaves.between(low, high)
        case Or(parts):
            return joined_bounds([bounds(part, leaves, depth + 1) for part in parts], "OR", NONE)
        case Not(part):
            inner = bounds(part, leaves, depth + 1)
            return Bounds(negated(inner.maybe), negated(inner.sure))
        case AtSite():
            return same(Sql(leaves.standing(node)))
        case ChangedSince(ms):
            return leaves.leaf(Compare("time", ">", ms))
        case _:
            return leaves.leaf(node) if findable(node.path) else _nowhere(node)


def same(sql: Sql) -> Bounds:
    """SQL alone tells."""
    return Bounds(sql, sql)


def joined_bounds(parts: Sequence[Bounds], word: str, empty: Sql) -> Bounds:
    """All of them with AND or OR between."""
    sure, maybe = (joined(sqls, word, empty) for sqls in ([p.sure for p in parts], [p.maybe for p in parts]))
    return Bounds(sure, maybe)


def _nowhere(node: Any) -> Bounds:
    """Of a path that no body can have."""
    absent = (isinstance(node, Equals) and node.value is None) or (isinstance(node, OneOf) and None in node.values)
    return same(ALL if absent else NONE)
