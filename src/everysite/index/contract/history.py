"""What happened, and the feed of what changed.

Owns: History, Change. Must not know: SQL, who reads it.
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


class Change(msgspec.Struct, frozen=True):
    """A thing as it is now, at the number of its last change."""

    number: int
    kind: Literal["element", "tombstone", "replica"]
    key: str
    site: int = 0
