"""The index in a PostgreSQL database that several processes may share.

Owns: the Index over a writer, readers and signals; opening, backup, closing. Must not know: tables, SQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import BinaryIO, TypeVar

import psycopg

from everysite.index.contract import Lane, Topic, Transaction
from everysite.index.lanes import Listeners
from everysite.index.postgres_check import check
from everysite.index.postgres_connection import connect, explain, shown
from everysite.index.postgres_copy import backup, fill, is_used
from everysite.index.postgres_readers import Readers
from everysite.index.postgres_schema import migrate
from everysite.index.postgres_signals import Signals
from everysite.index.postgres_writer import Writer
from everysite.index.sqlite_restore import prepared, sweep

__all__ = ["PostgresIndex", "inspect", "migrated", "open", "restore"]

T = TypeVar("T")


class PostgresIndex:
    """See the contract's Index. May be used from several event loops."""

    shared = True

    def __init__(self, url: str, place: str, readers: int) -> None:
        self._url, self._place = url, place
        self._listeners = Listeners()
        self._signals = Signals(url, self._listeners)
        self._writer = Writer(url, place, self._committed)
        self._readers = Readers(url, place, readers)

    def _committed(self, last: int) -> None:
        """In the writer's thread, before those who wrote go on."""
        self._listeners.tell()
        self._signals.commit(last)

    async def run(self, unit: Callable[[Transaction], T], lane: Lane = "interactive") -> T:
        result: T = await self._writer.run(unit, lane)
        return result

    async def read(self, unit: Callable[[Transaction], T], scan: bool = False, seconds: float = 0) -> T:
        result: T = await self._readers.read(unit, scan, seconds)
        return result

    def listen(self, committed: Callable[[], None]) -> Callable[[], None]:
        return self._listeners.add(committed)

    def tell(self, topics: Iterable[Topic]) -> None:
        self._signals.tell(topics)

    def hear(self, told: Callable[[frozenset[Topic]], None]) -> Callable[[], None]:
        return self._signals.hear(told)

    async def backup(self, path: str) -> None:
        """Written beside `path` and renamed when whole; a file already there is replaced."""
        await self._readers.call(lambda: backup(self._url, self._place, path))

    async def check(self) -> list[str]:
        return await self._readers.call(lambda: check(self._url, self._place))

    async def close(self) -> None:
        """Carries out what is queued. Later calls of `run` and `read` raise Cancelled."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.close()
        self._writer.close()
        self._signals.close()


def open(url: str, readers: int = 2) -> PostgresIndex:
    """Open an index, or make it in an empty database. Any number of processes may have it open.

    Raises Refused (another program's tables, a newer schema, no UTF-8), SiteUnreachable (not there, not allowed), TargetFull.
    """
    return PostgresIndex(url, migrated(url), readers)


def migrated(url: str) -> str:
    """Bring a database to our schema; its name for people. Raises as `open` does."""
    place = shown(url)
    try:
        with connect(url) as db:
            migrate(db, place)
    except psycopg.Error as err:
        raise explain(err, place) from err
    return place


def inspect(url: str) -> list[str]:
    """What is wrong with a database that may be in use; [] when it is sound. Raises as `open` does."""
    return check(url, migrated(url))


def restore(source: BinaryIO, shown_source: str, url: str, stage: str, kept: str, epoch: str) -> bool:
    """Make a database what a backup (called `shown_source` in errors) says, with a new `epoch`.

    `stage`: a file that may be written meanwhile. What was there is kept as a backup under the name `kept`; answers whether
    anything was. Raises Refused (no good backup), Conflict (another process has it open), SiteUnreachable, TargetFull; the
    database is as it was then.
    """
    place = migrated(url)
    sweep(stage)
    try:
        there = is_used(url, place)
        prepared(source, shown_source, stage, epoch)
        if there:
            backup(url, place, kept)
        fill(url, place, stage)
        return there
    finally:
        sweep(stage)
