"""Questions about how things stand: search, status, why, log.

Owns: reading, never changing. Must not know: HTTP, how the sentence of `why` is worded.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from everysite import __version__
from everysite.decide.plan import covering
from everysite.decide.targets import wanted
from everysite.decide.tasks import blocked
from everysite.decide.why import Situation, why
from everysite.errors import BadRequest
from everysite.index.contract import Transaction
from everysite.model.element import Element
from everysite.model.path import canonical
from everysite.model.replica import Replica, State, state
from everysite.model.site import Site
from everysite.tracker.core import Core, read_globals
from everysite.tracker.messages import (
    Health,
    Ids,
    Log,
    LogAsked,
    LogEntry,
    Nothing,
    Query,
    SiteStatus,
    Status,
    Why,
    WhyAsked,
)
from everysite.tracker.operation import Caller

_PAGE = 1000


class QuestionVerbs:
    """The verbs that only read."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def health(self, caller: Caller, asked: Nothing) -> Health:
        return Health("ok", __version__, self._core.tracker_id, self._core.clock())

    async def search(self, caller: Caller, asked: Query) -> Ids:
        """Raises BadRequest for an empty query."""
        terms = asked.query.split()
        if not terms or asked.query.strip() == "undefined":
            raise BadRequest("an empty query matches nothing; use * for everything, key:value, or a part of the path")
        tests = [_term(t) for t in terms if t != "*"]
        limit = max(1, min(asked.limit, self._core.limits.batch))
        return Ids(await self._core.index.read(lambda tx: _search(tx, tests, limit), scan=True))

    async def status(self, caller: Caller, asked: Nothing) -> Status:
        return await self._core.index.read(lambda tx: _status(self._core, tx), scan=True)

    async def why(self, caller: Caller, asked: WhyAsked) -> Why:
        now = self._core.clock()
        return await self._core.index.read(lambda tx: _why(self._core, tx, asked, now))

    async def log(self, caller: Caller, asked: LogAsked) -> Log:
        limit = max(1, min(asked.limit, 10_000))

        def unit(tx: Transaction) -> list[LogEntry]:
            names = {s.id: s.name for s in tx.sites.all()}
            found = tx.history.of(canonical(asked.path), limit)
            return [LogEntry(e.at, e.what, names.get(e.site, ""), e.who, e.text) for e in found]

        return Log(await self._core.index.read(unit))


def _term(term: str) -> tuple[str, list[Any]]:
    """(key, values it may equal); a lone word is looked for in the identifier and has the key ''."""
    key, colon, text = term.partition(":")
    if not colon or not key:
        return "", [term.lower()]
    values: list[Any] = [text]
    try:
        typed = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return key, values
    return key, [text, typed] if isinstance(typed, int | float | bool | None) else values


def _search(tx: Transaction, tests: list[tuple[str, list[Any]]], limit: int) -> list[str | None]:
    exact = [(k, v[0]) for k, v in tests if k and k != "_id" and len(v) == 1]
    found: list[str | None] = []
    pages = [tx.elements.where(exact, 1 << 62)] if exact else _all(tx)
    for page in pages:
        found += [e.key for e in page if _matches(e, tests)]
        if len(found) >= limit:
            break
    return found[:limit]


def _all(tx: Transaction) -> Any:
    after = ""
    while page := tx.elements.under("", after, _PAGE):
        yield page
        after = page[-1].key


def _matches(element: Element, tests: list[tuple[str, list[Any]]]) -> bool:
    for key, values in tests:
        if not key:
            if values[0] not in element.key.lower():
                return False
            continue
        there = element.key if key == "_id" else element.body.get(key)
        within = there if isinstance(there, list) else [there]
        if not any(_equal(v, w) for v in values for w in within):
            return False
    return True


def _equal(asked: Any, there: Any) -> bool:
    return isinstance(asked, bool) == isinstance(there, bool) and asked == there


def _status(core: Core, tx: Transaction) -> Status:
    sites = tx.sites.all()
    elements = tx.elements.count()
    return Status([_site_status(core, tx, s) for s in sites], elements, __version__)


def _site_status(core: Core, tx: Transaction, site: Site) -> SiteStatus:
    tally = tx.replicas.tally(site.id)
    waits = [tx.tasks.waiting(m.id) for m in tx.sites.mappings() if m.site == site.id]
    [element] = tx.elements.get([site.element])
    body = element.body if element else {}
    agent = "on" if core.present(site.name) else ("off" if body.get("agentStartTime") else "never")
    return SiteStatus(
        site.name, site.paused, agent, tally.files, tally.bytes, tally.outdated, tally.failed, tally.conflicts,
        sum(w.files for w in waits), sum(w.bytes for w in waits), sum(w.running for w in waits),
        sum(w.failing for w in waits), int(body.get("last_scan") or 0), _problem(body),
    )  # fmt: skip


def _problem(body: dict[str, Any]) -> str:
    for key in ("stderr_reception", "stderr_emission", "stderr_scan"):
        if body.get(key):
            return str(body[key]).splitlines()[-1]
    return ""


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
    return _problem(element.body) if element is not None and element.body.get("error") else ""
