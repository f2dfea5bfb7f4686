"""Documents, tombstones, and what every site has of them.

Owns: Elements, Replicas. Must not know: SQL, what an element is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from everysite.decide.query import Found, Search
from everysite.model.element import Element, Tombstone
from everysite.model.replica import Replica


class Elements(Protocol):
    """Documents by key, and tombstones of those that are gone."""

    def get(self, keys: Sequence[str]) -> list[Element | None]: ...

    def by_id(self, ids: Iterable[int]) -> dict[int, Element]: ...

    def count(self) -> int: ...  # elements, not tombstones

    def put(self, elements: Sequence[Element]) -> list[Element]:
        """Insert (id 0) or replace whole (by id; the key may have changed: a rename). Answers them with `id` and `change`
        filled in, drops tombstones of the keys, which may change places within a batch. All or nothing: Conflict when a
        key is taken, BadRequest for an empty key or one with a NUL, in bodies too."""

    def bury(self, stones: Sequence[Tombstone]) -> None:
        """Remove the elements of these keys (with their replicas) where they exist, and remember the tombstones."""

    def stones(self, keys: Sequence[str]) -> list[Tombstone | None]: ...

    def under(self, prefix: str, after: str = "", limit: int = 1000) -> list[Element]:
        """Elements whose key starts with `prefix`, in key order (binary), after the key `after`."""

    def children(self, key: str, limit: int = 1000) -> list[Element]:
        """Elements whose `#parent` is this key, oldest first."""

    def where(self, conditions: Sequence[tuple[str, Any]], limit: int = 1000) -> list[Element]:
        """Elements whose top-level keys equal these JSON scalars (all of them; no conditions: every element), oldest first."""

    def find(self, search: Search, counted: bool = False) -> Found:
        """Keys of the elements a query matches. State keys (`synced_<site>` ...) and `digest` are found as clients see them.

        `counted`: also how many there are before skip and limit. What no index serves reads every row: scan=True.
        Raises BadRequest for a regular expression that is none.
        """

    def links(self, side: Literal["src_id", "tgt_id"], keys: Sequence[str], limit: int) -> list[Element]:
        """Elements whose `src_id` (or `tgt_id`) is one of these keys, oldest first."""

    def add_index(self, path: str) -> None:
        """Make searches and sorts by this path fast, from now on; one that is there is fine. Some 5 s a million elements,
        in which nothing else is written. Raises BadRequest for what is no key of a body."""

    def drop_index(self, path: str) -> bool:
        """False: nobody added one."""

    def indexed(self) -> list[str]:
        """Paths with an index, sorted: those that always have one, and added ones."""


class Replicas(Protocol):
    """One row a (file, site)."""

    def of(self, elements: Sequence[int]) -> dict[int, list[Replica]]:
        """All sites' rows of these elements; elements without rows are left out."""

    def put(self, replicas: Sequence[Replica]) -> None:
        """Insert or replace by (element, site); the index assigns `change`."""

    def drop(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Forget rows by (element, site). What is already gone is fine. The feed shows nothing of it."""

    def drop_site(self, site: int) -> None: ...

    def tally(self, site: int) -> Tally: ...  # reads every row of the site, 0.8 s a million: scan=True

    def at_site(self, site: int, after: int = 0, limit: int = 1000) -> list[Replica]:
        """Rows of one site in the order of element numbers, after element `after`."""


class Tally(msgspec.Struct, frozen=True):
    """How a site stands: files and bytes that are current there; files outdated, failed, in conflict."""

    files: int = 0
    bytes: int = 0
    outdated: int = 0
    failed: int = 0
    conflicts: int = 0
