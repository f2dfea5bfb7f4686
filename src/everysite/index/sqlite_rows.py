"""Many rows in one statement.

Owns: writing rows in batches, asking for a batch of keys. Must not know: any table.

Every step of a statement gives the interpreter lock away. Beside a busy event loop a thread that steps once a row waits
for the lock once a row (measured: 755 ms for 1,000 rows by executemany, 3 ms when idle), so rows travel by the hundred.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

import apsw

from everysite.index.columns import content_columns, prefix_end

__all__ = ["Row", "Value", "blobs", "content_columns", "numbers", "prefix_end", "query", "texts", "write"]

Value = str | bytes | int | float | None
Row = Sequence[Value]

_SIZES = (256, 32, 4, 1)  # rows a statement; few sizes, so every statement stays in the cache
_MAX_TEXT = 16_000  # apsw keeps no statement above 16,384 bytes in its cache


@cache
def _values(columns: int, rows: int) -> str:
    return ",".join(["(" + ",".join("?" * columns) + ")"] * rows)


def write(db: apsw.Connection, head: str, rows: Sequence[Row], tail: str = "") -> None:
    """Carry out `head VALUES (..), (..) tail` for all rows, in order; a later row sees what an earlier one did."""
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            text = f"{head} VALUES {_values(len(rows[start]), size)} {tail}"
            if len(text) > _MAX_TEXT and size > 1:
                break
            db.execute(text, list(chain.from_iterable(rows[start : start + size])))
            start += size


def query(db: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """The rows of a query; what type each column has is said by its table."""
    return db.execute(sql, bindings)


def texts(values: Iterable[str]) -> tuple[Any]:
    """Bindings for `carray(?)`: these texts as a table. One with a NUL is left out: nothing of that name is ever put."""
    return (apsw.carray(tuple(value for value in values if "\0" not in value) or ("\x01",)),)


def numbers(values: Iterable[int]) -> tuple[Any]:
    """Bindings for `carray(?)`: these numbers as a table. There are no rows of a number below 0."""
    return (apsw.carray(array("q", values) or array("q", (-1,))),)


def blobs(values: Iterable[bytes]) -> tuple[Any]:
    """Bindings for `carray(?)`: these byte strings as a table, which must not be empty."""
    return (apsw.carray(tuple(values)),)
