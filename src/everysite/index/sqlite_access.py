"""Accounts, credentials and tokens in SQLite.

Owns: the tables `account`, `credential` and `token`. Must not know: threads, commits, how a password is hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from everysite.errors import Conflict
from everysite.index.contract import Account, Token
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_rows import numbers, write

_COLUMNS = "hash, username, kind, site, until, created, used, label, id, rank, read_only, prefix"
_ACCOUNT = "username, key, rank, email, disabled"


class SqliteAccess:
    """See the contract's Access."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def account(self, username: str) -> Account | None:
        return next(iter(self._accounts("WHERE username = ?", (username,))), None)

    def accounts(self, key: str = "", email: str = "", rank: str = "") -> list[Account]:
        given = {"key": key, "email": email.lower(), "rank": rank}
        named = {column: value for column, value in given.items() if value}
        where = " AND ".join(f"{column} = ?" for column in named)
        return self._accounts(f"{'WHERE ' if named else ''}{where} ORDER BY username", tuple(named.values()))

    def put_account(self, account: Account) -> None:
        a = account
        tail = "ON CONFLICT (username) DO UPDATE SET key = excluded.key, rank = excluded.rank, email = excluded.email,"
        sql = f"INSERT INTO account ({_ACCOUNT}) VALUES (?, ?, ?, ?, ?) {tail} disabled = excluded.disabled"
        try:
            self._db.execute(sql, (a.username, a.key, a.rank, a.email.lower(), a.disabled))
        except apsw.ConstraintError as err:
            raise Conflict(f"{a.key} is another user's element; give {a.username!r} one of their own") from err

    def drop_account(self, username: str) -> None:
        self._db.execute("DELETE FROM account WHERE username = ?", (username,))

    def _accounts(self, rest: str, bindings: Sequence[Any]) -> list[Account]:
        rows = self._db.execute(f"SELECT {_ACCOUNT} FROM account {rest}", bindings)
        return [Account(username, key, rank, email, bool(disabled)) for username, key, rank, email, disabled in rows]

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
        row = (
            t.hash,
            t.username,
            t.kind,
            t.site,
            t.until,
            t.created,
            t.used,
            t.label,
            t.id,
            t.rank,
            t.read_only,
            t.prefix,
        )
        try:
            write(self._db, f"INSERT INTO token ({_COLUMNS})", [row])
        except apsw.ConstraintError as err:
            raise Conflict(
                f"a token with the hash of {t.label or t.username!r} exists already; make a new one"
            ) from err
        return t

    def touch_tokens(self, used: Sequence[tuple[int, int]]) -> None:
        self._db.executemany("UPDATE token SET used = ?2 WHERE id = ?1", used)

    def drop_tokens(self, ids: Sequence[int]) -> int:
        self._db.execute("DELETE FROM token WHERE id IN (SELECT value FROM carray(?))", numbers(ids))
        return self._db.changes()

    def _select(self, rest: str, bindings: Sequence[Any]) -> list[Token]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM token {rest}", bindings)
        return [_token(*row) for row in rows]


def _token(*columns: Any) -> Token:
    token = Token(*columns)
    return msgspec.structs.replace(token, read_only=bool(token.read_only))
