"""Credentials and tokens.

Owns: Access. Must not know: SQL, hashing, users.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec


class Token(msgspec.Struct, frozen=True):
    """What a token allows. `hash` is SHA-256 of the whole string, which is kept nowhere. `until` 0: for ever.

    `kind` user: acts as that user. `kind` agent: acts for `site` (name; '*' = every site this machine serves).
    """

    hash: bytes
    username: str
    kind: Literal["user", "agent"] = "user"
    site: str = ""
    until: int = 0
    created: int = 0
    used: int = 0
    label: str = ""
    id: int = 0


class Access(Protocol):
    """Credentials and tokens: tables of their own, never searchable, never in the feed."""

    def credential(self, username: str) -> str | None:
        """The password hash as its library writes it."""

    def set_credential(self, username: str, hashed: str) -> None: ...

    def drop_credential(self, username: str) -> None: ...

    def token(self, hashed: bytes) -> Token | None: ...

    def tokens(self, username: str | None = None) -> list[Token]: ...

    def add_token(self, token: Token) -> Token: ...

    def touch_token(self, token: int, used: int) -> None: ...

    def drop_tokens(self, ids: Sequence[int]) -> int: ...
