"""Elements: publish, read, update, delete, search.

Owns: what these verbs do to documents and what follows for the files they stand for.
Must not know: HTTP shapes, agents.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from everysite.decide.elements import WhoClass, clean, merge_update, publish_problem, stamped
from everysite.decide.plan import plan
from everysite.errors import BadRequest, Forbidden
from everysite.index.contract import Event, Transaction
from everysite.model.element import Body, Element, Tombstone
from everysite.model.path import check_id
from everysite.model.replica import Replica
from everysite.model.site import check_site_name
from everysite.tracker.contract import Caller
from everysite.tracker.core import Core, bump_revision
from everysite.tracker.messages import Ids, Items, Published
from everysite.tracker.planning import Planner
from everysite.tracker.settings import GLOBALS_KEY, check_globals
from everysite.tracker.sites import SiteVerbs, is_site, store_site
from everysite.tracker.states import apply_state, compose, take_apart

_TOLD = ("time", "file_mtime", "file_size")  # writing one of these says that the content has changed at the origin


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
        change = await self._core.index.run(lambda tx: _update(tx, caller, items, now))
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
    return [_identifier(key) for key in asked.ids]


def _identifier(key: Any) -> str:
    if not isinstance(key, str) or not key:
        raise BadRequest(f"{key!r} is no identifier; it is a text that is not empty")
    if "\0" in key:
        raise BadRequest(f"{key!r} contains a NUL character")
    return key


def _unfold(items: Sequence[Body | None]) -> list[Body]:
    """One item an identifier: an array as `_id` stands for that many elements with the same keys."""
    unfolded: list[Body] = []
    for item in items:
        if not isinstance(item, dict):
            raise BadRequest(f"{item!r} is no element; send objects with an _id")
        keys = item.get("_id")
        unfolded += [item | {"_id": k} for k in keys] if isinstance(keys, list) else [item]
    return unfolded


def _class(caller: Caller) -> WhoClass:
    """Agents write like editors; the operations they may call are another matter."""
    return "editor" if caller.rank == "agent" else caller.rank


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
        body = clean({k: v for k, v in item.items() if k != "_id"}, _class(caller))
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
    first = {k: compose(tx, [e])[0] for k, e in elements.items()}
    answer = [first.pop(k, None) for k in keys]
    return Published(answer, [{"_id": e.key, **e.body} for e in saved[len(fresh) :]]), planner.woken


class _Change:
    """One update request inside its unit."""

    def __init__(self, tx: Transaction, caller: Caller, now: int) -> None:
        self.tx, self.caller, self.now = tx, caller, now
        self.planner = Planner(tx)
        self.revision = 0
        self.answer: list[Body | None] = []

    def item(self, item: Body) -> None:
        """Apply one item. A second item for the same element sees what the first one did."""
        key = _identifier(item.get("_id"))
        if len(item) < 2:
            raise BadRequest(f"{key!r}: nothing to change; send at least one key besides _id")
        [element] = self.tx.elements.get([key])
        if element is None:
            self.answer.append(None)
            return
        self._guard(element, item)
        sites = list(self.planner.sites.values())
        change, states = take_apart({k: v for k, v in item.items() if k != "_id"}, sites)
        body = merge_update(element.body, clean(change, _class(self.caller)))
        changed = self._origin(element, replace(element, body=body))
        [saved] = self.tx.elements.put([stamped(element, changed, self.tx.stamp(self.now))])
        self._configure(saved)
        if saved.is_file:
            self._replan(saved, states, changed.content is None and element.content is not None)
            if any(body.get(key) != element.body.get(key) for key in _TOLD):
                self.planner.look_again(saved)
        self.answer += compose(self.tx, [saved])

    def _guard(self, element: Element, item: Body) -> None:
        body = element.body
        if "username" in body and ("password" in item or "username" in item):
            raise BadRequest(f"{element.key}: change a user's name or password with: everysite user set")
        special = "username" in body or is_site(body) or element.key == GLOBALS_KEY
        if special and self.caller.rank != "admin":
            raise Forbidden(f"{element.key}: only an admin may change users, sites and global parameters")

    def _origin(self, element: Element, changed: Element) -> Element:
        """Another origin wins from now on: its agent looks at what lies there, which becomes the newest content."""
        name = changed.body.get("origin")
        if not element.is_file or name == element.body.get("origin"):
            return changed
        site = self.planner.site(check_site_name(name))
        body = changed.body | {"time": self.now}
        return replace(changed, origin=site.id if site else 0, content=None, body=body)

    def _configure(self, element: Element) -> None:
        if is_site(element.body):
            self.revision = store_site(self.tx, element)
        elif element.key == GLOBALS_KEY:
            check_globals(element.body)
            self.revision = bump_revision(self.tx)

    def _replan(self, element: Element, states: dict[int, dict[str, Any]], new_origin: bool) -> None:
        rows = {r.site: r for r in self.tx.replicas.of([element.id]).get(element.id, ())}
        if new_origin and element.origin in rows:
            rows[element.origin] = replace(rows[element.origin], modified=0, seen=b"")
            self.tx.replicas.put([rows[element.origin]])
        allowed: dict[int, bytes] = {}
        for site, fields in states.items():
            row = rows.get(site) or Replica(element.id, site)
            if row.modified and fields.get("modified", 1) is None:
                allowed[site] = row.seen
            rows[site] = apply_state(row, element.gen, fields)
            self.tx.replicas.put([rows[site]])
        self.planner.wish([element], {element.id: list(rows.values())})
        self._overwrite(element, rows, allowed)

    def _overwrite(self, element: Element, rows: dict[int, Replica], allowed: dict[int, bytes]) -> None:
        """A person removed `modified_<site>`: what was found there may be overwritten, if it is still that."""
        for mapping in self.planner.mappings:
            if mapping.site in allowed:
                row = replace(rows[mapping.site], synced=0, gen=0)
                self.tx.replicas.put([row])
                wish = plan(element, self.planner.sites[mapping.site], mapping, row, self.planner.globals)
                if wish is not None:
                    self.planner.add([replace(wish, replaces=allowed[mapping.site])])


def _update(tx: Transaction, caller: Caller, items: Sequence[Body], now: int) -> _Change:
    change = _Change(tx, caller, now)
    for item in items:
        change.item(item)
    return change


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
