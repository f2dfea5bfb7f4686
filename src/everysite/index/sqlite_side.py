"""An SQLite file as one side of a copy from engine to engine.

Owns: reading and writing stretches of any table, the file beside the target until it is whole. Must not know: the passes.

The target is filled under another name and takes its own by a rename, so there is no moment with half a database.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from everysite.errors import Conflict, NotFound, Refused
from everysite.index import sqlite_paths, sqlite_rows
from everysite.index.copied_tables import Row, Table
from everysite.index.sqlite_connection import connect, explain
from everysite.index.sqlite_indexes import Indexes
from everysite.index.sqlite_schema import is_current, migrate
from everysite.model.element import Body

_NOTES = "CREATE TABLE IF NOT EXISTS everysite_copy (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"
_decode = msgspec.json.Decoder(Body).decode


class _File:
    """What both sides can."""

    def __init__(self, path: str) -> None:
        self.place = path
        self._db: apsw.Connection

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _or_closed(self) -> Iterator[None]:
        """While it is opened: nobody else knows the connection yet."""
        try:
            with _explained(self.place):
                yield
        except BaseException:  # whatever it was, the connection has no owner yet
            self._db.close()
            raise

    def page(self, table: Table, by: Sequence[str], after: Row | None, upto: Row | None, limit: int) -> list[Row]:
        where, values = _range(by, after, upto)
        order = ", ".join(f'"{column}"' for column in by)
        sql = f"SELECT {_columns(table)} FROM {table.name} WHERE {where} ORDER BY {order} LIMIT ?"
        with _explained(self.place):
            return [tuple(row) for row in self._db.execute(sql, (*values, limit))]


class SqliteSource(_File):
    """See Source. Raises NotFound, Refused (not ours; another schema), SiteUnreachable."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        if not os.path.isfile(path):
            raise NotFound(f"{path} is not there; name the database of a tracker")
        self._db = connect(path)
        with self._or_closed():
            if not is_current(self._db, path):
                raise Refused(f"{path} has an older schema; start its tracker once with this version of everysite")

    def epoch(self) -> str:
        with _explained(self.place):
            rows = self._db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchall()
        return str(rows[0][0]) if rows else ""

    def added(self) -> frozenset[str]:
        return Indexes(self._db).added()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The engine's own exclusive lock: it is not to be had while another process has the file open."""
        self._db.close()
        self._db = apsw.Connection(self.place)
        try:
            with _explained(self.place):
                self._freeze()
            yield
        finally:
            self._db.close()
            self._db = connect(self.place)

    def _freeze(self) -> None:
        try:
            self._db.pragma("locking_mode", "exclusive")
            self._db.execute("BEGIN EXCLUSIVE")
        except apsw.BusyError as err:
            raise Conflict(f"{self.place} is in use; stop its tracker, the rest takes a moment then") from err


class SqliteTarget(_File):
    """See Target. Raises Refused (there is something already; a stage of another schema), SiteUnreachable, TargetFull."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._stage = f"{path}.copying"
        self._refuse_used()
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self._stage, os.O_RDWR | os.O_CREAT, 0o600))  # it will hold password hashes
        self._db = connect(self._stage, writes=True)
        with self._or_closed():
            self._db.pragma("locking_mode", "exclusive")  # two copies at once into one file
            self._db.pragma("synchronous", "normal")  # a page that a power cut takes goes with its note
            migrate(self._db, self._stage)
            self._db.execute(_NOTES)

    def _refuse_used(self) -> None:
        if os.path.exists(self.place) and os.path.getsize(self.place):
            raise Refused(f"{self.place} is there already; a copy goes into a file that is not, or is empty")

    def count(self, table: Table) -> int:
        with _explained(self._stage):
            rows: list[tuple[Any, ...]] = self._db.execute(f"SELECT count(*) FROM {table.name}").fetchall()
        return int(rows[0][0])

    def notes(self) -> dict[str, str]:
        with _explained(self._stage):
            rows: list[tuple[Any, ...]] = self._db.execute("SELECT name, value FROM everysite_copy").fetchall()
        return dict(rows)

    def put(self, table: Table, rows: Sequence[Row], notes: Mapping[str, str]) -> None:
        with _explained(self._stage), self._db:
            self._write(table, rows)
            for note in notes.items():
                self._db.execute("INSERT OR REPLACE INTO everysite_copy VALUES (?, ?)", note)

    def replace(self, table: Table, after: Row | None, upto: Row | None, rows: Sequence[Row]) -> None:
        where, values = _range(table.key, after, upto)
        with _explained(self._stage), self._db:
            self._db.execute(f"DELETE FROM {table.name} WHERE {where}", values)
            self._write(table, rows)

    def _write(self, table: Table, rows: Sequence[Row]) -> None:
        element = table.name == "element"
        extra = f", {', '.join(sqlite_paths.COLUMNS.values())}" if element else ""
        head = f"INSERT OR REPLACE INTO {table.name} ({_columns(table)}{extra})"
        sqlite_rows.write(self._db, head, [_with_ranked(row) for row in rows] if element else rows)

    def index(self, paths: Iterable[str]) -> None:
        wanted, indexes = frozenset(paths), Indexes(self._db)
        with _explained(self._stage):
            for path in indexes.added() - wanted:
                indexes.drop(path)
            for path in sorted(wanted):
                indexes.add(path)

    def finish(self) -> None:
        self._refuse_used()  # a tracker may have been started on it meanwhile
        with _explained(self._stage):
            self._db.execute("DROP TABLE everysite_copy")
            self._db.pragma("synchronous", "full")
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._db.close()  # the last connection takes the log away
        _sync(self._stage)
        for end in ("-wal", "-shm"):  # of an empty file that was there: they would be played into ours
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.place + end)
        os.replace(self._stage, self.place)
        _sync(os.path.dirname(os.path.abspath(self.place)))


def _columns(table: Table) -> str:
    return ", ".join(f'"{column}"' for column in table.columns)


def _range(by: Sequence[str], after: Row | None, upto: Row | None) -> tuple[str, tuple[Any, ...]]:
    names, marks = ", ".join(f'"{column}"' for column in by), ", ".join("?" * len(by))
    parts = [f"({names}) {sign} ({marks})" for sign, end in ((">", after), ("<=", upto)) if end is not None]
    return " AND ".join(parts) or "true", (*(after or ()), *(upto or ()))


def _with_ranked(row: Row) -> Row:
    body = _decode(row[-1])
    return (*row, *(sqlite_paths.ranked(body[key]) if key in body else None for key in sqlite_paths.COLUMNS))


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except apsw.Error as err:
        raise explain(err, path) from err


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
