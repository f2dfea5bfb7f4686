"""Holding mappings, claiming tasks, showing leases.

Owns: who may work on what, and until when. Must not know: how bytes move; results are in `settle.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from everysite.decide.tasks import claimable
from everysite.errors import Conflict, StaleLease
from everysite.index.contract import Topic, Transaction
from everysite.model.path import below
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Site
from everysite.model.task import Holding, Task
from everysite.tracker.agent_messages import (
    Check,
    Checked,
    Claim,
    Claimed,
    Hold,
    Holds,
    Job,
    LetGo,
    Place,
)
from everysite.tracker.core import REVISION, Core, held_mapping, mapping_of, serves
from everysite.tracker.feed import EPOCH
from everysite.tracker.messages import Nothing
from everysite.tracker.operation import Caller
from everysite.tracker.others import gone

_LOOK_MS = 10_000  # a process that dies right after its commit has not told that there is work
_LOOK_AHEAD = 4  # due rows looked at per row wanted, when folder moves stand in the way


class WorkVerbs:
    """The verbs an agent works with."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def hold(self, caller: Caller, asked: Hold) -> Holds:
        """Raises Conflict (another agent holds it), StaleLease (this epoch is over)."""
        core, now = self._core, self._core.clock()
        until = now + core.limits.lease_ms
        site, holding, lost = await core.index.run(lambda tx: _hold(tx, caller, asked, now, until))
        history = None if asked.epoch else await core.index.read(lambda tx: tx.meta(EPOCH))
        core.last_call[site.name] = now
        if not asked.epoch:
            core.wakes.wake([asked.mapping])
        return Holds(holding.epoch, until, core.limits.lease_ms, lost, history or "")

    async def let_go(self, caller: Caller, asked: LetGo) -> Nothing:
        now = self._core.clock()

        def unit(tx: Transaction) -> str:
            _, site = held_mapping(tx, caller, asked.mapping, asked.epoch, now)
            holding = tx.sites.holding(asked.mapping)
            if holding is not None:
                tx.sites.hold(replace(holding, until=0))
            end_leases(tx, asked.mapping)
            return site.name

        name = await self._core.index.run(unit)
        self._core.last_call.pop(name, None)
        self._core.tell(gone(name))
        return Nothing()

    async def claim(self, caller: Caller, asked: Claim) -> Claimed:
        """Waits for work; answers at once when the configuration is not the one the agent knows."""
        core = self._core
        deadline = core.clock() + min(asked.wait_ms, 30_000)
        while True:
            topics: dict[Topic, int] = {
                asked.mapping: core.wakes.generation(asked.mapping),
                REVISION: core.wakes.generation(REVISION),
            }
            claimed, site, wait_ms = await self._try(caller, asked)
            core.last_call[site.name] = now = core.clock()
            news = asked.revision not in (-1, core.revision)
            left = min(deadline - now, wait_ms, *([_LOOK_MS] if core.index.shared else []))
            if claimed.lease or news or deadline <= now or core.wakes.closed:
                return claimed
            if not await core.wakes.wait(topics, max(left, 1) / 1000) and core.clock() >= deadline:
                return claimed

    async def _try(self, caller: Caller, asked: Claim) -> tuple[Claimed, Site, int]:
        core, now = self._core, self._core.clock()

        def look(tx: Transaction) -> tuple[Site, Mapping, bool, int | None]:
            mapping, site = held_mapping(tx, caller, asked.mapping, asked.epoch, now)
            return site, mapping, bool(tx.tasks.due(asked.mapping, now, 1)), tx.tasks.next_run(asked.mapping)

        site, _, due, next_run = await core.index.read(look)
        if site.paused or not due:
            wait = max(next_run - now, 1) if next_run is not None and next_run > now else 30_000
            return Claimed(0, core.limits.lease_ms, [], {}, core.revision, site.paused), site, wait
        claimed = await core.index.run(lambda tx: _claim(core, tx, caller, asked, now))
        return claimed, site, 1000

    async def check(self, caller: Caller, asked: Check) -> Checked:
        """Raises StaleLease when the whole lease is over."""
        now = self._core.clock()

        def unit(tx: Transaction) -> Checked:
            held_mapping(tx, caller, asked.mapping, asked.epoch, now)
            lease = tx.leases.get(asked.lease)
            if lease is None or lease.mapping != asked.mapping or lease.until < now:
                raise StaleLease(f"lease {asked.lease} is over; nothing of it may be published")
            wanted = {(t.path, t.claimed) for t in tx.tasks.leased(asked.lease) if t.gen == t.claimed}
            return Checked([path for path, gen in asked.paths if (path, gen) not in wanted])

        return await self._core.index.read(unit)

    async def reclaim(self) -> None:
        """Give work whose lease has run out to whoever claims next. Called every few seconds."""
        now = self._core.clock()
        if not await self._core.index.read(lambda tx: tx.leases.expired(now)):
            return

        def unit(tx: Transaction) -> set[int]:
            expired = tx.leases.expired(now)
            for lease in expired:
                tx.tasks.release(lease.id)
            tx.leases.close([lease.id for lease in expired])
            return {lease.mapping for lease in expired}

        self._core.wakes.wake(await self._core.index.run(unit))


def end_leases(tx: Transaction, mapping: int) -> None:
    """All work of a mapping is given back."""
    leases = tx.leases.of_mapping(mapping)
    for lease in leases:
        tx.tasks.release(lease.id)
    tx.leases.close([lease.id for lease in leases])


def _hold(tx: Transaction, caller: Caller, asked: Hold, now: int, until: int) -> tuple[Site, Holding, list[int]]:
    _, site = mapping_of(tx, asked.mapping)
    serves(caller, site.name)
    old = tx.sites.holding(asked.mapping)
    if asked.epoch:
        if old is None or old.epoch != asked.epoch or old.holder != asked.holder or old.until < now:
            raise StaleLease(f"{site.name}: this agent's hold on the folder is over; take it again")
        holding = replace(old, until=until)
        tx.sites.hold(holding)
        kept = set(tx.leases.renew(asked.leases, until)) if asked.leases else set()
        return site, holding, [lease for lease in asked.leases if lease not in kept]
    if old is not None and old.holder != asked.holder and old.until >= now:
        seconds = (old.until - now) // 1000 + 1
        raise Conflict(
            f"{site.name}: another agent works for this site (its hold ends in {seconds} s unless renewed); "
            "stop it first, or add a site of its own for this machine"
        )
    holding = Holding(asked.mapping, asked.holder, (old.epoch if old else 0) + 1, until)
    tx.sites.hold(holding)
    end_leases(tx, asked.mapping)
    return site, holding, []


def _claim(core: Core, tx: Transaction, caller: Caller, asked: Claim, now: int) -> Claimed:
    mapping, site = held_mapping(tx, caller, asked.mapping, asked.epoch, now)
    limit = max(1, min(asked.limit, 1000))
    barriers = tx.tasks.moves(asked.mapping)
    due = tx.tasks.due(asked.mapping, now, limit * (_LOOK_AHEAD if barriers else 1))
    tasks = claimable(due, [*barriers, *_in_the_way(tx, asked.mapping, due)], limit, asked.max_bytes)
    if not tasks:
        return Claimed(0, core.limits.lease_ms, [], {}, core.revision)
    lease = tx.leases.open(asked.mapping, asked.epoch, now + core.limits.lease_ms, now)
    tx.tasks.claim(asked.mapping, [t.path for t in tasks], lease.id)
    sites = {s.id: s for s in tx.sites.all()}
    near = Nearness(core, tx, sites, tx.sites.mappings(), tx.meta(f"host:{mapping.site}") or "")
    replicas = tx.replicas.of([t.element for t in tasks if t.kind == "present"])
    jobs = [_job(t, near.sources(t, replicas.get(t.element, ()), site.id)) for t in tasks]
    return Claimed(lease.id, core.limits.lease_ms, jobs, near.places(jobs), core.revision)


def _in_the_way(tx: Transaction, mapping: int, due: Sequence[Task]) -> list[Task]:
    """Rows of single files that a folder move about to start has to wait for: claimed, or waiting for another try."""
    moves = [t for t in due if t.kind == "move"]
    return [
        t
        for m in moves
        for place in (m.path, m.source)
        for t in tx.tasks.under(mapping, place, 1 << 30)
        if t.seq < m.seq
    ]


def _job(task: Task, sources: list[str]) -> Job:
    return Job(task.path, task.kind, task.gen, task.content, task.source, task.replaces, sources, task.tries)


class Nearness:
    """Which sites can give a file's bytes, nearest first: same host, then connected, then the rest."""

    def __init__(
        self, core: Core, tx: Transaction, sites: dict[int, Site], mappings: Sequence[Mapping], host: str
    ) -> None:
        self._sites = sites
        self._places: dict[int, list[tuple[Mapping, Place]]] = {}
        for mapping in mappings:
            name, there = sites[mapping.site].name, tx.meta(f"host:{mapping.site}") or ""
            place = Place(mapping.url, mapping.prefix, there, core.present(name))
            self._places.setdefault(mapping.site, []).append((mapping, place))
        self._order: dict[int, int] = {}
        for site, found in self._places.items():
            same = bool(host) and found[0][1].host == host
            self._order[site] = 0 if same else (1 if found[0][1].online else 2)

    def sources(self, task: Task, replicas: Sequence[Replica], own: int) -> list[str]:
        """Names of the sites whose copy has the wanted gen."""
        having = [
            r.site
            for r in replicas
            if r.site != own and r.synced and r.gen == task.gen and not (r.deleted or r.modified or r.at)
        ]
        having = [s for s in having if any(m.sends and below(task.path, m.prefix) for m, _ in self._places.get(s, ()))]
        return [self._sites[s].name for s in sorted(having, key=self._order.__getitem__)]

    def places(self, jobs: Sequence[Job]) -> dict[str, list[Place]]:
        """Where the sites named in jobs keep their files, a place for every part of the namespace."""
        named = {s for j in jobs for s in j.sources}
        places = ((self._sites[site].name, found) for site, found in self._places.items())
        return {name: [place for _, place in found] for name, found in places if name in named}
