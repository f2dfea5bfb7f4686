"""The test of one value as SQL conditions.

Owns: for each leaf of a predicate two conditions on a ranked value, one that implies it and one it implies.
Must not know: paths, tables, how leaves are put together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everysite.decide.query import Compare, Contains, Equals, Matches, Mod, TypeIs
from everysite.index.conditions import ALL, NONE, Sql, Test, both, is_exact, joined, storable
from everysite.index.patterns import literal_start, needed_text, plain_text
from everysite.index.sqlite_paths import DEEPER, FALSE, NULL, OBJECT, TRUE, ranked
from everysite.index.sqlite_rows import prefix_end

_LONGEST_LIKE = 10_000  # SQLite refuses patterns above 50,000 bytes


def test(node: Any, value: str) -> Test:
    """(sure, maybe) for a value that is neither absent, null nor DEEPER; NULL counts as false."""
    found = _TESTS.get(type(node))
    return found(node, value) if found else (NONE, Sql(f"{value} = {DEEPER}"))


def _equals(node: Equals, value: str) -> Test:
    wanted = node.value
    if isinstance(wanted, bool):
        return both(Sql(f"{value} = {TRUE if wanted else FALSE}"))
    if isinstance(wanted, dict | list):  # told apart outside, for {"a": 1} is {"a": 1.0}
        return NONE, Sql(f"{value} = {OBJECT if isinstance(wanted, dict) else DEEPER}")
    if isinstance(wanted, str) and not storable(wanted):
        return NONE, NONE
    found = Sql(f"{value} = ?", (ranked(wanted),))
    return (found, found) if is_exact(wanted) else (NONE, found)


def _compare(node: Compare, value: str) -> Test:
    wanted, op = node.value, node.op
    if isinstance(wanted, bool):
        return both(Sql(f"({value} {op} {TRUE if wanted else FALSE} AND {value} >= {FALSE})"))
    if isinstance(wanted, str):
        if not storable(wanted):
            return NONE, Sql(f"({value} >= '' AND {value} < {NULL})")
        edge = f"{value} < {NULL}" if op[0] == ">" else f"{value} >= ''"
        return both(Sql(f"({value} {op} ? AND {edge})", (wanted,)))
    if isinstance(wanted, int | float):
        edge = f" AND {value} < ''" if op[0] == ">" else ""
        sure = Sql(f"({value} {op} ?{edge})", (ranked(wanted),))
        if is_exact(wanted):
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
        return both(Sql(f"(typeof({value}) = 'text' AND instr({value}, ?))", (plain,)))
    start = literal_start(node.pattern, node.flags)
    end = prefix_end(start)
    if start and end is not None:
        text = Sql(f"({value} >= ? AND {value} < ?)", (start, end))
    else:
        text = Sql(f"({value} >= '' AND {value} < {NULL})")
    needed = needed_text(node.pattern, node.flags)
    part = Sql(f"instr({value}, ?)", (needed,)) if needed not in ("", start) else ALL
    return NONE, joined([text, part], "AND", ALL)


def _mod(node: Mod, value: str) -> Test:
    return NONE, Sql(f"{value} < ''")


_TESTS: dict[type, Callable[..., Test]] = {
    Equals: _equals,
    Compare: _compare,
    TypeIs: _type_is,
    Contains: _contains,
    Matches: _matches,
    Mod: _mod,
}
"""The others (Size, Member) are about arrays."""
