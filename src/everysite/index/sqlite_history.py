"""The history of files in SQLite.

Owns: the table `event`. Must not know: threads, commits, which words events have.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from everysite.index.contract import Event
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_rows import Row, write

_COLUMNS = 'path, "at", what, site, who, text, seq'


class SqliteHistory:
    """See the contract's History."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def add(self, events: Sequence[Event]) -> None:
        seq = self._numbers.take("event", len(events))
        rows: list[Row] = [(e.path, e.at, e.what, e.site, e.who, e.text, seq + i) for i, e in enumerate(events)]
        write(self._db, f"INSERT INTO event ({_COLUMNS})", rows)

    def of(self, path: str, limit: int = 100) -> list[Event]:
        sql = f"SELECT {_COLUMNS} FROM event WHERE path = ? ORDER BY seq DESC LIMIT ?"
        return [Event(*row) for row in self._db.execute(sql, (path, limit))]
