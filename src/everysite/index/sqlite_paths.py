"""Where a path of a query is found in the table `element`, as SQL that an index may serve.

Owns: the ranked value of a path, the columns that hold one already, quoting of paths. Must not know: predicates, rows.

The *ranked value* of a path is one SQL value that equals and sorts as queries want it (SQLite sorts NULL < numbers <
texts < blobs): NULL absent, x'' null, numbers and texts as they are, x'01' an object, x'02' DEEPER, x'03' false,
x'04' true. DEEPER is an array, there or on the way, or a top-level key with a dot: SQL has no short word for what is in
it, so such rows are looked at outside. That they are rare, and none at all for most indexed paths, is found by a seek.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

OBJECT, DEEPER, FALSE, TRUE, NULL = "x'01'", "x'02'", "x'03'", "x'04'", "x''"

COLUMNS = {"#parent": "parent", "src_id": "src_id", "tgt_id": "tgt_id", "time": "time", "origin": "origin_name"}
"""Keys whose ranked value is a column of its own."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Place:
    """A path. `value` is SQL for its ranked value. `deeper` and `nulls`: whether a row may have DEEPER, or x''.
    `index` leads to it; `whole`: that index has every row, absent ones too.
    `key` is what stands in the text of a body that has it ('': nothing certain).
    """

    value: str
    deeper: bool = False
    nulls: bool = False
    index: str = ""
    whole: bool = False
    key: str = ""


def ranked(value: Any) -> str | int | float | bytes | None:
    """The ranked value of a top-level key that is there."""
    if isinstance(value, str | float):
        return value
    if isinstance(value, bool):
        return b"\x04" if value else b"\x03"
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value)
    return b"" if value is None else b"\x01" if isinstance(value, dict) else b"\x02"


def ranked_sql(path: str) -> str:
    """The ranked value of a path within `body`. The text is the same for the same path, or no index would be used."""
    parts = path.split(".")
    there = _literal(parts)
    value = (
        f"CASE json_type(body, {there}) WHEN 'null' THEN {NULL} WHEN 'object' THEN {OBJECT} WHEN 'array' THEN {DEEPER}"
        f" WHEN 'false' THEN {FALSE} WHEN 'true' THEN {TRUE} ELSE json_extract(body, {there}) END"
    )
    if len(parts) == 1:
        return value
    dotted = (".".join(parts[:end]) for end in range(2, len(parts) + 1))
    odd = [f"json_type(body, {_literal([key])}) IS NOT NULL" for key in dotted]
    odd += [f"json_type(body, {_literal(parts[:end])}) = 'array'" for end in range(1, len(parts))]
    return f"CASE WHEN {' OR '.join(odd)} THEN {DEEPER} ELSE {value} END"


def whole_sql(path: str) -> str:
    """What is at a path, as JSON text where it is an object or array."""
    return f"json_extract(body, {_literal(path.split('.'))})"


def _literal(parts: list[str]) -> str:
    """A JSON path as an SQL literal. Its parts are quoted as JSON is, then the whole as SQL is: nothing in it is syntax."""
    return "'$" + "".join("." + _encode(part).decode() for part in parts).replace("'", "''") + "'"


def key_text(path: str) -> str:
    """What stands in the text of a body that has this path; '' when nothing must."""
    last = path.rpartition(".")[2]
    return "" if last.isdigit() else _encode(last).decode()[1:] + ":"
