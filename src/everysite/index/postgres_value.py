"""The test of one value as SQL conditions.

Owns: for each leaf of a predicate two conditions on a ranked value, one that implies it and one it implies.
Must not know: paths, tables, how leaves are put together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everysite.decide.query import Compare, Contains, Equals, Matches, Mod, TypeIs
from everysite.index.columns import prefix_end
from everysite.index.conditions import ALL, NONE, Sql, Test, both, is_exact, joined, storable
from everysite.index.patterns import literal_start, needed_text, plain_text
from everysite.index.postgres_paths import DEEPER, FALSE, NULL, NUMBER, OBJECT, TEXT, TRUE, is_ranked, ranked


class Value:
    """A ranked value to be tested, neither absent, null nor DEEPER; NULL counts as false. `raw`: a text without rank."""

    def __init__(self, sql: str, raw: bool = False) -> None:
        self.sql, self.raw = sql, raw
        self.text = sql if raw else f"substr({sql}, 2)"

    def test(self, node: Any) -> Test:
        """(sure, maybe)"""
        found = _TESTS.get(type(node))
        return found(self, node) if found else (NONE, self._is(DEEPER))

    def tagged(self, text: str) -> str:
        """What a text is compared with."""
        return text if self.raw else "2" + text

    def _is(self, rank: str) -> Sql:
        return NONE if self.raw else Sql(f"{self.sql} = {rank}")

    def _within(self, low: str, high: str) -> Sql:
        return Sql(f"({self.sql} >= {low} AND {self.sql} < {high})")

    def _texts(self) -> Sql:
        return ALL if self.raw else self._within(TEXT, OBJECT)

    def _numbers(self) -> Sql:
        return NONE if self.raw else self._within(NUMBER, TEXT)

    def equals(self, node: Equals) -> Test:
        wanted = node.value
        if isinstance(wanted, bool):
            return both(self._is(TRUE if wanted else FALSE))
        if isinstance(wanted, dict | list):  # told apart outside, for {"a": 1} is {"a": 1.0}
            return NONE, self._is(OBJECT if isinstance(wanted, dict) else DEEPER)
        if isinstance(wanted, str):
            if not storable(wanted) or not (self.raw or is_ranked(wanted)):
                return NONE, NONE
            return both(Sql(f"{self.sql} = ?", (self.tagged(wanted),)))
        if self.raw:
            return NONE, NONE
        found = Sql(f"{self.sql} = ?", (ranked(wanted),))
        return (found, found) if is_exact(wanted) else (NONE, self._numbers())

    def compare(self, node: Compare) -> Test:
        wanted, op = node.value, node.op
        if isinstance(wanted, str):
            return self._compare_text(wanted, op)
        if self.raw:
            return NONE, NONE
        if isinstance(wanted, bool):
            return both(Sql(f"({self.sql} {op} {TRUE if wanted else FALSE} AND {self.sql} >= {FALSE})"))
        if isinstance(wanted, int | float):
            if not is_exact(wanted):
                return NONE, self._numbers()
            edge = f"{self.sql} < {TEXT}" if op[0] == ">" else f"{self.sql} >= {NUMBER}"
            return both(Sql(f"({self.sql} {op} ? AND {edge})", (ranked(wanted),)))
        return NONE, ALL

    def _compare_text(self, wanted: str, op: str) -> Test:
        if not storable(wanted) or "\0" in wanted:
            return NONE, self._texts()
        found = Sql(f"{self.sql} {op} ?", (self.tagged(wanted),))
        edge = ALL if self.raw else Sql(f"{self.sql} < {OBJECT}" if op[0] == ">" else f"{self.sql} >= {TEXT}")
        return both(joined([found, edge], "AND", ALL))

    def type_is(self, node: TypeIs) -> Test:
        kinds = {
            "null": self._is(NULL),
            "bool": NONE if self.raw else Sql(f"{self.sql} >= {FALSE}"),
            **dict.fromkeys(("number", "int", "double"), self._numbers()),
            "string": self._texts(),
            "object": self._is(OBJECT),
            "array": self._is(DEEPER),
        }
        maybe = joined([kinds[kind] for kind in node.types], "OR", NONE)
        return (maybe, maybe) if _EXACT_TYPES.issuperset(node.types) else (NONE, maybe)

    def contains(self, node: Contains) -> Test:
        """Case is folded outside where anything but ASCII is in play."""
        text, odd = self._texts(), Sql(f"octet_length({self.sql}) <> length({self.sql})")
        folded = node.text.casefold()
        if "\0" in folded or not storable(folded):
            return NONE, NONE if storable(folded) and not self.raw else text
        if not folded.isascii():
            return NONE, joined([text, odd], "AND", ALL)
        there = Sql(f"position(? in lower({self.text})) > 0", (folded,))
        return joined([text, there], "AND", ALL), joined([text, joined([there, odd], "OR", NONE)], "AND", ALL)

    def matches(self, node: Matches) -> Test:
        plain = plain_text(node.pattern, node.flags)
        if plain is not None:
            return both(joined([self._texts(), Sql(f"position(? in {self.text}) > 0", (plain,))], "AND", ALL))
        start = literal_start(node.pattern, node.flags)
        text = self._texts()
        if start:
            text = Sql(f"({self.sql} >= ? AND {self.sql} < ?)", (self.tagged(start), prefix_end(self.tagged(start))))
        needed = needed_text(node.pattern, node.flags)
        part = Sql(f"position(? in {self.text}) > 0", (needed,)) if needed not in ("", start) else ALL
        return NONE, joined([text, part], "AND", ALL)

    def mod(self, _node: Mod) -> Test:
        return NONE, self._numbers()


_EXACT_TYPES = frozenset({"null", "bool", "number", "string", "object"})
_TESTS: dict[type, Callable[..., Test]] = {
    Equals: Value.equals,
    Compare: Value.compare,
    TypeIs: Value.type_is,
    Contains: Value.contains,
    Matches: Value.matches,
    Mod: Value.mod,
}
"""The others (Size, Member) are about arrays."""


def integer(node: Any, column: str) -> Test:
    """As Value.test, of a column of whole numbers."""
    match node:
        case Equals(_, value) if isinstance(value, int | float) and not isinstance(value, bool):
            return both(Sql(f"{column} = ?::numeric", (repr(value),)))
        case Compare(_, op, value) if isinstance(value, int | float) and not isinstance(value, bool):
            return both(Sql(f"{column} {op} ?::numeric", (repr(value),)))
        case TypeIs(_, types):
            return both(ALL if {"number", "int"} & set(types) else NONE)
        case Mod():
            return NONE, ALL
        case _:
            return NONE, NONE
