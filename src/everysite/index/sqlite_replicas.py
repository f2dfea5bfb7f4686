"""Replicas in SQLite.

Owns: the table `replica`. Must not know: threads, commits, what a state is called.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from everysite.index.contract import Tally
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_rows import Row, numbers, write
from everysite.model.replica import Replica

_COLUMNS = (
    'element, site, gen, synced, syncing, error, error_text, attempted, tries, modified, deleted, seen, "at", change'
)
_DROP = ") DELETE FROM replica WHERE (site, element) IN (SELECT site, element FROM gone)"

# The order of the tests is that of model.replica.state; "missing" and "in progress" are not counted.
_TALLY = """
WITH standing AS (
    SELECT e.size AS size, CASE
        WHEN r.modified <> 0 THEN 'conflict'
        WHEN r.syncing <> 0 THEN 'in progress'
        WHEN r.error <> 0 AND r.attempted >= r.synced THEN 'failed'
        WHEN r.synced = 0 OR r.deleted <> 0 THEN 'missing'
        WHEN r.gen >= e.gen THEN 'current'
        ELSE 'outdated' END AS state
    FROM replica AS r CROSS JOIN element AS e INDEXED BY element_gen ON e.id = r.element WHERE r.site = ?
)
SELECT count(*) FILTER (WHERE state = 'current'), coalesce(sum(size) FILTER (WHERE state = 'current'), 0),
    count(*) FILTER (WHERE state = 'outdated'), count(*) FILTER (WHERE state = 'failed'),
    count(*) FILTER (WHERE state = 'conflict')
FROM standing
"""


class SqliteReplicas:
    """See the contract's Replicas."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def of(self, elements: Sequence[int]) -> dict[int, list[Replica]]:
        found: dict[int, list[Replica]] = {}
        sql = f"SELECT {_COLUMNS} FROM replica WHERE element IN (SELECT value FROM carray(?)) ORDER BY element, site"
        for row in self._db.execute(sql, numbers(elements)):
            found.setdefault(row[0], []).append(Replica(*row))
        return found

    def put(self, replicas: Sequence[Replica]) -> None:
        first = self._numbers.take("change", len(replicas))
        rows: list[Row] = [
            (
                *(r.element, r.site, r.gen, r.synced, r.syncing, r.error, r.error_text, r.attempted, r.tries),
                *(r.modified, r.deleted, r.seen, r.at, first + i),
            )
            for i, r in enumerate(replicas)
        ]
        write(self._db, f"INSERT OR REPLACE INTO replica ({_COLUMNS})", rows)

    def drop(self, pairs: Sequence[tuple[int, int]]) -> None:
        write(self._db, "WITH gone (element, site) AS (", pairs, _DROP)

    def drop_site(self, site: int) -> None:
        self._db.execute("DELETE FROM replica WHERE site = ?", (site,))

    def tally(self, site: int) -> Tally:
        """Reads one range of narrow rows and one narrow index, no body: some 0.8 s a million rows; give it to a scan."""
        return Tally(*next(self._db.execute(_TALLY, (site,))))

    def at_site(self, site: int, after: int = 0, limit: int = 1000) -> list[Replica]:
        sql = f"SELECT {_COLUMNS} FROM replica WHERE site = ? AND element > ? ORDER BY element LIMIT ?"
        return [Replica(*row) for row in self._db.execute(sql, (site, after, limit))]
