"""One unit's view of the tables.

Owns: the Transaction over one connection, its change feed, clock and small facts.
Must not know: threads, commits, files.
"""

from __future__ import annotations

from itertools import islice

import apsw

from everysite.index.contract import Access, Audit, Change, Elements, Held, History, Leases, Replicas, Sites, Tasks
from everysite.index.sqlite_access import SqliteAccess
from everysite.index.sqlite_elements import SqliteElements
from everysite.index.sqlite_held import SqliteHeld
from everysite.index.sqlite_history import SqliteAudit, SqliteHistory
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_replicas import SqliteReplicas
from everysite.index.sqlite_sites import SqliteLeases, SqliteSites
from everysite.index.sqlite_tasks import SqliteTasks
from everysite.model.clock import Version

# Each branch walks its own index; SQLite merges them in order without sorting, so a page costs a page.
_CHANGES = """
SELECT change, 'element', key, 0 FROM element WHERE change > ?1
UNION ALL SELECT change, 'tombstone', key, 0 FROM tombstone WHERE change > ?1
UNION ALL SELECT r.change, 'replica', (SELECT key FROM element AS e WHERE e.id = r.element), r.site
    FROM replica AS r WHERE r.change > ?1 AND EXISTS (SELECT 1 FROM element AS e WHERE e.id = r.element)
ORDER BY 1
"""


class SqliteTransaction:
    """See the contract's Transaction. Lives as long as its connection; `numbers` are loaded and saved around units."""

    def __init__(self, db: apsw.Connection, writes: bool) -> None:
        self._db = db
        self.numbers = Numbers(db, writes)
        self.elements: Elements = SqliteElements(db, self.numbers)
        self.replicas: Replicas = SqliteReplicas(db, self.numbers)
        self.sites: Sites = SqliteSites(db, self.numbers)
        self.tasks: Tasks = SqliteTasks(db, self.numbers)
        self.leases: Leases = SqliteLeases(db, self.numbers)
        self.held: Held = SqliteHeld(db, self.numbers)
        self.history: History = SqliteHistory(db, self.numbers)
        self.audit: Audit = SqliteAudit(db, self.numbers)
        self.access: Access = SqliteAccess(db, self.numbers)

    def stamp(self, now: int) -> Version:
        return self.numbers.stamp(now)

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        return [Change(*row) for row in islice(self._db.execute(_CHANGES, (after,)), limit)]

    def last_change(self) -> int:
        return next((int(row[0]) for row in self._db.execute("SELECT value FROM number WHERE name = 'change'")), 0)

    def meta(self, key: str) -> str | None:
        return next((str(row[0]) for row in self._db.execute("SELECT value FROM meta WHERE key = ?", (key,))), None)

    def set_meta(self, key: str, value: str | None) -> None:
        if value is None:
            self._db.execute("DELETE FROM meta WHERE key = ?", (key,))
        else:
            self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
