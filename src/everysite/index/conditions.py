"""Conditions as SQL text, of either engine.

Owns: Sql, putting conditions together. Must not know: predicates, tables, the words of one engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition and what is bound to its question marks."""

    text: str
    values: tuple[Any, ...] = ()


ALL, NONE = Sql("TRUE"), Sql("FALSE")
Test = tuple[Sql, Sql]


def both(sql: Sql) -> Test:
    """Sure and maybe are the same."""
    return sql, sql


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


def negated(sql: Sql) -> Sql:
    """Holds where the other does not, NULL included."""
    if sql in (ALL, NONE):
        return NONE if sql == ALL else ALL
    return Sql(f"({sql.text}) IS NOT TRUE", sql.values)


def is_plain(value: Any) -> bool:
    """Whether a value is a text or number that SQL holds exactly."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and is_exact(value)


def is_exact(value: str | int | float) -> bool:
    """Of a text or number."""
    if isinstance(value, str):
        return storable(value)
    return -(2**63) <= value < 2**63


def storable(text: str) -> bool:
    """Whether a text can be in a body at all: half of a surrogate pair is no Unicode."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def findable(path: str) -> bool:
    """Whether a body can have this path at all. No key in a body has a NUL."""
    return storable(path) and "\0" not in path
