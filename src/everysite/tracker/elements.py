"""Elements: publish, read, update, delete, search.

Owns: what these verbs do to documents and what follows for the files they stand for.
Must not know: HTTP shapes, agents.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from everysite.decide.elements import clean, publish_problem, unfold
from everysite.errors import BadRequest, Forbidden
from everysite.index.contract import Event, Transaction
from everysite.model.element import Body, Element, Tombstone
from everysite.model.path import check_id
from everysite.model.site import check_site_name
from everysite.tracker.core import Core
from everysite.tracker.messages import Ids, Items, Published
from everysite.tracker.operation import Caller
from everysite.tracker.planning import Planner
from everysite.tracker.settings import GLOBALS_KEY
from everysite.tracker.sites import SiteVerbs, is_site
from everysite.tracker.states import compose, take_apart
from everysite.tracker.update import Update, identifier, writes_as


class ElementVerbs:
    """The verbs of elements. Each request is one unit of work with a result per item."""

    def __init__(self, core: Core, sites: SiteVerbs) -> None:
        self._core = core
        self._sites = sites

    async def publish(self, caller: Caller, asked: Items) -> Published:
        """Raises BadRequest when any item is wrong (nothing is stored then)."""
        items = _unfold(asked.items)
        self._core.cap(len(items), "elements")
        for item in items:
            if problem := publish_problem(item):
                raise BadRequest(problem)
            check_site_name(item["origin"])
        now = self._core.clock()
        published, woken = await self._core.index.run(lambda tx: _publish(tx, caller, items, now))
        self._core.wakes.wake(woken)
        return published

    async def read(self, caller: Caller, asked: Ids) -> Items:
        self._core.cap(len(asked.ids), "identifiers")
        return Items(await self._core.index.read(lambda tx: compose(tx, tx.elements.get(_ids(asked)))))

    async def update(self, caller: Caller, asked: Items) -> Items:
        """Raises BadRequest, Forbidden, Conflict (nothing is stored then). A missing element is None in its place."""
        items = _unfold(asked.items)
        self._core.cap(len(items), "elements")
        now = self._core.clock()
        change = await self._core.index.run(lambda tx: Update(tx, caller, now).apply(items))
        self._core.wakes.wake(change.planner.woken)
        if change.revision:
            self._core.reconfigured(change.revision)
            await self._sites.plan_all()
        return Items(change.answer)

    async def delete(self, caller: Caller, asked: Ids) -> Ids:
        """The elements go, the files stay; tombstones keep scans from publishing them again."""
        self._core.cap(len(asked.ids), "identifiers")
        now = self._core.clock()
        return Ids(await self._core.index.run(lambda tx: _delete(tx, caller, _ids(asked), now)))


def _ids(asked: Ids) -> list[str]:
    return [identifier(key) for key in asked.ids]


def _unfold(items: Sequence[Body | None]) -> list[Body]:
    """One item an identifier: an array as `_id` stands for that many elements with the same keys."""
    unfolded: list[Body] = []
    for item in items:
        if not isinstance(item, dict):
            raise BadRequest(f"{item!r} is no element; send objects with an _id")
        unfolded += unfold(item)
    return unfolded


def _publish(tx: Transaction, caller: Caller, items: Sequence[Body], now: int) -> tuple[Published, set[int]]:
    planner = Planner(tx)
    keys = [check_id(item["_id"]) for item in items]
    taken = {k for k, e in zip(keys, tx.elements.get(keys), strict=True) if e is not None}
    version = tx.stamp(now)
    fresh: dict[str, Element] = {}
    children: list[Element] = []
    for key, item in zip(keys, items, strict=True):
        if key in taken or key in fresh:
            continue
        body = clean({k: v for k, v in item.items() if k != "_id"}, writes_as(caller))
        body = {k: v for k, v in body.items() if v is not None}
        body, _ = take_apart(body, list(planner.sites.values()))
        body = {"author": caller.username, "time": now} | body
        origin = planner.site(str(body["origin"]))
        fresh[key] = Element(key, body, version, origin=origin.id if origin else 0)
        children.append(Element(secrets.token_hex(12), body | {"#parent": key}, version))
    saved = tx.elements.put([*fresh.values(), *children])
    elements = {e.key: e for e in saved[: len(fresh)]}
    planner.wish(list(elements.values()), fresh=True)
    tx.history.add(
        [
            Event(k, now, "published", e.origin, caller.username, str(e.body.get("comment", "")))
            for k, e in elements.items()
        ]
    )
    first = dict(zip(elements, compose(tx, list(elements.values())), strict=True))
    answer = [first.pop(k, None) for k in keys]
    return Published(answer, [{"_id": e.key, **e.body} for e in saved[len(fresh) :]]), planner.woken


def _delete(tx: Transaction, caller: Caller, keys: Sequence[str], now: int) -> list[str | None]:
    found = tx.elements.get(keys)
    for element in found:
        if element is not None and ("username" in element.body or element.key == GLOBALS_KEY or is_site(element.body)):
            raise Forbidden(
                f"{element.key}: users and sites are removed with: everysite user remove, everysite site remove"
            )
    planner = Planner(tx)
    version = tx.stamp(now)
    files = [e for e in found if e is not None and e.is_file]
    planner.cancel({m.id: [e.key for e in files] for m in planner.mappings})
    tx.elements.bury([Tombstone(e.key, version, e.content) for e in found if e is not None])
    tx.history.add([Event(e.key, now, "removed", who=caller.username) for e in files])
    seen: set[str] = set()
    answer: list[str | None] = []
    for key, element in zip(keys, found, strict=True):
        answer.append(key if element is not None and key not in seen else None)
        seen.add(key)
    return answer
