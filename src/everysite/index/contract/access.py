"""Accounts, credentials and tokens.

Owns: Access. Must not know: SQL, hashing, what a user may do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec


class Account(msgspec.Struct, frozen=True):
    """Somebody who may come in: `key` of their element, and what of it has to be found fast. `email` without regard to
    case, '' for none."""

    username: str
    key: str
    rank: str = "guest"
    email: str = ""
    disabled: bool = False


class Token(msgspec.Struct, frozen=True):
    """What a token allows. `hash` is SHA-256 of the whole string, which is kept nowhere. `until` 0: for ever.

    `kind` user: acts as that user, less what `rank` (''), `read_only`, `site` ('') and `prefix` ('') take away.
    `kind` agent: acts for `site` (name; '*' = every site this machine serves).
    `kind` reset: sets one new password for that user, and nothing else.
    """

    hash: bytes
    username: str
    kind: Literal["user", "agent", "reset"] = "user"
    site: str = ""
    until: int = 0
    created: int = 0
    used: int = 0
    label: str = ""
    id: int = 0
    rank: str = ""
    read_only: bool = False
    prefix: str = ""


class Access(Protocol):
    """Accounts, credentials and tokens: tables of their own, never searchable, never in the feed."""

    def account(self, username: str) -> Account | None: ...

    def accounts(self, key: str = "", email: str = "", rank: str = "") -> list[Account]:
        """By the key of their element, by e-mail address, by class; without any of them all, by name."""

    def put_account(self, account: Account) -> None:
        """Insert, or replace by username. Raises Conflict when another account has the key."""

    def drop_account(self, username: str) -> None: ...

    def credential(self, username: str) -> str | None:
        """The password hash as its library writes it."""

    def set_credential(self, username: str, hashed: str) -> None: ...

    def drop_credential(self, username: str) -> None: ...

    def token(self, hashed: bytes) -> Token | None: ...

    def tokens(self, username: str | None = None) -> list[Token]: ...

    def add_token(self, token: Token) -> Token: ...

    def touch_tokens(self, used: Sequence[tuple[int, int]]) -> None:
        """(token, ms of its last use) each."""

    def drop_tokens(self, ids: Sequence[int]) -> int: ...
