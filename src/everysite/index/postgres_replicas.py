"""Replicas in PostgreSQL.

Owns: the table `replica`. Must not know: threads, commits, what a state is called.
"""

from __future__ import annotations

from collections.abc import Sequence

from everysite.index.contract import Tally
from everysite.index.numbers import Numbers
from everysite.index.postgres_rows import Row, Rows
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import array
from everysite.model.replica import Replica

_COLUMNS = (
    'element, site, gen, synced, syncing, error, error_text, attempted, tries, modified, deleted, seen, "at", change'
)
_TYPES = "bigint bigint bigint bigint bigint bigint text bigint bigint bigint bigint bytea text bigint"
_SET = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[2:])
_PUT = Rows(f"INSERT INTO replica ({_COLUMNS})", _TYPES, f"ON CONFLICT (site, element) DO UPDATE SET {_SET}")
_DROP = Rows("DELETE FROM replica WHERE (element, site) IN (", "bigint bigint", ")")

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
    FROM replica AS r JOIN element AS e ON e.id = r.element WHERE r.site = %s
)
SELECT count(*) FILTER (WHERE state = 'current'),
    coalesce(sum(size) FILTER (WHERE state = 'current'), 0)::bigint,
    count(*) FILTER (WHERE state = 'outdated'), count(*) FILTER (WHERE state = 'failed'),
    count(*) FILTER (WHERE state = 'conflict')
FROM standing
"""


class PostgresReplicas:
    """See the contract's Replicas."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
        self._numbers = counters

    def of(self, elements: Sequence[int]) -> dict[int, list[Replica]]:
        found: dict[int, list[Replica]] = {}
        sql = f"SELECT {_COLUMNS} FROM replica WHERE element = ANY(%s::bigint[]) ORDER BY element, site"
        for row in self._session.rows(sql, (array(elements),)) if elements else ():
            found.setdefault(row[0], []).append(Replica(*row))
        return found

    def put(self, replicas: Sequence[Replica]) -> None:
        first = self._numbers.take("change", len(replicas))
        rows: dict[tuple[int, int], Row] = {}
        for i, r in enumerate(replicas):
            rows[r.element, r.site] = (
                *(r.element, r.site, r.gen, r.synced, r.syncing, r.error, r.error_text, r.attempted, r.tries),
                *(r.modified, r.deleted, r.seen, r.at, first + i),
            )
        _PUT.write(self._session, list(rows.values()))

    def drop(self, pairs: Sequence[tuple[int, int]]) -> None:
        _DROP.write(self._session, pairs)

    def drop_site(self, site: int) -> None:
        self._session.write("DELETE FROM replica WHERE site = %s", (site,))

    def tally(self, site: int) -> Tally:
        """Reads one range of narrow rows and one narrow index, no body; give it to a scan."""
        return Tally(*self._session.rows(_TALLY, (site,))[0])

    def at_site(self, site: int, after: int = 0, limit: int = 1000) -> list[Replica]:
        sql = f"SELECT {_COLUMNS} FROM replica WHERE site = %s AND element > %s ORDER BY element LIMIT %s"
        return [Replica(*row) for row in self._session.rows(sql, (site, after, limit))]
