"""Desired states and the claims on them.

Owns: Tasks, Leases. Must not know: SQL, how a wish comes about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from everysite.model.task import Lease, Task, Wish


class Tasks(Protocol):
    """Desired states. One row a (mapping, path): a newer wish updates it, so coalescing costs nothing."""

    def wish(self, wishes: Sequence[Wish]) -> None:
        """Insert, or update the row of the same (mapping, path). It keeps its `seq` when the kind stays the same, else it gets
        a new, higher one. An unclaimed row starts anew (tries 0). A claimed one stays claimed: its holder finds the gen
        changed when it settles, and of another kind `claimed` is -1, so that no result of the old work counts."""

    def get(self, mapping: int, paths: Sequence[str]) -> list[Task | None]: ...

    def of_element(self, element: int) -> list[Task]: ...

    def running(self, elements: Sequence[int]) -> list[tuple[int, int, int]]:
        """(element, mapping, ms since when) of the copies of these elements that are under way: `present`, under a lease."""

    def under(self, mapping: int, prefix: str, limit: int = 1000, after: str = "") -> list[Task]:
        """Rows whose path starts with `prefix`, in path order."""

    def moves(self, mapping: int) -> list[Task]:
        """Rows of kind `move` by seq (few)."""

    def due(self, mapping: int, now: int, limit: int) -> list[Task]:
        """Unclaimed rows with run_at <= now: priority descending, then seq."""

    def claim(self, mapping: int, paths: Sequence[str], lease: int) -> None:
        """Mark these rows as worked on under a lease; `claimed` becomes their gen."""

    def leased(self, lease: int) -> list[Task]: ...

    def release(self, lease: int) -> int:
        """Unclaim every row of a lease; answers how many."""

    def again(self, tasks: Sequence[Task]) -> None:
        """Write back rows (by mapping and path) with their new run_at, tries, error, and lease."""

    def done(self, mapping: int, paths: Sequence[str]) -> None:
        """Remove rows."""

    def next_run(self, mapping: int) -> int | None:
        """The earliest run_at of unclaimed rows, None when there are none."""

    def waiting(self, mapping: int) -> Waiting: ...

    def ahead(self, task: Task) -> tuple[int, int]:
        """(files, bytes) of the unclaimed rows of its mapping that are due before this one."""


class Waiting(msgspec.Struct, frozen=True):
    """What is still to do in a mapping."""

    files: int = 0
    bytes: int = 0
    running: int = 0
    failing: int = 0  # waiting for another try


class Leases(Protocol):
    """Claims that expire."""

    def open(self, mapping: int, epoch: int, until: int, since: int) -> Lease: ...

    def get(self, lease: int) -> Lease | None: ...

    def renew(self, leases: Sequence[int], until: int) -> list[int]:
        """Those of them that still exist, now good until `until`."""

    def close(self, leases: Sequence[int]) -> None: ...  # tasks still under them stay claimed: release those first

    def expired(self, now: int) -> list[Lease]: ...

    def of_mapping(self, mapping: int) -> list[Lease]: ...
