"""The schema number, and the way from one schema to the next.

Owns: applying `migrations/sqlite/NNNN_*.sql` in order, refusing files that are not ours or too new.
Must not know: what the tables are for.
"""

from __future__ import annotations

import os

import apsw

from everysite.errors import Refused

APPLICATION = 0x65737974  # "esyt", in the file's header, so `file` and we can tell whose it is
_FOLDER = os.path.join(os.path.dirname(__file__), "migrations", "sqlite")


def migrations() -> list[tuple[int, str]]:
    """(number, file name) in order."""
    return sorted((int(name[:4]), name) for name in os.listdir(_FOLDER) if name.endswith(".sql"))


def migrate(db: apsw.Connection, path: str) -> None:
    """Bring the file to our schema, each step in a transaction. Raises Refused for a file we must not touch."""
    steps = migrations()
    _check(db, path, newest=steps[-1][0])
    for number, name in steps:
        if _pragma(db, "user_version") < number:
            _apply(db, number, name)


def is_current(db: apsw.Connection, path: str) -> bool:
    """Whether the file has our schema, not an older one. Raises Refused for a file we must not touch."""
    newest = migrations()[-1][0]
    _check(db, path, newest)
    return _pragma(db, "user_version") == newest


def _check(db: apsw.Connection, path: str, newest: int) -> None:
    schema, application = _pragma(db, "user_version"), _pragma(db, "application_id")
    empty = not db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    if application != APPLICATION and not (empty and application == 0):
        raise Refused(f"{path} is a database of another program; name another file for the index")
    if schema > newest:
        raise Refused(
            f"{path} has schema {schema}, this program knows schemas up to {newest};"
            " install the version of everysite that wrote it, or restore a backup made before the upgrade"
        )


def _apply(db: apsw.Connection, number: int, name: str) -> None:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        script = file.read()
    db.execute("BEGIN IMMEDIATE")
    try:
        if _pragma(db, "user_version") < number:  # another process may have been faster
            db.execute(script).fetchall()
            db.pragma("application_id", APPLICATION)
            db.pragma("user_version", number)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _pragma(db: apsw.Connection, name: str) -> int:
    return int(db.pragma(name))
