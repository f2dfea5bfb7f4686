"""Accounts, credentials and tokens in PostgreSQL.

Owns: the tables `account`, `credential` and `token`. Must not know: threads, commits, how a password is hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg import errors

from everysite.errors import Conflict
from everysite.index.contract import Account, Token
from everysite.index.numbers import Numbers
from everysite.index.postgres_rows import Rows
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import array

_COLUMNS = "hash, username, kind, site, until, created, used, label, id, rank, read_only, prefix"
_ACCOUNT = "username, key, rank, email, disabled"
_PUT_ACCOUNT = (
    f"INSERT INTO account ({_ACCOUNT}) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (username) DO UPDATE SET key = excluded.key,"
    " rank = excluded.rank, email = excluded.email, disabled = excluded.disabled"
)
_TOUCH = Rows(
    "UPDATE token SET used = news.used FROM (", "bigint bigint", "(id, used)) AS news WHERE token.id = news.id"
)


class PostgresAccess:
    """See the contract's Access."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
        self._numbers = counters

    def account(self, username: str) -> Account | None:
        return next(iter(self._accounts("WHERE username = %s", (username,))), None)

    def accounts(self, key: str = "", email: str = "", rank: str = "") -> list[Account]:
        given = {"key": key, "email": email.lower(), "rank": rank}
        named = {column: value for column, value in given.items() if value}
        where = " AND ".join(f"{column} = %s" for column in named)
        return self._accounts(f"{'WHERE ' if named else ''}{where} ORDER BY username", tuple(named.values()))

    def put_account(self, account: Account) -> None:
        a = account
        try:
            with self._session.guarded():
                self._session.write(_PUT_ACCOUNT, (a.username, a.key, a.rank, a.email.lower(), a.disabled))
        except errors.UniqueViolation as err:
            raise Conflict(f"{a.key} is another user's element; give {a.username!r} one of their own") from err

    def drop_account(self, username: str) -> None:
        self._session.write("DELETE FROM account WHERE username = %s", (username,))

    def _accounts(self, rest: str, values: Sequence[Any]) -> list[Account]:
        rows = self._session.rows(f"SELECT {_ACCOUNT} FROM account {rest}", values)
        return [Account(username, key, rank, email, bool(disabled)) for username, key, rank, email, disabled in rows]

    def credential(self, username: str) -> str | None:
        rows = self._session.rows("SELECT hash FROM credential WHERE username = %s", (username,))
        return next((str(row[0]) for row in rows), None)

    def set_credential(self, username: str, hashed: str) -> None:
        tail = "ON CONFLICT (username) DO UPDATE SET hash = excluded.hash"
        self._session.write(f"INSERT INTO credential (username, hash) VALUES (%s, %s) {tail}", (username, hashed))

    def drop_credential(self, username: str) -> None:
        self._session.write("DELETE FROM credential WHERE username = %s", (username,))

    def token(self, hashed: bytes) -> Token | None:
        return next(iter(self._select("WHERE hash = %s", (hashed,))), None)

    def tokens(self, username: str | None = None) -> list[Token]:
        if username is None:
            return self._select("ORDER BY id", ())
        return self._select("WHERE username = %s ORDER BY id", (username,))

    def add_token(self, token: Token) -> Token:
        t = msgspec.structs.replace(token, id=self._numbers.take("token"))
        row = (
            *(t.hash, t.username, t.kind, t.site, t.until, t.created, t.used, t.label, t.id, t.rank, t.read_only),
            t.prefix,
        )
        try:
            with self._session.guarded():
                self._session.write(f"INSERT INTO token ({_COLUMNS}) VALUES ({', '.join(['%s'] * 12)})", row)
        except errors.UniqueViolation as err:
            raise Conflict(
                f"a token with the hash of {t.label or t.username!r} exists already; make a new one"
            ) from err
        return t

    def touch_tokens(self, used: Sequence[tuple[int, int]]) -> None:
        _TOUCH.write(self._session, used)

    def drop_tokens(self, ids: Sequence[int]) -> int:
        return self._session.count("DELETE FROM token WHERE id = ANY(%s::bigint[])", (array(ids),)) if ids else 0

    def _select(self, rest: str, values: Sequence[Any]) -> list[Token]:
        return [_token(*row) for row in self._session.rows(f"SELECT {_COLUMNS} FROM token {rest}", values)]


def _token(*columns: Any) -> Token:
    token = Token(*columns)
    return msgspec.structs.replace(token, read_only=bool(token.read_only))
