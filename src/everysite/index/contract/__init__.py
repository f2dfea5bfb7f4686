"""What every engine that remembers must offer.

Owns: the Index contract: units of work, and the tables as small groups of verbs.
Must not know: SQL, files, HTTP, or what any verb of the tracker is for.

A *unit* is a plain blocking function of a Transaction: no await, no effects outside the transaction, repeatable
(an engine may run it again after a conflict). Everything a unit wrote is durable when `run` returns, or none of it is
there and `run` raises what the unit raised. Lists answer in the order of what was asked, None where there is nothing.
Times are ms since 1970; digests are 32 raw bytes of BLAKE3; names in `held` are bytes, keys and paths are text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeVar

from everysite.index.contract.access import Access, Account, Token
from everysite.index.contract.elements import Elements, Replicas, Tally
from everysite.index.contract.held import Held, HeldFile, HeldFolder
from everysite.index.contract.history import Audit, AuditRow, Change, Event, History
from everysite.index.contract.sites import Sites
from everysite.index.contract.tasks import Leases, Tasks, Waiting
from everysite.model.clock import Version

__all__ = [
    "Access",
    "Account",
    "Audit",
    "AuditRow",
    "Change",
    "Elements",
    "Event",
    "Held",
    "HeldFile",
    "HeldFolder",
    "History",
    "Index",
    "Lane",
    "Leases",
    "Replicas",
    "Sites",
    "Tally",
    "Tasks",
    "Token",
    "Topic",
    "Transaction",
    "Waiting",
]

T = TypeVar("T")
Lane = Literal["interactive", "bulk"]
Topic = int | str


class Transaction(Protocol):
    """The tables, inside one unit of work."""

    elements: Elements
    replicas: Replicas
    sites: Sites
    tasks: Tasks
    leases: Leases
    held: Held
    history: History
    audit: Audit
    access: Access

    def stamp(self, now: int) -> Version:
        """The next version of this tracker's hybrid clock."""

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """Latest states by change number; a thing changed twice is there once, with its newest number."""

    def last_change(self) -> int:
        """The highest change number that was given out; 0 before the first."""

    def meta(self, key: str) -> str | None:
        """Small facts about this index: its epoch, cursors, secrets."""

    def set_meta(self, key: str, value: str | None) -> None: ...


class Index(Protocol):
    """What we remember. One process opens an index of the SQLite engine; any number share one of the PostgreSQL engine."""

    @property
    def shared(self) -> bool:
        """Whether other processes may have it open too."""

    async def run(self, unit: Callable[[Transaction], T], lane: Lane = "interactive") -> T:
        """Carry a unit out and commit it durably. Bulk units yield to interactive ones; keep each below 10 ms of work."""

    async def read(self, unit: Callable[[Transaction], T], scan: bool = False, seconds: float = 0) -> T:
        """A unit that only reads, on a consistent state. `scan`: it reads many rows, so it runs beside the event loop.

        Raises TooCostly for one that takes longer than so many seconds; 0: no limit.
        """

    def listen(self, committed: Callable[[], None]) -> Callable[[], None]:
        """Call it in the running loop after every commit, before those who wrote go on, and soon after another process
        committed (20 ms; 1 s if that process died of it); answers a function that ends this. It must return at once and
        never raise."""

    def tell(self, topics: Iterable[Topic]) -> None:
        """Tell these words to whoever hears in the other processes that have this index open. What this process told is
        never heard here; a word told several times within 20 ms is heard once. After a restart of the database it may be
        lost: who waits for one looks for himself now and then."""

    def hear(self, told: Callable[[frozenset[Topic]], None]) -> Callable[[], None]:
        """Call it in the running loop with what other processes tell, and with no word at all when some may have been
        missed; answers a function that ends this."""

    async def backup(self, path: str) -> None:
        """A consistent copy of the whole index while it is in use, as a file of the SQLite engine whatever this one is."""

    async def check(self) -> list[str]:
        """What is damaged or contradicts itself, one sentence each; [] when the index is sound. Reads everything."""

    async def close(self) -> None: ...
