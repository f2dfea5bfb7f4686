"""Sites, mappings, holdings and leases in SQLite.

Owns: the tables `site`, `mapping`, `holding`, `lease`: few rows each. Must not know: threads, commits, rules for names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from everysite.errors import Conflict
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_rows import numbers, query
from everysite.model.site import Mapping, Policy, Site
from everysite.model.task import Holding, Lease

_LEASE = "id, mapping, epoch, until, since"
_encode = msgspec.json.Encoder().encode
_decode_policy = msgspec.json.Decoder(Policy).decode


class SqliteSites:
    """See the contract's Sites."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def all(self) -> list[Site]:
        return [_site(row) for row in self._db.execute("SELECT name, element, paused, id FROM site ORDER BY id")]

    def named(self, name: str) -> Site | None:
        rows = self._db.execute("SELECT name, element, paused, id FROM site WHERE folded = ?", (name.lower(),))
        return next((_site(row) for row in rows), None)

    def put(self, site: Site) -> Site:
        site = msgspec.structs.replace(site, id=site.id or self._numbers.take("site"))
        try:
            self._db.execute(
                "INSERT INTO site (id, name, folded, element, paused) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET name = excluded.name, folded = excluded.folded, element = excluded.element, paused = excluded.paused",
                (site.id, site.name, site.folded, site.element, site.paused),
            )
        except apsw.ConstraintError as err:
            raise Conflict(f"there is a site {site.name!r} already; choose another name") from err
        return site

    def remove(self, site: int) -> None:
        for mapping in self.mappings():
            if mapping.site == site:
                self.remove_mapping(mapping.id)
        self._db.execute("DELETE FROM replica WHERE site = ?", (site,))
        self._db.execute("DELETE FROM site WHERE id = ?", (site,))

    def mappings(self) -> list[Mapping]:
        sql = "SELECT site, url, prefix, direction, policy, id FROM mapping ORDER BY id"
        return [_mapping(row) for row in query(self._db, sql)]

    def put_mapping(self, mapping: Mapping) -> Mapping:
        m = msgspec.structs.replace(mapping, id=mapping.id or self._numbers.take("mapping"))
        self._db.execute(
            "INSERT OR REPLACE INTO mapping (id, site, url, prefix, direction, policy) VALUES (?, ?, ?, ?, ?, ?)",
            (m.id, m.site, m.url, m.prefix, m.direction, _encode(m.policy).decode()),
        )
        return m

    def remove_mapping(self, mapping: int) -> None:
        self._db.execute("DELETE FROM task WHERE mapping = ?", (mapping,))
        self._db.execute("DELETE FROM lease WHERE mapping = ?", (mapping,))
        self._db.execute("DELETE FROM holding WHERE mapping = ?", (mapping,))
        self._db.execute("DELETE FROM mapping WHERE id = ?", (mapping,))

    def holding(self, mapping: int) -> Holding | None:
        rows = self._db.execute("SELECT mapping, holder, epoch, until FROM holding WHERE mapping = ?", (mapping,))
        return next((Holding(*row) for row in rows), None)

    def hold(self, holding: Holding) -> None:
        row = (holding.mapping, holding.holder, holding.epoch, holding.until)
        self._db.execute("INSERT OR REPLACE INTO holding (mapping, holder, epoch, until) VALUES (?, ?, ?, ?)", row)


class SqliteLeases:
    """See the contract's Leases."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def open(self, mapping: int, epoch: int, until: int, since: int) -> Lease:
        lease = Lease(self._numbers.take("lease"), mapping, epoch, until, since)
        row = (lease.id, mapping, epoch, until, since)
        self._db.execute(f"INSERT INTO lease ({_LEASE}) VALUES (?, ?, ?, ?, ?)", row)
        return lease

    def get(self, lease: int) -> Lease | None:
        return next(iter(self._select("WHERE id = ?", (lease,))), None)

    def renew(self, leases: Sequence[int], until: int) -> list[int]:
        wanted = numbers(leases)
        self._db.execute("UPDATE lease SET until = ? WHERE id IN (SELECT value FROM carray(?))", (until, *wanted))
        there = {
            row[0] for row in self._db.execute("SELECT id FROM lease WHERE id IN (SELECT value FROM carray(?))", wanted)
        }
        return [lease for lease in leases if lease in there]

    def close(self, leases: Sequence[int]) -> None:
        self._db.execute("DELETE FROM lease WHERE id IN (SELECT value FROM carray(?))", numbers(leases))

    def expired(self, now: int) -> list[Lease]:
        return self._select("WHERE until <= ? ORDER BY until, id", (now,))

    def of_mapping(self, mapping: int) -> list[Lease]:
        return self._select("WHERE mapping = ? ORDER BY id", (mapping,))

    def _select(self, rest: str, bindings: Sequence[Any]) -> list[Lease]:
        return [Lease(*row) for row in query(self._db, f"SELECT {_LEASE} FROM lease {rest}", bindings)]


def _site(row: tuple[Any, ...]) -> Site:
    name, element, paused, number = row
    return Site(name, element, bool(paused), number)


def _mapping(row: tuple[Any, ...]) -> Mapping:
    site, url, prefix, direction, policy, number = row
    return Mapping(site, url, prefix, direction, _decode_policy(policy), number)
