"""The history of files, and the audit, in SQLite.

Owns: the tables `event` and `audit`. Must not know: threads, commits, which words their rows have.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from everysite.index.contract import AuditRow, Event
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_rows import Row, Value, write

_COLUMNS = 'path, "at", what, site, who, text, seq'
_AUDIT = '"at", who, what, subject, text, address, seq'


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


class SqliteAudit:
    """See the contract's Audit."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def add(self, rows: Sequence[AuditRow]) -> None:
        seq = self._numbers.take("audit", len(rows))
        values: list[Row] = [(r.at, r.who, r.what, r.subject, r.text, r.address, seq + i) for i, r in enumerate(rows)]
        write(self._db, f"INSERT INTO audit ({_AUDIT})", values)

    def after(self, seq: int, limit: int = 100, who: str = "", what: str = "") -> list[AuditRow]:
        return self._select("seq", (seq, who, who, what, what, limit))

    def latest(self, limit: int = 100, who: str = "", what: str = "") -> list[AuditRow]:
        return self._select("seq DESC", (0, who, who, what, what, limit))[::-1]

    def _select(self, order: str, bindings: Sequence[Value]) -> list[AuditRow]:
        wanted = "seq > ? AND (? = '' OR who = ?) AND (? = '' OR what = ?)"
        sql = f"SELECT {_AUDIT} FROM audit WHERE {wanted} ORDER BY {order} LIMIT ?"
        return [AuditRow(*row) for row in self._db.execute(sql, bindings)]
