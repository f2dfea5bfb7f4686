"""One file of a bundle: what shall arrive, and what became of it.

Owns: Piece, Landed, Result. Must not know: how bytes travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from everysite.disk.landing import ANY, Expected
from everysite.errors import EverysiteError
from everysite.model.element import Content
from everysite.model.path import Name

How = Literal["copied", "renamed", "there"]


class Piece(msgspec.Struct, frozen=True):
    """Bring this content to `name`. `size` bytes, `mtime_ns` since 1970, `mode` permission bits, BLAKE3 `digest` (32 bytes).

    `source`: its name at the source when that is another one. `expected`: what may be replaced at the target.
    `replaces`: a target with this digest may be replaced whatever `expected` says. `moved_from`: the target holds the
    same content, or the older state `moved_state` = (size, mtime_ns) of it, under this name, which ends with this piece.
    """

    name: Name
    size: int
    mtime_ns: int
    mode: int = 0o644
    digest: bytes | None = None
    source: Name | None = None
    expected: Expected = ANY
    replaces: bytes = b""
    moved_from: Name | None = None
    moved_state: tuple[int, int] | None = None

    @property
    def origin(self) -> Name:
        """Its name at the source."""
        return self.name if self.source is None else self.source

    @classmethod
    def of(cls, name: Name, content: Content, expected: Expected = ANY) -> Piece:
        """The piece for a content the index knows."""
        return cls(name, content.size, content.mtime_ns, content.mode, content.digest, expected=expected)


class Landed(msgspec.Struct, frozen=True):
    """What is at the target now. `ctime_ns` and `inode` are 0 where the store has none. "there": it was there already."""

    name: Name
    size: int
    mtime_ns: int
    mode: int
    digest: bytes
    how: How
    ctime_ns: int = 0
    inode: int = 0


Outcome = Landed | EverysiteError


class Result(msgspec.Struct):
    """One outcome a piece, in order; None for pieces not tried to the end.

    `fault` is what ended the bundle early: trouble of a site (SiteUnreachable), or what `may_publish` raised. Settle the
    outcomes first, then act on the fault (`check` raises it): what landed has landed.
    """

    outcomes: list[Outcome | None]
    fault: EverysiteError | None = None

    @property
    def landed(self) -> Sequence[Landed]:
        """The successes."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Landed)]

    def check(self) -> None:
        """Raise the fault, if there is one."""
        if self.fault is not None:
            raise self.fault
