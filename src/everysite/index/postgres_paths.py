"""Where a path of a query is found in the table `element`, as SQL that an index may serve.

Owns: the ranked value of a path, the columns that hold one already, quoting of paths. Must not know: predicates, rows.

The *ranked value* of a path is one text that equals and sorts as queries want it, compared by its bytes: NULL absent, '0'
null, '1' and the twenty digits of `number_text` a number, '2' and the text itself a text, '3' an object, '4' DEEPER, '5'
false, '6' true. DEEPER is an array, there or on the way, or a top-level key with a dot, as on SQLite (sqlite_paths); here
also a text of more than 2,600 bytes, for an index takes no more, and one with a NUL, which sorts otherwise as it is kept.
Such rows are looked at outside.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from everysite.index.postgres_text import stored

NULL, NUMBER, TEXT, OBJECT, DEEPER, FALSE, TRUE = "'0'", "'1'", "'2'", "'3'", "'4'", "'5'", "'6'"
LONGEST = 2_600  # bytes of a text that is ranked; an index takes 2,704 of all its columns

COLUMNS = {"#parent": "parent", "src_id": "src_id", "tgt_id": "tgt_id", "time": "time", "origin": "origin_name"}
"""Keys whose ranked value is a column of its own."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path. `value` is SQL for its ranked value; `raw`: for a text without rank, which is always there.

    `deeper` and `nulls`: whether a row may have DEEPER, or null. `indexed`: an index leads to it. `key` is what stands in the
    text of a body that has it ('': nothing certain).
    """

    value: str
    deeper: bool = False
    nulls: bool = False
    indexed: bool = False
    raw: bool = False
    key: str = ""


def ranked(value: Any) -> str:
    """The ranked value of a top-level key that is there."""
    if isinstance(value, str):
        return "4" if not is_ranked(value) else "2" + value
    if isinstance(value, bool):
        return "6" if value else "5"
    if isinstance(value, int | float):
        return "1" + number_text(value) if len(str(value)) <= 300 else "4"
    return "0" if value is None else "3" if isinstance(value, dict) else "4"


def is_ranked(text: str) -> bool:
    """Whether the ranked value of a text is the text."""
    if len(text) > LONGEST or "\0" in text:
        return False
    return len(text) <= LONGEST // 5 or len(stored(text).encode()) <= LONGEST


def number_text(value: float) -> str:
    """See the first migration. Raises OverflowError for what no float is near."""
    near = float(value) + 0.0
    bits = struct.unpack(">Q", struct.pack(">d", near))[0]
    bits = bits ^ 0xFFFFFFFFFFFFFFFF if bits >> 63 else bits | 1 << 63
    rest = value - int(near) if isinstance(value, int) and abs(value) < 2**63 else 0
    return f"{bits:016x}{rest + 32768:04x}"


def ranked_sql(path: str) -> str:
    """The ranked value of a path within `body`. The text is the same for the same path, or no index would be used."""
    return f'(everysite_ranked(body, {", ".join(literal(part) for part in path.split("."))}) COLLATE "C")'


def whole_sql(path: str) -> str:
    """What is at a top-level key, as JSON text."""
    return f"(body -> {literal(path)})::text"


def literal(text: str) -> str:
    """A text as an SQL literal in which nothing is syntax, neither to the engine nor to the driver."""
    return "E'" + "".join(_char(char) for char in stored(text)) + "'"


def _char(char: str) -> str:
    if char.isascii() and (char.isalnum() or char in " _-/#."):
        return char
    return f"\\U{ord(char):08X}"
