"""Sites, mappings, holdings and leases in PostgreSQL.

Owns: the tables `site`, `mapping`, `holding`, `lease`: few rows each. Must not know: threads, commits, rules for names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg import errors

from everysite.errors import Conflict
from everysite.index.numbers import Numbers
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import array
from everysite.model.site import Mapping, Policy, Site
from everysite.model.task import Holding, Lease

_LEASE = "id, mapping, epoch, until, since"
_encode = msgspec.json.Encoder().encode
_decode_policy = msgspec.json.Decoder(Policy).decode


class PostgresSites:
    """See the contract's Sites."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
        self._numbers = counters

    def all(self) -> list[Site]:
        return [_site(row) for row in self._session.rows("SELECT name, element, paused, id FROM site ORDER BY id")]

    def named(self, name: str) -> Site | None:
        rows = self._session.rows("SELECT name, element, paused, id FROM site WHERE folded = %s", (name.lower(),))
        return next((_site(row) for row in rows), None)

    def put(self, site: Site) -> Site:
        site = msgspec.structs.replace(site, id=site.id or self._numbers.take("site"))
        sql = (
            "INSERT INTO site (id, name, folded, element, paused) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE"
            " SET name = excluded.name, folded = excluded.folded, element = excluded.element, paused = excluded.paused"
        )
        try:
            with self._session.guarded():
                self._session.write(sql, (site.id, site.name, site.folded, site.element, site.paused))
        except errors.UniqueViolation as err:
            raise Conflict(f"there is a site {site.name!r} already; choose another name") from err
        return site

    def remove(self, site: int) -> None:
        for mapping in self.mappings():
            if mapping.site == site:
                self.remove_mapping(mapping.id)
        self._session.write("DELETE FROM replica WHERE site = %s", (site,))
        self._session.write("DELETE FROM site WHERE id = %s", (site,))

    def mappings(self) -> list[Mapping]:
        sql = "SELECT site, url, prefix, direction, policy, id FROM mapping ORDER BY id"
        return [_mapping(row) for row in self._session.rows(sql)]

    def put_mapping(self, mapping: Mapping) -> Mapping:
        m = msgspec.structs.replace(mapping, id=mapping.id or self._numbers.take("mapping"))
        sql = (
            "INSERT INTO mapping (id, site, url, prefix, direction, policy) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET site = excluded.site, url = excluded.url, prefix = excluded.prefix,"
            " direction = excluded.direction, policy = excluded.policy"
        )
        self._session.write(sql, (m.id, m.site, m.url, m.prefix, m.direction, _encode(m.policy).decode()))
        return m

    def remove_mapping(self, mapping: int) -> None:
        for table in ("task", "lease", "holding"):
            self._session.write(f"DELETE FROM {table} WHERE mapping = %s", (mapping,))
        self._session.write("DELETE FROM mapping WHERE id = %s", (mapping,))

    def holding(self, mapping: int) -> Holding | None:
        rows = self._session.rows("SELECT mapping, holder, epoch, until FROM holding WHERE mapping = %s", (mapping,))
        return next((Holding(*row) for row in rows), None)

    def hold(self, holding: Holding) -> None:
        sql = (
            "INSERT INTO holding (mapping, holder, epoch, until) VALUES (%s, %s, %s, %s) ON CONFLICT (mapping) DO UPDATE"
            " SET holder = excluded.holder, epoch = excluded.epoch, until = excluded.until"
        )
        self._session.write(sql, (holding.mapping, holding.holder, holding.epoch, holding.until))


class PostgresLeases:
    """See the contract's Leases."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
        self._numbers = counters

    def open(self, mapping: int, epoch: int, until: int, since: int) -> Lease:
        lease = Lease(self._numbers.take("lease"), mapping, epoch, until, since)
        row = (lease.id, mapping, epoch, until, since)
        self._session.write(f"INSERT INTO lease ({_LEASE}) VALUES (%s, %s, %s, %s, %s)", row)
        return lease

    def get(self, lease: int) -> Lease | None:
        return next(iter(self._select("WHERE id = %s", (lease,))), None)

    def renew(self, leases: Sequence[int], until: int) -> list[int]:
        self._session.write("UPDATE lease SET until = %s WHERE id = ANY(%s::bigint[])", (until, array(leases)))
        rows = self._session.rows("SELECT id FROM lease WHERE id = ANY(%s::bigint[])", (array(leases),))
        there = {row[0] for row in rows}
        return [lease for lease in leases if lease in there]

    def close(self, leases: Sequence[int]) -> None:
        if leases:
            self._session.write("DELETE FROM lease WHERE id = ANY(%s::bigint[])", (array(leases),))

    def expired(self, now: int) -> list[Lease]:
        return self._select("WHERE until <= %s ORDER BY until, id", (now,))

    def of_mapping(self, mapping: int) -> list[Lease]:
        return self._select("WHERE mapping = %s ORDER BY id", (mapping,))

    def _select(self, rest: str, values: Sequence[Any]) -> list[Lease]:
        return [Lease(*row) for row in self._session.rows(f"SELECT {_LEASE} FROM lease {rest}", values)]


def _site(row: tuple[Any, ...]) -> Site:
    name, element, paused, number = row
    return Site(name, element, bool(paused), number)


def _mapping(row: tuple[Any, ...]) -> Mapping:
    site, url, prefix, direction, policy, number = row
    return Mapping(site, url, prefix, direction, _decode_policy(policy), number)
