"""The history of files, and the audit, in PostgreSQL.

Owns: the tables `event` and `audit`. Must not know: threads, commits, which words their rows have.
"""

from __future__ import annotations

from collections.abc import Sequence

from everysite.index.contract import AuditRow, Event
from everysite.index.numbers import Numbers
from everysite.index.postgres_rows import Row, Rows
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import Value

_COLUMNS = 'path, "at", what, site, who, text, seq'
_AUDIT = '"at", who, what, subject, text, address, seq'
_ADD = Rows(f"INSERT INTO event ({_COLUMNS})", "text bigint text bigint text text bigint")
_NOTE = Rows(f"INSERT INTO audit ({_AUDIT})", "bigint text text text text text bigint")


class PostgresHistory:
    """See the contract's History."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
        self._numbers = counters

    def add(self, events: Sequence[Event]) -> None:
        seq = self._numbers.take("event", len(events))
        rows: list[Row] = [(e.path, e.at, e.what, e.site, e.who, e.text, seq + i) for i, e in enumerate(events)]
        _ADD.write(self._session, rows)

    def of(self, path: str, limit: int = 100) -> list[Event]:
        sql = f"SELECT {_COLUMNS} FROM event WHERE path = %s ORDER BY seq DESC LIMIT %s"
        return [Event(*row) for row in self._session.rows(sql, (path, limit))]


class PostgresAudit:
    """See the contract's Audit."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
        self._numbers = counters

    def add(self, rows: Sequence[AuditRow]) -> None:
        seq = self._numbers.take("audit", len(rows))
        values: list[Row] = [(r.at, r.who, r.what, r.subject, r.text, r.address, seq + i) for i, r in enumerate(rows)]
        _NOTE.write(self._session, values)

    def after(self, seq: int, limit: int = 100, who: str = "", what: str = "") -> list[AuditRow]:
        return self._select("seq", seq, limit, who, what)

    def latest(self, limit: int = 100, who: str = "", what: str = "") -> list[AuditRow]:
        return self._select("seq DESC", 0, limit, who, what)[::-1]

    def _select(self, order: str, seq: int, limit: int, who: str, what: str) -> list[AuditRow]:
        given: dict[str, Value] = {"who": who, "what": what}
        named = {column: value for column, value in given.items() if value}
        where = "".join(f" AND {column} = %s" for column in named)
        sql = f"SELECT {_AUDIT} FROM audit WHERE seq > %s{where} ORDER BY {order} LIMIT %s"
        return [AuditRow(*row) for row in self._session.rows(sql, (seq, *named.values(), limit))]
