"""All rows of an index, from PostgreSQL into an SQLite file and back.

Owns: a backup as a file that either engine can be restored from, and reading one in. Must not know: who asks for it.

A backup is a file of the other engine on purpose: it is one file, `everysite check` can look into it, and a tracker that
outgrew one machine, or came back to one, is restored from it like any other. pg_dump works too, for those who like that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec
import psycopg

from everysite.errors import Conflict, Refused
from everysite.index import sqlite_paths, sqlite_rows
from everysite.index.postgres_connection import Connection, connect, explain
from everysite.index.postgres_indexes import Indexes
from everysite.index.postgres_paths import COLUMNS, ranked
from everysite.index.postgres_rows import Rows
from everysite.index.postgres_schema import TURN
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import body_text
from everysite.index.sqlite_connection import explain as explain_file
from everysite.index.sqlite_indexes import Indexes as FileIndexes
from everysite.index.sqlite_schema import migrate as migrate_file
from everysite.index.tables import TABLES
from everysite.model.element import Body

_PAGE = 1_000  # rows at once
_TRIES, _PAUSE_S = 10, 0.1
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'everysite'"
    " AND pid <> pg_backend_pid()"
)
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TYPES = (
    "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
    " AND NOT attisdropped"
)
_decode = msgspec.json.Decoder(Body).decode


def backup(url: str, place: str, target: str) -> None:
    """Everything as it is now, in a file. Written beside `target` and renamed when whole; one already there is replaced.

    Raises SiteUnreachable, TargetFull.
    """
    stage = f"{target}.{os.getpid()}.part"
    try:
        with contextlib.closing(apsw.Connection(stage)) as file, connect(url) as db:
            _fill_file(Session(db, writes=False), file, target)
        os.replace(stage, target)
    except psycopg.Error as err:
        raise explain(err, place) from err
    except apsw.Error as err:
        raise explain_file(err, target) from err
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stage)


def _fill_file(session: Session, file: apsw.Connection, target: str) -> None:
    file.pragma("page_size", 8192)
    file.pragma("synchronous", "full")
    migrate_file(file, target)
    file.execute("BEGIN")
    session.later(_SNAPSHOT)
    for table, columns in TABLES.items():
        extra = f", {', '.join(sqlite_paths.COLUMNS.values())}" if table == "element" else ""
        head = f"INSERT OR REPLACE INTO {table} ({columns}{extra})"
        for page in session.pages(f"SELECT {columns} FROM {table}", (), _PAGE):
            sqlite_rows.write(file, head, [_file_row(row) for row in page] if table == "element" else page)
    for path in sorted(Indexes(session).added()):
        FileIndexes(file).add(path)
    session.later("ROLLBACK")
    session.flush()
    file.execute("COMMIT")


def _file_row(row: Sequence[Any]) -> Sequence[Any]:
    *rest, text = row
    body = _decode(text)
    values = (sqlite_paths.ranked(body[key]) if key in body else None for key in sqlite_paths.COLUMNS)
    return (*rest, text.decode(), *values)


def is_used(url: str, place: str) -> bool:
    """Whether there is anything to lose. Raises Conflict when another process has the database open."""
    try:
        with connect(url) as db:
            for _ in range(_TRIES):
                if not db.execute(_OTHERS).fetchall()[0][0]:
                    return bool(db.execute("SELECT EXISTS (SELECT 1 FROM number)").fetchall()[0][0])
                time.sleep(_PAUSE_S)  # a process that has just ended
    except psycopg.Error as err:
        raise explain(err, place) from err
    raise Conflict(f"{place} is in use by another process of everysite; stop all of them first")


def fill(url: str, place: str, source: str) -> None:
    """Everything in the database becomes what is in the file `source`, in one step; the file is of our schema and sound.

    Raises Refused for numbers or keys PostgreSQL has no room for, SiteUnreachable, TargetFull.
    """
    try:
        with contextlib.closing(apsw.Connection(source)) as file, connect(url) as db:
            _fill_database(db, file)
    except (psycopg.errors.ProgramLimitExceeded, psycopg.errors.NumericValueOutOfRange) as err:
        raise Refused(
            f"{place}: something in the backup is too large for PostgreSQL ({err.diag.message_primary})"
        ) from err
    except psycopg.Error as err:
        raise explain(err, place) from err
    except apsw.Error as err:
        raise explain_file(err, source) from err


def _fill_database(db: Connection, file: apsw.Connection) -> None:
    session = Session(db, writes=True)
    session.write("BEGIN")
    session.write(TURN)
    session.write(f"TRUNCATE {', '.join(TABLES)}")
    indexes = Indexes(session)
    wanted = FileIndexes(file).added()
    for path in indexes.added() - wanted:
        indexes.drop(path)
    for table, columns in TABLES.items():
        _fill_table(session, table, columns, file.execute(f"SELECT {columns} FROM {table}"))
    for path in sorted(wanted):
        indexes.add(path)
    session.write("COMMIT")
    session.flush()


def _fill_table(session: Session, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
    kinds: dict[str, str] = dict(session.rows(_TYPES, (table,)))
    names = [name.strip(' "') for name in columns.split(",")]
    types = [kinds[name] for name in names]
    if table == "element":
        names, types = [*names, *COLUMNS.values()], [*types, *["text"] * len(COLUMNS)]
    quoted = ", ".join(f'"{name}"' for name in names)
    into = Rows(f"INSERT INTO {table} ({quoted})", " ".join(types))
    page: list[Sequence[Any]] = []
    for row in rows:
        page.append(_database_row(row) if table == "element" else row)
        if len(page) == _PAGE:
            into.write(session, page)
            session.flush()
            page = []
    into.write(session, page)
    session.flush()


def _database_row(row: Sequence[Any]) -> Sequence[Any]:
    *rest, text = row
    body = _decode(text)
    values = (ranked(body[key]) if key in body else None for key in COLUMNS)
    return (*rest, body_text(text.encode()), *values)
