"""The schema number, and the way from one schema to the next.

Owns: applying `migrations/postgres/NNNN_*.sql` in order, one process at a time; refusing databases that are not ours or too
new. Must not know: what the tables are for.
"""

from __future__ import annotations

import os

from psycopg import sql

from everysite.errors import Refused
from everysite.index.postgres_connection import Connection

_FOLDER = os.path.join(os.path.dirname(__file__), "migrations", "postgres")
_OLDEST = 140000  # PostgreSQL 14
_SCHEMA = "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())::int"
_LOCK = f"SELECT pg_advisory_xact_lock({0x65737973}, {_SCHEMA})"  # "esys": whoever makes or changes tables
TURN = f"SELECT pg_advisory_xact_lock({0x65737974}, {_SCHEMA})"  # "esyt": whoever writes
HOLD = f"SELECT pg_try_advisory_lock({0x65737974}, {_SCHEMA})"  # the same, by a session that is to keep others from it
COPYING = (
    f"SELECT pg_try_advisory_lock({0x65737975}, {_SCHEMA})"  # "esyu": whoever copies another database into this one
)
COPY = "everysite_copy"
"""The table that is there while a copy from another database is unfinished."""
# Not to_regclass: behind a lock that was waited for it may answer from before, and two first starts make the tables twice.
_THERE = "SELECT " + ", ".join(
    f"(SELECT relname::text FROM pg_class WHERE relname = '{name}' AND relnamespace = {_SCHEMA})"
    for name in ("everysite_schema", "element", COPY)
)


def migrations() -> list[tuple[int, str]]:
    """(number, file name) in order."""
    return sorted((int(name[:4]), name) for name in os.listdir(_FOLDER) if name.endswith(".sql"))


def migrate(db: Connection, place: str) -> None:
    """Bring the database to our schema, all steps in one transaction. Raises Refused for one we must not touch."""
    _check_server(db, place)
    steps = migrations()
    if _number(db, place, steps[-1][0]) == steps[-1][0]:
        return
    with db.transaction():
        db.execute(_LOCK)
        there = _number(db, place, steps[-1][0])  # another process may have been faster
        if not there:
            db.execute("CREATE TABLE everysite_schema (number int NOT NULL)")
            db.execute("INSERT INTO everysite_schema VALUES (0)")
        for number, name in steps:
            if number > there:
                _apply(db, name)
        db.execute("UPDATE everysite_schema SET number = %s", (steps[-1][0],))


def is_current(db: Connection, place: str) -> bool:
    """Whether the database has our schema, not an older one or none. Raises Refused for one we must not touch."""
    _check_server(db, place)
    newest = migrations()[-1][0]
    return _number(db, place, newest) == newest


def _check_server(db: Connection, place: str) -> None:
    if db.info.server_version < _OLDEST:
        raise Refused(f"{place} is PostgreSQL {db.info.server_version // 10000}; use 14 or newer")
    row = db.execute("SELECT current_setting('server_encoding'), current_schema()").fetchone()
    assert row is not None
    if row[0] != "UTF8":
        raise Refused(
            f"{place} keeps texts as {row[0]}; make a database with: createdb --encoding=UTF8 --template=template0"
        )
    if row[1] is None:
        raise Refused(f"{place} has no schema for our tables; make one, or set search_path for this user")


def _number(db: Connection, place: str, newest: int) -> int:
    """0: there is nothing yet."""
    row = db.execute(_THERE).fetchone()
    assert row is not None
    ours, element, copy = row
    if ours is None:
        if element is not None:
            raise Refused(f"{place} has a table `element` of another program; name another database for the index")
        return 0
    if copy is not None:
        raise Refused(
            f"{place} holds an unfinished copy of another database; go on with 'everysite database copy', or drop its tables"
        )
    row = db.execute("SELECT number FROM everysite_schema").fetchone()
    number = int(row[0]) if row else 0
    if number > newest:
        raise Refused(
            f"{place} has schema {number}, this program knows schemas up to {newest};"
            " install the version of everysite that wrote it, or restore a backup made before the upgrade"
        )
    return number


def _apply(db: Connection, name: str) -> None:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        db.execute(sql.SQL(file.read()))  # our own text
