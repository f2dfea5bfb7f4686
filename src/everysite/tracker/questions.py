"""Questions about the tracker and single files: health, why, log.

Owns: reading, never changing. Must not know: HTTP, how the sentence of `why` is worded.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from everysite import __version__
from everysite.decide.plan import covering
from everysite.decide.targets import wanted
from everysite.decide.tasks import blocked
from everysite.decide.why import Situation, why
from everysite.errors import NotFound
from everysite.index.contract import Transaction
from everysite.model.element import Element
from everysite.model.path import canonical
from everysite.model.replica import Replica, State, state
from everysite.model.site import Site
from everysite.tracker.core import Core, read_globals
from everysite.tracker.messages import Health, Log, LogAsked, LogEntry, Nothing, Why, WhyAsked
from everysite.tracker.operation import Caller
from everysite.tracker.sight import Sight, sight
from everysite.tracker.standing import problem


class QuestionVerbs:
    """The verbs that only read."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def health(self, caller: Caller, asked: Nothing) -> Health:
        return Health("ok", __version__, self._core.tracker_id, self._core.clock())

    async def why(self, caller: Caller, asked: WhyAsked) -> Why:
        """Raises NotFound for what the caller does not see."""
        now = self._core.clock()
        view = sight(caller, self._core.limits)

        def unit(tx: Transaction) -> Why:
            _check_seen(tx, view, canonical(asked.path))
            return _why(self._core, tx, asked, now)

        return await self._core.index.read(unit)

    async def log(self, caller: Caller, asked: LogAsked) -> Log:
        """Raises NotFound for what the caller does not see."""
        limit = max(1, min(asked.limit, 10_000))
        view = sight(caller, self._core.limits)

        def unit(tx: Transaction) -> list[LogEntry]:
            _check_seen(tx, view, canonical(asked.path))
            names = {s.id: s.name for s in tx.sites.all()}
            found = tx.history.of(canonical(asked.path), limit)
            return [LogEntry(e.at, e.what, names.get(e.site, ""), e.who, e.text) for e in found]

        return Log(await self._core.index.read(unit))


def _check_seen(tx: Transaction, view: Sight, path: str) -> None:
    if view.where is None:
        return
    [element] = tx.elements.get([path])
    if not view.covers(path) or (view.own if element is None else not view.sees(element)):
        raise NotFound(f"{path}: no such element")


def _why(core: Core, tx: Transaction, asked: WhyAsked, now: int) -> Why:
    path = canonical(asked.path)
    site = tx.sites.named(asked.site)
    [element] = tx.elements.get([path])
    [stone] = tx.elements.stones([path]) if element is None else [None]
    situation = Situation(path, site.name if site else asked.site, now, element, stone, site, globals=read_globals(tx))
    if site is None or element is None:
        return Why(why(situation), "unknown")
    situation = _at_site(core, tx, situation, site, element)
    origin = element.origin == site.id
    verdict = wanted(element.body, site.name, situation.globals.sync_everywhere)
    copied = state(situation.replica, element.gen)
    shown: State | Literal["origin", "not wanted"] = copied
    if origin and copied in ("current", "missing"):
        shown = "origin"
    elif not verdict.wanted and copied == "missing":
        shown = "not wanted"
    elif situation.looking and copied == "current":
        shown = "outdated"
    return Why(why(situation), shown)


def _at_site(core: Core, tx: Transaction, situation: Situation, site: Site, element: Element) -> Situation:
    mapping = covering(tx.sites.mappings(), site.id, situation.path)
    rows = tx.replicas.of([element.id]).get(element.id, [])
    [task] = tx.tasks.get(mapping.id, [situation.path]) if mapping else [None]
    names = {s.id: s.name for s in tx.sites.all()}
    having = [names[r.site] for r in rows if r.synced and r.gen == element.gen and not r.deleted]
    ahead = tx.tasks.ahead(task) if task is not None else (0, 0)
    lease = tx.leases.get(task.lease) if task is not None and task.lease else None
    row = next((r for r in rows if r.site == site.id), None)
    if lease is not None:
        row = replace(row or Replica(element.id, site.id), syncing=lease.since)
    return replace(
        situation,
        mapping=mapping,
        replica=row,
        task=task,
        before=blocked(task, tx.tasks.moves(task.mapping)) if task is not None else None,
        ahead_files=ahead[0],
        ahead_bytes=ahead[1],
        online=core.present(site.name),
        agent_seen=core.last_call.get(site.name, 0),
        halted=_halted(tx, site),
        origin_online=any(core.present(name) for name in having),
        looking=any(t.kind == "inspect" for t in tx.tasks.of_element(element.id)),
    )


def _halted(tx: Transaction, site: Site) -> str:
    [element] = tx.elements.get([site.element])
    return problem(element.body) if element is not None and element.body.get("error") else ""
