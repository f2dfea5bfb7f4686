"""The one thread that writes: everything queued goes into one commit.

Owns: the writing connection, the two lanes, savepoints a unit, group commit, answering.
Must not know: tables, readers, what a unit does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import apsw

from everysite.errors import Cancelled
from everysite.index.contract import Lane, Transaction
from everysite.index.sqlite_checkpoint import Checkpoints
from everysite.index.sqlite_connection import explain
from everysite.index.sqlite_transaction import SqliteTransaction

_GROUP_S = 0.02  # a group commits after this much work, so nobody waits for a stream of others
_BULK_S = 0.01  # no further bulk unit joins a group that has worked this long


@dataclass(slots=True, eq=False)
class _Job:
    """A unit, and whom to tell. Exactly one of `error` and `result` counts in the end."""

    unit: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Owns `db` from now on. Starts its thread at once; `close` carries out what is queued and ends it."""

    def __init__(self, path: str, db: apsw.Connection) -> None:
        self._path = path
        self._db = db
        self._checkpoints = Checkpoints(path)
        self._log_pages = 0
        db.set_wal_hook(self._note_log)  # also takes the place of the checkpoint inside the commit
        self._transaction = SqliteTransaction(self._db, writes=True)
        self._lanes: dict[Lane, deque[_Job]] = {"interactive": deque(), "bulk": deque()}
        self._listeners: list[tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = []
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="index-writer", daemon=True)
        self._thread.start()

    async def run(self, unit: Callable[[Transaction], Any], lane: Lane) -> Any:
        loop = asyncio.get_running_loop()
        job = _Job(unit, loop.create_future(), loop)
        with self._wake:
            if self._closing:
                raise Cancelled(f"{self._path}: the index is closed")
            self._lanes[lane].append(job)
            self._wake.notify()
        return await job.future

    def listen(self, committed: Callable[[], None]) -> Callable[[], None]:
        mine = (asyncio.get_running_loop(), committed)
        self._listeners = [*self._listeners, mine]  # a new list: the thread may be walking the old one
        return lambda: self._forget(mine)

    def _forget(self, listener: tuple[asyncio.AbstractEventLoop, Callable[[], None]]) -> None:
        self._listeners = [each for each in self._listeners if each is not listener]

    def close(self) -> None:
        """Blocks until everything queued is committed."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._checkpoints.close()
        self._db.close()

    def _work(self) -> None:
        while self._wait():
            jobs: list[_Job] = []
            try:
                self._group(jobs)
                self._tell()
            except apsw.Error as err:
                self._leave()
                jobs = jobs or self._take_all()
                _fail(jobs, explain(err, self._path), err)
            _answer(jobs)
            self._checkpoints.committed(self._db, self._log_pages)

    def _wait(self) -> bool:
        """False when it is time to end."""
        with self._wake:
            while not any(self._lanes.values()):
                if self._closing:
                    return False
                self._wake.wait()
        return True

    def _group(self, jobs: list[_Job]) -> None:
        """One transaction. Fills `jobs` with what took part; raises when none of it could be committed."""
        started = time.monotonic()
        self._db.execute("BEGIN IMMEDIATE")
        self._transaction.numbers.load()
        while (job := self._next(time.monotonic() - started, bool(jobs))) is not None:
            if job.future.cancelled():
                continue
            jobs.append(job)
            self._carry_out(job)
        self._transaction.numbers.save()
        self._db.execute("COMMIT")

    def _next(self, worked: float, some: bool) -> _Job | None:
        """Interactive before bulk, also when it came while a bulk unit ran. The first unit of a group is never refused."""
        interactive, bulk = self._lanes["interactive"], self._lanes["bulk"]
        if interactive and (worked < _GROUP_S or not some):
            return interactive.popleft()
        if bulk and (worked < _BULK_S or not some):
            return bulk.popleft()
        return None

    def _carry_out(self, job: _Job) -> None:
        """A unit that raises is rolled back alone. Raises only when the engine gave up the whole transaction."""
        self._db.execute("SAVEPOINT unit")
        try:
            job.result = job.unit(self._transaction)
        except BaseException as err:  # the unit's own business: it goes to whoever asked for it
            job.error = err
            if not self._db.in_transaction:  # a full disk or an I/O error took everybody's work with it
                raise err if isinstance(err, apsw.Error) else apsw.AbortError(str(err)) from err
            self._db.execute("ROLLBACK TO unit")
        self._db.execute("RELEASE unit")

    def _tell(self) -> None:
        """Queued in each loop before the answers are, so who has its answer knows that listeners were told."""
        for loop, committed in self._listeners:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(committed)

    def _take_all(self) -> list[_Job]:
        """What is queued when no transaction can be opened at all: it is told instead of waiting for ever."""
        jobs: list[_Job] = []
        for lane in self._lanes.values():
            while lane:
                jobs.append(lane.popleft())
        return jobs

    def _note_log(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _leave(self) -> None:
        with contextlib.suppress(apsw.Error):  # the engine left the transaction by itself
            self._db.execute("ROLLBACK")


def _fail(jobs: Iterable[_Job], error: Exception, cause: BaseException) -> None:
    error.__cause__ = cause
    for job in jobs:
        job.result, job.error = None, error


def _answer(jobs: Iterable[_Job]) -> None:
    """One wake-up a loop for the whole group."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_deliver, group)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def _deliver(jobs: Iterable[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        elif isinstance(job.error, StopIteration):  # a future refuses to carry this one
            job.future.set_exception(RuntimeError("a unit raised StopIteration"))
        else:
            job.future.set_exception(job.error)
