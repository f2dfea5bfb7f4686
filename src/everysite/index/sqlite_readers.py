"""Reading beside the writer.

Owns: the connection for short reads in the calling thread, the pool of threads for long ones.
Must not know: tables, the writer.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import apsw

from everysite.errors import Cancelled, TooCostly
from everysite.index.contract import Transaction
from everysite.index.sqlite_connection import READER_CACHE, connect, explain
from everysite.index.sqlite_transaction import SqliteTransaction

T = TypeVar("T")

_STEPS = 2_000  # engine steps between two looks at the counter
_WAY_OUT = "ask for a key that is indexed as well (everysite index add KEY makes one), or for less"
_LOOKS = 50  # 100,000 steps of one unit, some 5 ms: longer reads leave the event loop
_INLINE_S = 0.01  # steps that read JSON, and rows looked at between steps, take longer


class Reader:
    """One connection, one unit at a time, each on one state of the index."""

    def __init__(self, path: str, cache: int = READER_CACHE) -> None:
        self._path = path
        self._db = connect(path, cache)
        self._transaction = SqliteTransaction(self._db, writes=False)

    def carry_out(self, unit: Callable[[Transaction], Any], looks: int = 0, seconds: float = 0) -> Any:
        """Give up with apsw.InterruptError after so many times 2,000 steps, or after so many seconds; 0: never."""
        self._limit(looks, seconds)
        try:
            self._db.execute("BEGIN")
            try:
                return unit(self._transaction)
            finally:
                self._db.execute("ROLLBACK")
        except apsw.ReadOnlyError as err:
            raise TypeError("a unit given to read() wants to write; give it to run()") from err
        except apsw.InterruptError:
            raise
        except apsw.Error as err:
            raise explain(err, self._path) from err

    def _limit(self, looks: int, seconds: float) -> None:
        left = looks
        until = time.monotonic() + seconds

        def enough() -> bool:
            nonlocal left
            left -= 1
            return (looks > 0 and left < 0) or (seconds > 0 and time.monotonic() > until)

        self._db.set_progress_handler(enough if looks or seconds else None, _STEPS)

    def close(self) -> None:
        self._db.close()


class Readers:
    """Short units run where they are called; long ones on up to `threads` threads."""

    def __init__(self, path: str, threads: int) -> None:
        self._path = path
        self._inline = Reader(path, cache=2 * READER_CACHE)
        self._free = threading.Lock()  # held while the inline connection is in use
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="index-reader")
        self._idle: SimpleQueue[Reader] = SimpleQueue()
        self._closed = False

    async def read(self, unit: Callable[[Transaction], Any], scan: bool, seconds: float = 0) -> Any:
        if self._closed:
            raise Cancelled(f"{self._path}: the index is closed")
        if not scan and self._free.acquire(blocking=False):
            try:
                return self._inline.carry_out(unit, _LOOKS, _INLINE_S)
            except apsw.InterruptError:
                pass  # too long for the event loop: from the start again, on a thread
            finally:
                self._free.release()
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._on_thread, unit, seconds)

    async def call(self, work: Callable[[], T]) -> T:
        """Other blocking work for the pool's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _on_thread(self, unit: Callable[[Transaction], Any], seconds: float) -> Any:
        try:
            reader = self._idle.get_nowait()
        except Empty:
            reader = Reader(self._path)
        try:
            return reader.carry_out(unit, seconds=seconds)
        except apsw.InterruptError as err:
            raise TooCostly(f"this takes longer than {seconds:g} s and was ended; {_WAY_OUT}") from err
        finally:
            self._idle.put(reader)

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown()
        while not self._idle.empty():
            self._idle.get().close()
        with self._free:
            self._inline.close()
