"""How files stand at sites: the tally of each, lists of what is missing there, and what goes next from one to another.

Owns: the verbs `status`, `atSite`, `listup` and `listdown`. Must not know: HTTP, how the index finds files at a site.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Literal

from everysite import __version__
from everysite.decide.query import And, AtSite, Compare, Equals, Exists, Not, Or, Predicate, Search, TypeIs
from everysite.decide.targets import priority
from everysite.errors import BadRequest
from everysite.index.contract import Transaction
from everysite.model.element import Body, Element
from everysite.model.path import is_path
from everysite.model.site import Site
from everysite.tracker.core import Core, site_named
from everysite.tracker.messages import Items, Nothing, SiteStatus, Status
from everysite.tracker.operation import Caller
from everysite.tracker.search import SearchVerbs
from everysite.tracker.search_messages import Between, Page, StateAsked
from everysite.tracker.states import compose

_FEW = 100_000  # files that are read and ranked here, in about a second
_PAGE = 1000


class StandingVerbs:
    """The verbs that compare sites."""

    def __init__(self, core: Core, search: SearchVerbs) -> None:
        self._core = core
        self._search = search

    async def status(self, caller: Caller, asked: Nothing) -> Status:
        return await self._core.index.read(lambda tx: _status(self._core, tx), scan=True)

    async def at_site(self, caller: Caller, asked: StateAsked) -> Page:
        """Raises NotFound when there is no such site."""
        site = await self._core.index.read(lambda tx: site_named(tx, asked.name))
        return await self._search.page(caller, AtSite(asked.state, site.name), asked.after, asked.limit)

    async def list_between(self, caller: Caller, asked: Between) -> Items:
        """Files that are current at the source and are still to come to the target: `sync_priority` descending, then
        oldest `time` first. What is on its way there is left out. Raises NotFound for sites, BadRequest for n < 1."""
        if asked.n < 1:
            raise BadRequest(f"n is {asked.n}; ask for at least 1 element")
        n = min(asked.n, self._core.limits.batch)
        source, target = await self._core.index.read(
            lambda tx: (site_named(tx, asked.source).name, site_named(tx, asked.target).name)
        )
        keys = await self._candidates(caller, _due(source, target), n)
        return Items(await self._core.index.read(lambda tx: _next(tx, keys, n), scan=True))

    async def _candidates(self, caller: Caller, due: Predicate, n: int) -> list[str]:
        """Files among which the next n are. Mostly there are few in all, and one walk finds them; of many, as many as needed
        of each class: one order for all would put files without a priority behind negative ones."""

        async def found(where: Predicate, limit: int, *sort: tuple[str, Literal[1, -1]]) -> list[str]:
            return (await self._search.find(caller, Search(where, sort, limit=limit))).keys

        keys = await found(due, _FEW)
        if len(keys) < _FEW:
            return keys
        high, low = Compare("sync_priority", ">", 0), Compare("sync_priority", "<", 0)
        texts = TypeIs("sync_priority", ("string",))  # forms send them; in this order they come before all numbers
        keys += await found(And((due, Or((high, texts)))), _FEW + n, ("sync_priority", -1), ("time", 1))
        plain = await found(And((due, Not(Or((high, low, texts))))), n, ("time", 1))
        if len(plain) < n:
            plain += await found(And((due, low)), n, ("sync_priority", -1), ("time", 1))
        return keys + plain


def _due(source: str, target: str) -> Predicate:
    """An origin counts as having a file before its agent has looked at it."""
    there = Or((AtSite("current", source), And((Equals("origin", source), Not(Exists(f"deleted_{source}"))))))
    lacking = Or((AtSite("missing", target), AtSite("outdated", target)))
    return And((there, lacking, Not(Exists(f"syncing_{target}"))))


def _next(tx: Transaction, keys: list[str], n: int) -> list[Body | None]:
    def read() -> Iterator[Element]:
        known = [key for key in dict.fromkeys(keys) if is_path(key)]  # /a/../b is an element, and nothing to send
        for start in range(0, len(known), _PAGE):
            yield from (e for e in tx.elements.get(known[start : start + _PAGE]) if e is not None)

    first: list[Element] = heapq.nsmallest(n, read(), key=_rank)
    return compose(tx, first)


def _rank(element: Element) -> tuple[int, float, int]:
    time = element.body.get("time")
    return -priority(element.body), time if isinstance(time, int | float) else 0, element.id


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
        sum(w.failing for w in waits), int(body.get("last_scan") or 0), problem(body),
    )  # fmt: skip


def problem(body: Body) -> str:
    """The last line of what the site's agent last reported to be wrong; '' when nothing is."""
    for key in ("stderr_reception", "stderr_emission", "stderr_scan"):
        if body.get(key):
            return str(body[key]).splitlines()[-1]
    return ""
