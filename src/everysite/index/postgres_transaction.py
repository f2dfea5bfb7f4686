"""One unit's view of the tables.

Owns: the Transaction over one session, its change feed, clock and small facts. Must not know: threads, commits, connections.
"""

from __future__ import annotations

from everysite.index.contract import Access, Audit, Change, Elements, Held, History, Leases, Replicas, Sites, Tasks
from everysite.index.numbers import Numbers
from everysite.index.postgres_access import PostgresAccess
from everysite.index.postgres_elements import PostgresElements
from everysite.index.postgres_held import PostgresHeld
from everysite.index.postgres_history import PostgresAudit, PostgresHistory
from everysite.index.postgres_replicas import PostgresReplicas
from everysite.index.postgres_session import Session
from everysite.index.postgres_sites import PostgresLeases, PostgresSites
from everysite.index.postgres_tasks import PostgresTasks
from everysite.model.clock import Version

# Each branch walks its own index no further than a page; what the three found is merged.
_CHANGES = """
(SELECT change, 'element', key, 0 FROM element WHERE change > %(after)s ORDER BY change LIMIT %(limit)s)
UNION ALL
(SELECT change, 'tombstone', key, 0 FROM tombstone WHERE change > %(after)s ORDER BY change LIMIT %(limit)s)
UNION ALL
(SELECT r.change, 'replica', e.key, r.site FROM replica AS r JOIN element AS e ON e.id = r.element
    WHERE r.change > %(after)s ORDER BY r.change LIMIT %(limit)s)
ORDER BY 1 LIMIT %(limit)s
"""


class PostgresTransaction:
    """See the contract's Transaction. Lives as long as its session; `numbers` are loaded and saved around units."""

    def __init__(self, session: Session, writes: bool) -> None:
        self._session = session
        self.numbers = Numbers(writes)
        self.elements: Elements = PostgresElements(session, self.numbers)
        self.replicas: Replicas = PostgresReplicas(session, self.numbers)
        self.sites: Sites = PostgresSites(session, self.numbers)
        self.tasks: Tasks = PostgresTasks(session, self.numbers)
        self.leases: Leases = PostgresLeases(session, self.numbers)
        self.held: Held = PostgresHeld(session, self.numbers)
        self.history: History = PostgresHistory(session, self.numbers)
        self.audit: Audit = PostgresAudit(session, self.numbers)
        self.access: Access = PostgresAccess(session, self.numbers)

    def stamp(self, now: int) -> Version:
        return self.numbers.stamp(now)

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        rows = self._session.rows(_CHANGES.replace("%(after)s", str(int(after))).replace("%(limit)s", str(int(limit))))
        return [Change(*row) for row in rows]

    def last_change(self) -> int:
        return next((int(row[0]) for row in self._session.rows("SELECT value FROM number WHERE name = 'change'")), 0)

    def meta(self, key: str) -> str | None:
        return next((str(row[0]) for row in self._session.rows("SELECT value FROM meta WHERE key = %s", (key,))), None)

    def set_meta(self, key: str, value: str | None) -> None:
        if value is None:
            self._session.write("DELETE FROM meta WHERE key = %s", (key,))
        else:
            tail = "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            self._session.write(f"INSERT INTO meta (key, value) VALUES (%s, %s) {tail}", (key, value))
