"""Many rows in one statement.

Owns: writing rows as one array a column, waves of rows with the same key, the columns of a Content.
Must not know: any table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from everysite.index.postgres_session import Session
from everysite.index.postgres_text import Value, array

Row = Sequence[Value]

_MOST = 1_000  # rows a statement: some MB of parameters at most


class Rows:
    """A way to write rows: `head`, the types of their columns, `tail`."""

    def __init__(self, head: str, types: str, tail: str = "") -> None:
        columns = ", ".join(f"%s::{word}[]" for word in types.split())
        self._sql = (
            f"{head} SELECT * FROM unnest({columns}) AS news {tail}"
            if not head.endswith("(")
            else (f"{head}SELECT * FROM unnest({columns}) AS news{tail}")
        )

    def write(self, session: Session, rows: Sequence[Row]) -> None:
        """All rows; of several with one key the statement must not see more than one (`waves`)."""
        for start in range(0, len(rows), _MOST):
            columns = zip(*rows[start : start + _MOST], strict=True)
            session.write(self._sql, [array(column) for column in columns])


def waves(rows: Sequence[Row], key: Callable[[Row], object]) -> Iterator[Sequence[Row]]:
    """The rows in groups that have each key once: the first of each, the second of each, and so on."""
    while rows:
        seen: set[object] = set()
        first: list[Row] = []
        rest: list[Row] = []
        for row in rows:
            name = key(row)
            (rest if name in seen else first).append(row)
            seen.add(name)
        yield first
        rows = rest
