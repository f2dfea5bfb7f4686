"""Indexes that an admin adds, on any path within bodies.

Owns: making and dropping them, their names, which there are. Must not know: queries, rows.

Such an index is one of PostgreSQL's over an expression. The path stands in its comment, so the schema itself is the list of
them; its name carries a digest of the path, since names have at most 63 bytes.
"""

from __future__ import annotations

import hashlib

from everysite.decide.targets import STATE_FIELDS
from everysite.errors import BadRequest
from everysite.index.conditions import findable
from everysite.index.postgres_paths import COLUMNS, literal, ranked_sql
from everysite.index.postgres_session import Session

_LISTED = (
    "SELECT obj_description(indexrelid, 'pg_class') FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE indrelid = 'element'::regclass AND relname LIKE 'path\\_%'"
)
ALWAYS = ("_id", *COLUMNS)
"""Paths that are indexed in every index."""


class Indexes:
    """Of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def added(self) -> frozenset[str]:
        return frozenset(str(row[0]) for row in self._session.rows(_LISTED))

    def add(self, path: str) -> None:
        """See the contract's Elements."""
        if not all(path.split(".")) or not findable(path):
            raise BadRequest(f"{path!r} is no key; name one, or keys joined by dots")
        if path == "digest" or (path.partition("_")[0] in STATE_FIELDS and "_" in path):
            raise BadRequest(f"{path} is kept apart from the keys of elements; it needs no index")
        if path in ALWAYS or path in self.added():
            return
        name = _name(path)
        # With `id`, the order of a search among equals is that of the index too.
        self._session.write(f'CREATE INDEX {name} ON element (({ranked_sql(path)}) COLLATE "C" NULLS FIRST, id)')
        self._session.write(f"COMMENT ON INDEX {name} IS {literal(path)}")
        self._session.write("ANALYZE element")  # without, the engine knows nothing of the values of an expression

    def drop(self, path: str) -> bool:
        """See the contract's Elements."""
        if path not in self.added():
            return False
        self._session.write(f"DROP INDEX {_name(path)}")
        return True

    def listed(self) -> list[str]:
        """All, sorted."""
        return sorted({*ALWAYS, *self.added()})


def _name(path: str) -> str:
    return "path_" + hashlib.blake2b(path.encode(), digest_size=16).hexdigest()
