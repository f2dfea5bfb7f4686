"""A PostgreSQL database as one side of a copy from engine to engine.

Owns: reading and writing stretches of any table, the mark of a database that is not whole yet. Must not know: the passes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from everysite.errors import BadRequest, Conflict, Refused
from everysite.index.copied_tables import Row, Table
from everysite.index.postgres_connection import connect, explain, shown
from everysite.index.postgres_indexes import Indexes
from everysite.index.postgres_paths import COLUMNS, ranked
from everysite.index.postgres_rows import Rows
from everysite.index.postgres_schema import COPY, COPYING, HOLD, is_current, migrate, migrations
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import body_text
from everysite.model.element import Body

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'everysite'"
    " AND pid <> pg_backend_pid()"
)
_TYPES = (
    "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
    " AND NOT attisdropped"
)
_WHICH = (
    "SELECT pg_postmaster_start_time()::text || ' ' || oid::text || ' ' || current_schema()"
    " FROM pg_database WHERE datname = current_database()"
)
_NOTE = f"INSERT INTO {COPY} VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_decode = msgspec.json.Decoder(Body).decode


class _Database:
    """What both sides can. `which` is the same for the same database, however it is named."""

    def __init__(self, url: str) -> None:
        self.place = shown(url)
        with _explained(self.place):
            # Under a name of its own: a tracker's connections are told apart by theirs.
            given = {**conninfo_to_dict(url), "application_name": "everysite copy"}
            self._db = connect(make_conninfo(**given))  # type: ignore[arg-type]  # the stubs want literal keys
        with self._or_closed():
            self._db.execute("SET idle_in_transaction_session_timeout = 0")  # the other side may be slow
            self._session = Session(self._db, writes=True)
            self.which = str(self._session.one(_WHICH))

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
        sql = f"SELECT {_names(table.columns)} FROM {table.name} WHERE {where} ORDER BY {order} LIMIT %s"
        with _explained(self.place):
            rows = self._session.rows(sql, (*values, limit))
        return [(*row[:-1], row[-1].decode()) for row in rows] if table.name == "element" else rows


class PostgresSource(_Database):
    """See Source. Raises Refused (not ours; another schema), SiteUnreachable."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        with self._or_closed():
            if not is_current(self._db, self.place):
                raise Refused(f"{self.place} has no tables of this schema; start its tracker once with this version")

    def epoch(self) -> str:
        with _explained(self.place):
            rows = self._session.rows("SELECT value FROM meta WHERE key = 'epoch'")
        return str(rows[0][0]) if rows else ""

    def added(self) -> frozenset[str]:
        with _explained(self.place):
            return Indexes(self._session).added()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Keeps the turn to write; nobody else of ours may be connected."""
        with _explained(self.place):
            if not self._session.one(HOLD) or self._session.one(_OTHERS):
                self._db.execute("SELECT pg_advisory_unlock_all()")
                raise Conflict(f"{self.place} is in use; stop all its trackers, the rest takes a moment then")
            self._db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            if not self._db.broken:
                self._session.end()
                self._db.execute("SELECT pg_advisory_unlock_all()")


class PostgresTarget(_Database):
    """See Target. Raises Refused (there is something already; an unfinished copy of another schema), Conflict (a tracker,
    or another copy, works there), SiteUnreachable, TargetFull."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._into: dict[str, Rows] = {}
        with self._or_closed():
            if not self._session.one(COPYING) or self._session.one(_OTHERS):
                raise Conflict(f"{self.place} is in use by another process of everysite; stop it first")
            newest = migrations()[-1][0]
            if self._session.one(f"SELECT to_regclass('{COPY}') IS NULL"):
                self._begin(newest)
            elif self._session.one("SELECT number FROM everysite_schema") != newest:
                raise Refused(f"{self.place} holds an unfinished copy of another version of everysite; drop its tables")

    def _begin(self, newest: int) -> None:
        migrate(self._db, self.place)
        if self._session.one("SELECT EXISTS (SELECT 1 FROM number) OR EXISTS (SELECT 1 FROM meta)"):
            raise Refused(f"{self.place} is not empty; a copy goes into an empty database: make one with createdb")
        self._db.execute(f'CREATE TABLE {COPY} (name text COLLATE "C" PRIMARY KEY, value text NOT NULL)'.encode())

    def count(self, table: Table) -> int:
        with _explained(self.place):
            return int(self._session.one(f"SELECT count(*) FROM {table.name}"))

    def notes(self) -> dict[str, str]:
        with _explained(self.place):
            return dict(self._session.rows(f"SELECT name, value FROM {COPY}"))

    def put(self, table: Table, rows: Sequence[Row], notes: Mapping[str, str]) -> None:
        with _explained(self.place), self._transaction():
            self._write(table, rows)
            for note in notes.items():
                self._session.write(_NOTE, note)

    def replace(self, table: Table, after: Row | None, upto: Row | None, rows: Sequence[Row]) -> None:
        where, values = _range(table.key, after, upto)
        with _explained(self.place), self._transaction():
            self._session.write(f"DELETE FROM {table.name} WHERE {where}", values)
            self._write(table, rows)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._db.transaction():
            yield
            self._session.flush()

    def _write(self, table: Table, rows: Sequence[Row]) -> None:
        if not rows:
            return
        for columns in table.unique:
            self._rows(table, columns).write(self._session, [table.at(row, columns) for row in rows])
        stored = [_stored(row) for row in rows] if table.name == "element" else rows
        self._rows(table, ()).write(self._session, stored)

    def _rows(self, table: Table, columns: Sequence[str]) -> Rows:
        """A way to make room for rows with these values; without, to write whole rows."""
        name = ",".join((table.name, *columns))
        if name not in self._into:
            kinds: dict[str, str] = dict(self._session.rows(_TYPES, (table.name,)))
            extra = COLUMNS.values() if table.name == "element" else ()
            written = tuple(columns) or (*table.columns, *extra)
            head, tail = f"INSERT INTO {table.name} ({_names(written)})", ""
            if columns:
                head, tail = f"DELETE FROM {table.name} WHERE ({_names(columns)}) IN (", ")"
            self._into[name] = Rows(head, " ".join(kinds[column] for column in written), tail)
        return self._into[name]

    def index(self, paths: Iterable[str]) -> None:
        wanted = frozenset(paths)
        with _explained(self.place), self._transaction():
            indexes = Indexes(self._session)
            for path in indexes.added() - wanted:
                indexes.drop(path)
            for path in sorted(wanted):
                indexes.add(path)

    def finish(self) -> None:
        with _explained(self.place):
            self._db.execute("ANALYZE")
            self._db.execute(f"DROP TABLE {COPY}".encode())


def refuse_same(source: PostgresSource, target: str) -> None:
    """Raises BadRequest when the address `target` leads to the same database."""
    other = _Database(target)
    other.close()
    if other.which == source.which:
        raise BadRequest(f"{source.place} cannot be copied into itself")


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _range(by: Sequence[str], after: Row | None, upto: Row | None) -> tuple[str, tuple[Any, ...]]:
    names, marks = _names(by), ", ".join(["%s"] * len(by))
    parts = [f"({names}) {sign} ({marks})" for sign, end in ((">", after), ("<=", upto)) if end is not None]
    return " AND ".join(parts) or "true", (*(after or ()), *(upto or ()))


def _stored(row: Row) -> Row:
    body = _decode(row[-1])
    values = (ranked(body[key]) if key in body else None for key in COLUMNS)
    return (*row[:-1], body_text(row[-1].encode()), *values)


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    try:
        yield
    except (psycopg.errors.ProgramLimitExceeded, psycopg.errors.NumericValueOutOfRange) as err:
        raise Refused(f"{place}: something is too large for PostgreSQL ({err.diag.message_primary})") from err
    except psycopg.ProgrammingError as err:
        if err.sqlstate is None:  # found before anything was sent
            raise BadRequest(f"{place} is no address of a database; write postgresql://user@host/name") from err
        raise explain(err, place) from err
    except psycopg.Error as err:
        raise explain(err, place) from err
