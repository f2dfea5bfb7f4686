"""The index in one SQLite file.

Owns: the Index over a writer and readers; opening, backup, closing. Must not know: tables, SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from typing import TypeVar

import apsw

from everysite.errors import SiteUnreachable
from everysite.index.contract import Lane, Topic, Transaction
from everysite.index.sqlite_check import check, engine
from everysite.index.sqlite_connection import WRITER_CACHE, connect, explain
from everysite.index.sqlite_readers import Readers
from everysite.index.sqlite_restore import restore
from everysite.index.sqlite_schema import is_current, migrate
from everysite.index.sqlite_writer import Writer

__all__ = ["SqliteIndex", "inspect", "open", "restore"]

T = TypeVar("T")


class SqliteIndex:
    """See the contract's Index. May be used from several event loops."""

    shared = False

    def __init__(self, path: str, writer: Writer, readers: Readers) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers

    async def run(self, unit: Callable[[Transaction], T], lane: Lane = "interactive") -> T:
        result: T = await self._writer.run(unit, lane)
        return result

    async def read(self, unit: Callable[[Transaction], T], scan: bool = False, seconds: float = 0) -> T:
        result: T = await self._readers.read(unit, scan, seconds)
        return result

    def listen(self, committed: Callable[[], None]) -> Callable[[], None]:
        return self._writer.listen(committed)

    def tell(self, topics: Iterable[Topic]) -> None:
        """No other process has it open."""

    def hear(self, told: Callable[[frozenset[Topic]], None]) -> Callable[[], None]:
        return lambda: None

    async def backup(self, path: str) -> None:
        """Written beside `path` and renamed when whole; a file already there is replaced."""
        await self._readers.call(lambda: _copy(self._path, path))

    async def check(self) -> list[str]:
        return await self._readers.call(lambda: _check(self._path))

    async def close(self) -> None:
        """Carries out what is queued. Later calls of `run` and `read` raise Cancelled."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.close()
        self._writer.close()


def open(path: str, readers: int = 2) -> SqliteIndex:
    """Open or create an index. The caller holds the lock of its home: two processes must not write one file.

    Raises Refused (another program's file, or a newer schema), SiteUnreachable (damaged, not allowed), TargetFull.
    """
    db = connect(path, WRITER_CACHE, writes=True)
    try:
        migrate(db, path)
    except apsw.Error as err:
        db.close()
        raise explain(err, path) from err
    except BaseException:  # whatever it was: nobody else knows this connection
        db.close()
        raise
    return SqliteIndex(path, Writer(path, db), Readers(path, readers))


def inspect(path: str) -> list[str]:
    """What is wrong with a database nobody has open; [] when it is sound. Changes nothing, leaves nothing beside it.

    Raises Refused (another program's file, or a newer schema), SiteUnreachable (not allowed). Of an older schema only
    the file itself is checked: opening it brings it up to date.
    """
    try:
        db = connect(path, in_use=os.path.exists(f"{path}-wal"))
    except SiteUnreachable as err:
        if isinstance(err.__cause__, (apsw.CorruptError, apsw.NotADBError)):
            return [f"the file is damaged: {err.__cause__}"]
        raise
    try:
        if damaged := engine(db):
            return damaged
        return check(db) if is_current(db, path) else []
    except apsw.Error as err:
        raise explain(err, path) from err
    finally:
        db.close()


def _check(path: str) -> list[str]:
    db = connect(path)
    try:
        return check(db)
    except apsw.Error as err:
        raise explain(err, path) from err
    finally:
        db.close()


def _copy(source: str, target: str) -> None:
    stage = f"{target}.{os.getpid()}.part"
    try:
        _copy_into(source, stage)
        os.replace(stage, target)
    except apsw.Error as err:
        raise explain(err, target) from err
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stage)


def _copy_into(source: str, stage: str) -> None:
    """In one step, so on one state: the writer goes on in the log meanwhile."""
    db, copy = connect(source), apsw.Connection(stage)
    try:
        copy.pragma("synchronous", "full")
        with copy.backup("main", db, "main") as backup:
            backup.step(-1)
    finally:
        copy.close()
        db.close()
