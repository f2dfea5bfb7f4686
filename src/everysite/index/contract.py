"""What every engine that remembers must offer.

Owns: the Index contract: units of work, and the tables as small groups of verbs.
Must not know: SQL, files, HTTP, or what any verb of the tracker is for.

A *unit* is a plain blocking function of a Transaction: no await, no effects outside the transaction, repeatable
(an engine may run it again after a conflict). Everything a unit wrote is durable when `run` returns, or none of it is
there and `run` raises what the unit raised. Lists answer in the order of what was asked, None where there is nothing.
Times are ms since 1970; digests are 32 raw bytes of BLAKE3; names in `held` are bytes, keys and paths are text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from everysite.model.clock import Version
from everysite.model.element import Element, Tombstone
from everysite.model.replica import Replica
from everysite.model.site import Mapping as SiteMapping
from everysite.model.site import Site
from everysite.model.task import Holding, Lease, Task, Wish

T = TypeVar("T")
Lane = Literal["interactive", "bulk"]


class Elements(Protocol):
    """Documents by key, and tombstones of those that are gone."""

    def get(self, keys: Sequence[str]) -> list[Element | None]: ...

    def by_id(self, ids: Iterable[int]) -> dict[int, Element]: ...

    def count(self) -> int: ...  # elements, not tombstones

    def put(self, elements: Sequence[Element]) -> list[Element]:
        """Insert (id 0) or replace whole (by id; the key may have changed: a rename). Answers them with `id` and `change`
        filled in, drops tombstones of the keys, which may change places within a batch. All or nothing: Conflict when a
        key is taken, BadRequest for an empty key or one with a NUL."""

    def bury(self, stones: Sequence[Tombstone]) -> None:
        """Remove the elements of these keys (with their replicas) where they exist, and remember the tombstones."""

    def stones(self, keys: Sequence[str]) -> list[Tombstone | None]: ...

    def under(self, prefix: str, after: str = "", limit: int = 1000) -> list[Element]:
        """Elements whose key starts with `prefix`, in key order (binary), after the key `after`."""

    def children(self, key: str, limit: int = 1000) -> list[Element]:
        """Elements whose `#parent` is this key, oldest first."""

    def where(self, conditions: Sequence[tuple[str, Any]], limit: int = 1000) -> list[Element]:
        """Elements whose top-level keys equal these JSON scalars (all of them; no conditions: every element), oldest first."""


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


class Sites(Protocol):
    """Sites, their mappings, and who holds a mapping. Few rows: reading all of them is cheap."""

    def all(self) -> list[Site]: ...

    def named(self, name: str) -> Site | None:
        """Without regard to case."""

    def put(self, site: Site) -> Site:
        """Insert (id 0) or replace. Raises Conflict when another site has the name."""

    def remove(self, site: int) -> None:
        """With its mappings, their tasks, leases and holdings, and its replicas."""

    def mappings(self) -> list[SiteMapping]: ...

    def put_mapping(self, mapping: SiteMapping) -> SiteMapping: ...

    def remove_mapping(self, mapping: int) -> None: ...

    def holding(self, mapping: int) -> Holding | None: ...

    def hold(self, holding: Holding) -> None: ...  # insert or replace by mapping


class Tasks(Protocol):
    """Desired states. One row a (mapping, path): a newer wish updates it, so coalescing costs nothing."""

    def wish(self, wishes: Sequence[Wish]) -> None:
        """Insert, or update the row of the same (mapping, path). It keeps its `seq` when the kind stays the same, else it gets
        a new, higher one. An unclaimed row starts anew (tries 0). A claimed one stays claimed: its holder finds the gen
        changed when it settles, and of another kind `claimed` is -1, so that no result of the old work counts."""

    def get(self, mapping: int, paths: Sequence[str]) -> list[Task | None]: ...

    def of_element(self, element: int) -> list[Task]: ...

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


class HeldFolder(msgspec.Struct, frozen=True):
    """A folder of a tree as last scanned. `path` is relative bytes (b'' the root); `fingerprint` stands for its packed entries."""

    path: bytes
    inode: int
    fingerprint: bytes = b""
    id: int = 0
    parent: int = 0


class HeldFile(msgspec.Struct, frozen=True):
    """A file really on the disk: leaf `name`, and the stat its digest was computed under."""

    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int
    digest: bytes


class Held(Protocol):
    """An agent's own table of what is on its disk, by mapping and folder."""

    def folders(self, mapping: int) -> list[HeldFolder]: ...

    def folder(self, mapping: int, path: bytes) -> HeldFolder | None: ...

    def put_folder(self, mapping: int, folder: HeldFolder) -> HeldFolder:
        """Insert (with missing parents) or update inode and fingerprint, by path."""

    def move_folder(self, mapping: int, path: bytes, to: bytes) -> None:
        """The folder with everything below it has another path now; one row changes. One already at `to` is merged.
        Raises BadRequest for the root, or a place inside the folder itself."""

    def remove_folder(self, mapping: int, path: bytes) -> None:
        """With everything below."""

    def files(self, folder: int) -> list[HeldFile]:
        """Sorted by name bytes."""

    def get(self, mapping: int, names: Sequence[bytes]) -> list[HeldFile | None]:
        """By relative path."""

    def put(self, mapping: int, files: Sequence[tuple[bytes, HeldFile]]) -> None:
        """Insert or replace by folder path and leaf name; each comes with its folder's path. Clears the folders' fingerprints."""

    def remove(self, mapping: int, names: Sequence[bytes]) -> None:
        """By relative path. Clears the folders' fingerprints."""

    def with_digest(self, mapping: int, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """digest -> relative path of one file that has it, for those that are held."""

    def stage(self, mapping: int, names: Sequence[bytes]) -> None:
        """Journal: stage files with these relative paths may exist from now on."""

    def unstage(self, mapping: int, names: Sequence[bytes]) -> None: ...

    def staged(self, mapping: int) -> list[bytes]: ...


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


class Change(msgspec.Struct, frozen=True):
    """A thing as it is now, at the number of its last change."""

    number: int
    kind: Literal["element", "tombstone", "replica"]
    key: str
    site: int = 0


class Transaction(Protocol):
    """The tables, inside one unit of work."""

    elements: Elements
    replicas: Replicas
    sites: Sites
    tasks: Tasks
    leases: Leases
    held: Held
    history: History
    access: Access

    def stamp(self, now: int) -> Version:
        """The next version of this tracker's hybrid clock."""

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """Latest states by change number; a thing changed twice is there once, with its newest number."""

    def meta(self, key: str) -> str | None:
        """Small facts about this index: its epoch, cursors, secrets."""

    def set_meta(self, key: str, value: str | None) -> None: ...


class Index(Protocol):
    """What we remember. One process opens an index of the SQLite engine."""

    async def run(self, unit: Callable[[Transaction], T], lane: Lane = "interactive") -> T:
        """Carry a unit out and commit it durably. Bulk units yield to interactive ones; keep each below 10 ms of work."""

    async def read(self, unit: Callable[[Transaction], T], scan: bool = False) -> T:
        """A unit that only reads, on a consistent state. `scan`: it reads many rows, so it runs beside the event loop."""

    async def backup(self, path: str) -> None:
        """A consistent copy of the whole index while it is in use."""

    async def close(self) -> None: ...
