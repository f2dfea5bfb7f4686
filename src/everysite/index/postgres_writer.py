"""The one thread of this process that writes, and its turns with other processes.

Owns: the writing connection, the turn, savepoints a unit, group commit, repeating what a conflict or a lost connection
undid. Must not know: tables, readers, what a unit does.

Processes that share a database take turns: a group holds an advisory lock from before its first look at the data until
its commit is on the disk. So a unit sees what it decides on stand still, as with SQLite; nothing deadlocks; and numbers of
changes grow in the order of commits. See docs/decisions for what other ways cost.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

from everysite.errors import EverysiteError
from everysite.index.contract import Lane, Transaction
from everysite.index.lanes import Job, Lanes, answer, fail
from everysite.index.postgres_connection import Connection, connect, explain, passes
from everysite.index.postgres_schema import TURN
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import array
from everysite.index.postgres_transaction import PostgresTransaction

_NUMBERS = "SELECT name, value FROM number UNION ALL SELECT '', turn FROM writer WHERE name = %s"
_MARK = "INSERT INTO writer VALUES (%s, %s, now()) ON CONFLICT (name) DO UPDATE SET turn = excluded.turn, seen = excluded.seen"
_FORGET = "DELETE FROM writer WHERE name = %s OR seen < now() - interval '30 days'"
_SAVE = (
    "INSERT INTO number (name, value) SELECT * FROM unnest(%s::text[], %s::bigint[])"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
PATIENCE_S = 10.0  # for a database that is being started again, or others that are in the way
_PAUSE_S = 0.1


class Writer:
    """Starts its thread at once; `close` carries out what is queued and ends it. `committed`: to be called with
    the last change number after a commit, before those who wrote go on."""

    def __init__(self, url: str, place: str, committed: Callable[[int], None]) -> None:
        self._url, self._place, self._committed = url, place, committed
        self._lanes = Lanes(place)
        self._db: Connection | None = None
        self._session: Session
        self._transaction: PostgresTransaction
        self._name = secrets.token_hex(8)
        self._turn = 0
        self._thread = threading.Thread(target=self._work, name="index-writer", daemon=True)
        self._thread.start()

    async def run(self, unit: Callable[[Transaction], Any], lane: Lane) -> Any:
        return await self._lanes.run(unit, lane)

    def close(self) -> None:
        """Blocks until everything queued is committed."""
        self._lanes.close()
        self._thread.join()
        if self._db is not None:
            with contextlib.suppress(psycopg.Error):  # it is forgotten in a month all the same
                self._db.execute(_FORGET, (self._name,))
            self._db.close()

    def _work(self) -> None:
        while self._lanes.wait():
            jobs: list[Job] = []
            try:
                self._until_done(jobs)
                self._committed(self._transaction.numbers.last("change"))
            except psycopg.Error as err:
                jobs = jobs or self._lanes.take_all()
                fail(jobs, explain(err, self._place), err)
            answer(jobs)

    def _until_done(self, jobs: list[Job]) -> None:
        """One group. Repeats it while that may help; raises when none of it could be committed."""
        given_up = time.monotonic() + PATIENCE_S
        self._turn += 1
        while True:
            try:
                self._connected()
                self._group(jobs)
                return
            except psycopg.Error as err:
                again = passes(err, self._db)
                self._leave()
                if not again or time.monotonic() > given_up:
                    raise
                time.sleep(_PAUSE_S)

    def _connected(self) -> None:
        if self._db is None or self._db.closed or self._db.broken:
            self._db = connect(self._url)
            # Units look rows up by their keys; with the keys of a whole batch, or no statistics yet, the engine would rather read
            # the table (1,000 creates: 131 ms instead of 21).
            self._db.execute("SET enable_seqscan = off")
            self._session = Session(self._db, writes=True)
            self._transaction = PostgresTransaction(self._session, writes=True)

    def _group(self, jobs: list[Job]) -> None:
        """One transaction. Fills `jobs` with what took part; those already in it are carried out anew."""
        session, transaction = self._session, self._transaction
        session.later("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        session.later(TURN)
        # A statement of its own: what it sees is younger than the turn.
        last: dict[str, int] = dict(session.rows(_NUMBERS, (self._name,)))
        if last.pop("", 0) == self._turn:  # the commit came about, only its answer was lost
            session.end()
            return
        transaction.numbers.begin(last.items())
        started = time.monotonic()
        for job in jobs:
            self._carry_out(job)
        while (job := self._lanes.next(time.monotonic() - started, bool(jobs))) is not None:  # type: ignore[assignment]
            if job.future.cancelled():
                continue
            jobs.append(job)
            self._carry_out(job)
        news = transaction.numbers.changed()
        if news:
            session.write(_SAVE, (array(name for name, _ in news), array(value for _, value in news)))
        session.write(_MARK, (self._name, self._turn))
        session.later("COMMIT")
        session.flush()

    def _carry_out(self, job: Job) -> None:
        """A unit that raises is rolled back alone. Raises psycopg.Error when the whole transaction is undone."""
        session = self._session
        job.result = job.error = None
        session.later("SAVEPOINT unit")
        try:
            job.result = job.unit(self._transaction)
            session.later("RELEASE unit")
            session.settle()
        except BaseException as err:  # the unit's own business: it goes to whoever asked for it
            if isinstance(err, psycopg.Error):
                if passes(err, self._db) or self._db is None or self._db.broken:
                    raise
                job.error = explained(err, self._place)
            else:
                job.error = err
            session.undo("unit")

    def _leave(self) -> None:
        """The state of the connection is not known: the next group starts with a new one."""
        if self._db is not None:
            self._session.forget()
            self._db.close()
            self._db = None


def explained(err: psycopg.Error, place: str) -> EverysiteError:
    """The same, with its cause."""
    found = explain(err, place)
    found.__cause__ = err
    return found
