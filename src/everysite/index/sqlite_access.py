"""Credentials and tokens in SQLite.

Owns: the tables `credential` and `token`. Must not know: threads, commits, how a password is hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from everysite.errors import Conflict
from everysite.index.contract import Token
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_rows import numbers

_COLUMNS = "hash, username, kind, site, until, created, used, label, id"


class SqliteAccess:
    """See the contract's Access."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def credential(self, username: str) -> str | None:
        rows = self._db.execute("SELECT hash FROM credential WHERE username = ?", (username,))
        return next((str(row[0]) for row in rows), None)

    def set_credential(self, username: str, hashed: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO credential (username, hash) VALUES (?, ?)", (username, hashed))

    def drop_credential(self, username: str) -> None:
        self._db.execute("DELETE FROM credential WHERE username = ?", (username,))

    def token(self, hashed: bytes) -> Token | None:
        return next(iter(self._select("WHERE hash = ?", (hashed,))), None)

    def tokens(self, username: str | None = None) -> list[Token]:
        if username is None:
            return self._select("ORDER BY id", ())
        return self._select("WHERE username = ? ORDER BY id", (username,))

    def add_token(self, token: Token) -> Token:
        t = msgspec.structs.replace(token, id=self._numbers.take("token"))
        row = (t.hash, t.username, t.kind, t.site, t.until, t.created, t.used, t.label, t.id)
        try:
            self._db.execute(f"INSERT INTO token ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        except apsw.ConstraintError as err:
            raise Conflict(
                f"a token with the hash of {t.label or t.username!r} exists already; make a new one"
            ) from err
        return t

    def touch_token(self, token: int, used: int) -> None:
        self._db.execute("UPDATE token SET used = ? WHERE id = ?", (used, token))

    def drop_tokens(self, ids: Sequence[int]) -> int:
        self._db.execute("DELETE FROM token WHERE id IN (SELECT value FROM carray(?))", numbers(ids))
        return self._db.changes()

    def _select(self, rest: str, bindings: Sequence[Any]) -> list[Token]:
        return [Token(*row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM token {rest}", bindings)]
