"""Statements of one transaction after the other, sent together where nobody waits for an answer.

Owns: what is still to be sent, savepoints, reading cursors. Must not know: tables, units, threads.

A round trip costs some 60 us on one machine and 500 us on a network. What only writes is kept back until something is
asked, or the unit ends, and goes in one round trip with that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from everysite.errors import TooCostly
from everysite.index.postgres_connection import Connection

Rows = list[tuple[Any, ...]]


class AskedTwiceError(BaseException):
    """A unit that was given no transaction asks a second question. Not an Exception: no unit means to handle it."""


class Session:
    """One connection, used by one thread at a time."""

    def __init__(self, db: Connection, writes: bool) -> None:
        self._db = db
        self._writes = writes
        self._waiting: list[tuple[str, Sequence[Any]]] = []
        self._names = 0
        self._asked = False
        self._sure = {"SAVEPOINT unit", "RELEASE unit"}
        self._cursor = db.cursor(binary=True)
        self.until = 0.0  # time.monotonic() when it is too late to ask; 0: never
        self.once = False  # only one question may be asked: there is no transaction around it

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        """All rows of a query, after everything that was written before it."""
        if self.until and time.monotonic() > self.until:
            raise TooCostly("this takes too long")
        if self.once:
            if self._asked:
                raise AskedTwiceError
            self._asked = True
        if not self._waiting:
            return self._cursor.execute(sql, values or None).fetchall()
        waiting, self._waiting = self._waiting, []
        with self._db.pipeline():
            self._send(waiting)
            return self._cursor.execute(sql, values or None).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first column of the only row."""
        return self.rows(sql, values)[0][0]

    def write(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Carried out with the next question, or by `flush`."""
        if not self._writes:
            raise TypeError("a unit given to read() wants to write; give it to run()")
        self.later(sql, values)

    def begin(self, once: bool) -> None:
        """A unit that reads: `once` without a transaction, else on one state of the index."""
        self.once, self._asked = once, False
        if not once:
            self.later("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def settle(self) -> None:
        """At the end of a unit that wrote: everything has been carried out that could go wrong."""
        if any(sql not in self._sure for sql, _ in self._waiting):
            self.flush()

    def surely(self, sql: str, values: Sequence[Any] = ()) -> None:
        """As `write`, of what cannot go wrong by itself: it may wait for the next unit of the group."""
        self._sure.add(sql)
        self.write(sql, values)

    def changed(self, sql: str, values: Sequence[Any]) -> Rows:
        """As `rows`, of a statement that writes."""
        if not self._writes:
            raise TypeError("a unit given to read() wants to write; give it to run()")
        return self.rows(sql, values)

    def later(self, sql: str, values: Sequence[Any] = ()) -> None:
        """As `write`, for what a reader may do too."""
        if self.once:
            raise AskedTwiceError
        self._waiting.append((sql, values))

    def count(self, sql: str, values: Sequence[Any] = ()) -> int:
        """How many rows a statement wrote."""
        self.flush()
        if not self._writes:
            raise TypeError("a unit given to read() wants to write; give it to run()")
        return max(0, self._cursor.execute(sql, values).rowcount)

    def flush(self) -> None:
        """Everything written so far is carried out. Raises psycopg.Error."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1:
            self._db.cursor().execute(waiting[0][0], waiting[0][1] or None)
        elif waiting:
            with self._db.pipeline():
                self._send(waiting)

    def forget(self) -> None:
        """What was not sent yet never will be."""
        self._waiting.clear()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """What is written inside is undone alone when it contradicts what is there, and has been carried out when not."""
        self._names += 1
        name = f"inner{self._names}"
        self.later(f"SAVEPOINT {name}")
        try:
            yield
            self.later(f"RELEASE {name}")
            self.flush()
        except psycopg.IntegrityError:
            self.undo(name)
            raise

    def undo(self, savepoint: str) -> None:
        """Back to where it was set; it is gone then. What was not sent yet never will be."""
        waiting = [sql for sql, _ in self._waiting]
        if f"SAVEPOINT {savepoint}" in waiting:
            del self._waiting[waiting.index(f"SAVEPOINT {savepoint}") :]
        else:
            self.forget()
            # One by one: what an aborted pipeline was to prepare, the driver believes prepared until it sees a rollback.
            self._db.execute(f"ROLLBACK TO {savepoint}".encode(), prepare=False)
            self._db.execute(f"RELEASE {savepoint}".encode(), prepare=False)

    def end(self) -> None:
        """Of a transaction that only read. The driver forgets what it prepared at a rollback, so this is none, if it can."""
        self.forget()
        status = self._db.info.transaction_status
        if status == TransactionStatus.INTRANS:
            self._db.execute("COMMIT")
        elif status == TransactionStatus.INERROR:
            self._db.execute("ROLLBACK")

    def pages(self, sql: str, values: Sequence[Any], size: int) -> Iterator[Rows]:
        """The rows of a query, some at a time; what is not asked for is not computed."""
        self._names += 1
        name = f"pages{self._names}"
        self.later(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", values)
        while len(page := self.rows(f"FETCH {size} FROM {name}")) == size:
            yield page
        yield page
        self.later(f"CLOSE {name}")

    def _send(self, waiting: Sequence[tuple[str, Sequence[Any]]]) -> None:
        for sql, values in waiting:
            self._db.cursor().execute(sql, values or None)
