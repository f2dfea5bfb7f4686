"""What happened, who did what, and the feed of what changed.

Owns: History, Audit, Change. Must not know: SQL, who reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec


class Event(msgspec.Struct, frozen=True):
    """One line of a file's history. `site` 0: not about a site."""

    path: str
    at: int
    what: str
    site: int = 0
    who: str = ""
    text: str = ""
    seq: int = 0


class History(Protocol):
    """What happened to files, append only."""

    def add(self, events: Sequence[Event]) -> None: ...

    def of(self, path: str, limit: int = 100) -> list[Event]:
        """Newest first."""


class AuditRow(msgspec.Struct, frozen=True):
    """Who did what to what. `at` ms since 1970, `address` where they were. Never holds a secret."""

    at: int
    who: str
    what: str
    subject: str = ""
    text: str = ""
    address: str = ""
    seq: int = 0


class Audit(Protocol):
    """Who changed settings, users and tokens, and who signed in; append only."""

    def add(self, rows: Sequence[AuditRow]) -> None: ...

    def after(self, seq: int, limit: int = 100, who: str = "", what: str = "") -> list[AuditRow]:
        """Oldest first. '' is anybody, anything."""

    def latest(self, limit: int = 100, who: str = "", what: str = "") -> list[AuditRow]:
        """The newest ones, oldest of them first."""


class Change(msgspec.Struct, frozen=True):
    """A thing as it is now, at the number of its last change."""

    number: int
    kind: Literal["element", "tombstone", "replica"]
    key: str
    site: int = 0
