"""Indexes that an admin adds, on any path within bodies.

Owns: making and dropping them, their names, which there are. Must not know: queries, rows.

Such an index is one of SQLite's over an expression; its name carries the path in hexadecimal digits, so the schema itself
is the list of them and no path can be mistaken for syntax.
"""

from __future__ import annotations

import apsw

from everysite.decide.targets import STATE_FIELDS
from everysite.errors import BadRequest
from everysite.index.conditions import findable
from everysite.index.sqlite_paths import COLUMNS, ranked_sql

_PREFIX = "path_"
_LISTED = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name >= 'path_' AND name < 'path`'"
ALWAYS = ("_id", *COLUMNS)
"""Paths that are indexed in every index."""


class Indexes:
    """Of one connection."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._schema = -1
        self._added: frozenset[str] = frozenset()

    def added(self) -> frozenset[str]:
        """Read anew when any connection has changed the schema."""
        schema = int(next(self._db.execute("PRAGMA schema_version"))[0])
        if schema != self._schema:
            names = [str(row[0]) for row in self._db.execute(_LISTED)]
            self._added = frozenset(bytes.fromhex(name.removeprefix(_PREFIX)).decode() for name in names)
            self._schema = schema
        return self._added

    def name(self, path: str) -> str:
        """Of the added index on a path; '' when there is none."""
        return _name(path) if path in self.added() else ""

    def add(self, path: str) -> None:
        """See the contract's Elements."""
        if not all(path.split(".")) or not findable(path):
            raise BadRequest(f"{path!r} is no key; name one, or keys joined by dots")
        if path == "digest" or (path.partition("_")[0] in STATE_FIELDS and "_" in path):
            raise BadRequest(f"{path} is kept apart from the keys of elements; it needs no index")
        if path not in ALWAYS:
            self._db.execute(f"CREATE INDEX IF NOT EXISTS {_name(path)} ON element ({ranked_sql(path)})")

    def drop(self, path: str) -> bool:
        """See the contract's Elements."""
        if path not in self.added():
            return False
        self._db.execute(f"DROP INDEX {_name(path)}")
        return True

    def listed(self) -> list[str]:
        """All, sorted."""
        return sorted({*ALWAYS, *self.added()})


def _name(path: str) -> str:
    return _PREFIX + path.encode().hex()
