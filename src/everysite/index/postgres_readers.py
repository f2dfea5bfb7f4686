"""Reading beside the writer.

Owns: the threads and connections for short reads and for long ones. Must not know: tables, the writer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from everysite.errors import Cancelled, TooCostly
from everysite.index.contract import Transaction
from everysite.index.postgres_connection import Connection, connect, explain, passes
from everysite.index.postgres_session import AskedTwiceError, Session
from everysite.index.postgres_transaction import PostgresTransaction
from everysite.index.postgres_writer import PATIENCE_S

T = TypeVar("T")

_SHORT = 4  # threads for reads of few rows
_WAY_OUT = "ask for a key that is indexed as well (everysite index add KEY makes one), or for less"
_PAUSE_S = 0.1
_ASKING: set[Any] = set()
"""The code of units that ask more than one question. A question of its own needs no transaction, whose begin and end cost as
much again each; a unit not met before is tried so, and begun anew with one when it asks again."""


class Reader:
    """One connection, one unit at a time, each on one state of the index."""

    def __init__(self, url: str, place: str) -> None:
        self._url, self._place = url, place
        self._db: Connection | None = None
        self._session: Session
        self._transaction: PostgresTransaction
        self._limited = False

    def carry_out(self, unit: Callable[[Transaction], Any], seconds: float) -> Any:
        """Begins anew while a lost connection is the only trouble."""
        given_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._once(unit, seconds)
            except errors.QueryCanceled as err:
                raise _too_costly(seconds) from err
            except errors.ReadOnlySqlTransaction as err:
                raise TypeError("a unit given to read() wants to write; give it to run()") from err
            except psycopg.Error as err:
                again = passes(err, self._db)
                self._leave()
                if not again or time.monotonic() > given_up:
                    raise explain(err, self._place) from err
                time.sleep(_PAUSE_S)

    def _once(self, unit: Callable[[Transaction], Any], seconds: float) -> Any:
        db = self._connected()
        session = self._session
        code = getattr(getattr(unit, "func", unit), "__code__", None)
        session.begin(once=not seconds and code is not None and code not in _ASKING)
        session.until = time.monotonic() + seconds if seconds else 0.0
        if seconds:
            session.later(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
        try:
            return unit(self._transaction)
        except AskedTwiceError:
            _ASKING.add(code)
            session.begin(once=False)
            return unit(self._transaction)
        except TooCostly as err:
            raise _too_costly(seconds) if session.until else err from None
        finally:
            if not (db.closed or db.broken):
                session.end()

    def _connected(self) -> Connection:
        if self._db is None or self._db.closed or self._db.broken:
            self._db = connect(self._url)
            self._session = Session(self._db, writes=False)
            self._transaction = PostgresTransaction(self._session, writes=False)
        return self._db

    def _leave(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def close(self) -> None:
        self._leave()


class Readers:
    """Short units on threads of their own, so that long ones never stand before them."""

    def __init__(self, url: str, place: str, threads: int) -> None:
        self._url, self._place = url, place
        self._short = _Pool(url, place, _SHORT)
        self._long = _Pool(url, place, threads)
        self._closed = False

    async def read(self, unit: Callable[[Transaction], Any], scan: bool, seconds: float = 0) -> Any:
        if self._closed:
            raise Cancelled(f"{self._place}: the index is closed")
        pool = self._long if scan or seconds else self._short
        return await pool.call(lambda reader: reader.carry_out(unit, seconds))

    async def call(self, work: Callable[[], T]) -> T:
        """Other blocking work for the threads of long reads."""
        found: T = await self._long.call(lambda _reader: work())
        return found

    def close(self) -> None:
        self._closed = True
        self._short.close()
        self._long.close()


class _Pool:
    """Threads, and a connection for each that was ever busy at once."""

    def __init__(self, url: str, place: str, threads: int) -> None:
        self._url, self._place = url, place
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="index-reader")
        self._idle: SimpleQueue[Reader] = SimpleQueue()

    async def call(self, work: Callable[[Reader], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._on_thread, work)

    def _on_thread(self, work: Callable[[Reader], Any]) -> Any:
        try:
            reader = self._idle.get_nowait()
        except Empty:
            reader = Reader(self._url, self._place)
        try:
            return work(reader)
        finally:
            self._idle.put(reader)

    def close(self) -> None:
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().close()


def _too_costly(seconds: float) -> TooCostly:
    return TooCostly(f"this takes longer than {seconds:g} s and was ended; {_WAY_OUT}")
