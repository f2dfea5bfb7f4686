"""The one thread that writes: everything queued goes into one commit.

Owns: the writing connection, savepoints a unit, group commit.
Must not know: tables, readers, what a unit does.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import apsw

from everysite.index.contract import Lane, Transaction
from everysite.index.lanes import Job, Lanes, Listeners, answer, fail
from everysite.index.sqlite_checkpoint import Checkpoints
from everysite.index.sqlite_connection import explain
from everysite.index.sqlite_transaction import SqliteTransaction


class Writer:
    """Owns `db` from now on. Starts its thread at once; `close` carries out what is queued and ends it."""

    def __init__(self, path: str, db: apsw.Connection) -> None:
        self._path = path
        self._db = db
        self._checkpoints = Checkpoints(path)
        self._log_pages = 0
        db.set_wal_hook(self._note_log)  # also takes the place of the checkpoint inside the commit
        self._transaction = SqliteTransaction(self._db, writes=True)
        self._lanes = Lanes(path)
        self._listeners = Listeners()
        self._thread = threading.Thread(target=self._work, name="index-writer", daemon=True)
        self._thread.start()

    async def run(self, unit: Callable[[Transaction], Any], lane: Lane) -> Any:
        return await self._lanes.run(unit, lane)

    def listen(self, committed: Callable[[], None]) -> Callable[[], None]:
        return self._listeners.add(committed)

    def close(self) -> None:
        """Blocks until everything queued is committed."""
        self._lanes.close()
        self._thread.join()
        self._checkpoints.close()
        self._db.close()

    def _work(self) -> None:
        while self._lanes.wait():
            jobs: list[Job] = []
            try:
                self._group(jobs)
                self._listeners.tell()
            except apsw.Error as err:
                self._leave()
                jobs = jobs or self._lanes.take_all()
                fail(jobs, explain(err, self._path), err)
            answer(jobs)
            self._checkpoints.committed(self._db, self._log_pages)

    def _group(self, jobs: list[Job]) -> None:
        """One transaction. Fills `jobs` with what took part; raises when none of it could be committed."""
        started = time.monotonic()
        self._db.execute("BEGIN IMMEDIATE")
        self._transaction.numbers.load()
        while (job := self._lanes.next(time.monotonic() - started, bool(jobs))) is not None:
            if job.future.cancelled():
                continue
            jobs.append(job)
            self._carry_out(job)
        self._transaction.numbers.save()
        self._db.execute("COMMIT")

    def _carry_out(self, job: Job) -> None:
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

    def _note_log(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _leave(self) -> None:
        with contextlib.suppress(apsw.Error):  # the engine left the transaction by itself
            self._db.execute("ROLLBACK")
