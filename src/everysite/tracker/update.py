"""Updates of elements: keys merged, site state taken apart, files planned anew.

Owns: what writing a key means for a file, a site, the global parameters. Must not know: HTTP, agents, other verbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from everysite.decide.elements import WhoClass, clean, merge_update, stamped
from everysite.decide.plan import plan
from everysite.errors import BadRequest, Forbidden
from everysite.index.contract import Transaction
from everysite.model.element import Body, Element
from everysite.model.replica import Replica
from everysite.model.site import check_site_name
from everysite.tracker.core import bump_revision
from everysite.tracker.operation import Caller
from everysite.tracker.planning import Planner
from everysite.tracker.settings import GLOBALS_KEY, check_globals
from everysite.tracker.sites import is_site, store_site
from everysite.tracker.states import apply_state, compose, take_apart

_TOLD = ("time", "file_mtime", "file_size")  # writing one of these says that the content has changed at the origin
States = dict[int, dict[str, Any]]  # site number -> field of its replica -> value


def writes_as(caller: Caller) -> WhoClass:
    """The class whose keys a caller may write. Agents write like editors; what they may call is another matter."""
    return "editor" if caller.rank == "agent" else caller.rank


def identifier(key: Any) -> str:
    """An `_id` as a client sent it. Raises BadRequest."""
    if not isinstance(key, str) or not key:
        raise BadRequest(f"{key!r} is no identifier; it is a text that is not empty")
    if "\0" in key:
        raise BadRequest(f"{key!r} contains a NUL character")
    return key


class Update:
    """One update request inside its unit of work. `answer`: bodies in the order of the items, None for missing ones.

    `revision` is that of the configuration, when it was changed, else 0.
    """

    def __init__(self, tx: Transaction, caller: Caller, now: int) -> None:
        self.tx, self.caller, self.now = tx, caller, now
        self.planner = Planner(tx)
        self.version = tx.stamp(now)
        self.revision = 0
        self.answer: list[Body | None] = []

    def apply(self, items: Sequence[Body]) -> Update:
        """Apply the items in order. A second item for one element sees what the first one did."""
        for item in items:
            if len(item) < 2:
                raise BadRequest(
                    f"{identifier(item.get('_id'))!r}: nothing to change; send at least one key besides _id"
                )
        page: dict[str, Body] = {}
        for item in items:
            key = identifier(item.get("_id"))
            if key in page:
                self._page(page)
                page = {}
            page[key] = item
        self._page(page)
        return self

    def _page(self, page: dict[str, Body]) -> None:
        """Items of different elements, written together."""
        found = self.tx.elements.get(list(page))
        old = {e.id: e for e in found if e is not None}
        changes = {e.id: self._change(e, page[e.key]) for e in old.values()}
        saved = self.tx.elements.put([stamped(old[e.id], e, self.version) for e, _ in changes.values()])
        for element in saved:
            self._configure(element)
        files = [e for e in saved if e.is_file]
        self._files(files, old, {number: states for number, (_, states) in changes.items()})
        bodies = dict(zip(changes, compose(self.tx, saved), strict=True))
        self.answer += [None if e is None else bodies[e.id] for e in found]

    def _change(self, element: Element, item: Body) -> tuple[Element, States]:
        self._guard(element, item)
        change, states = take_apart({k: v for k, v in item.items() if k != "_id"}, list(self.planner.sites.values()))
        body = merge_update(element.body, clean(change, writes_as(self.caller)))
        return self._origin(element, replace(element, body=body)), states

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

    def _files(self, files: Sequence[Element], old: dict[int, Element], states: dict[int, States]) -> None:
        """Replicas as clients wrote them, and the wishes of all sites anew."""
        replicas = self.tx.replicas.of([e.id for e in files])
        written: list[Replica] = []
        allowed: list[tuple[Element, Replica, bytes]] = []
        for element in files:
            rows = {r.site: r for r in replicas.get(element.id, ())}
            written += self._settled_origin(element, old[element.id], rows)
            for site, fields in states[element.id].items():
                row = rows.get(site) or Replica(element.id, site)
                rows[site] = apply_state(row, element.gen, fields)
                if row.modified and fields.get("modified", 1) is None:
                    rows[site] = replace(rows[site], synced=0, gen=0)
                    allowed.append((element, rows[site], row.seen))
                written.append(rows[site])
            replicas[element.id] = list(rows.values())
        self.tx.replicas.put(written)
        self.planner.wish(files, replicas)
        for element, row, digest in allowed:
            self._overwrite(element, row, digest)
        told = [e for e in files if any(e.body.get(k) != old[e.id].body.get(k) for k in _TOLD)]
        self.planner.look_again([e for e in told if e.content is not None])

    def _settled_origin(self, element: Element, before: Element, rows: dict[int, Replica]) -> list[Replica]:
        """What lies at a new origin is right by definition: a conflict there is over."""
        if element.content is not None or before.content is None or element.origin not in rows:
            return []
        rows[element.origin] = replace(rows[element.origin], modified=0, seen=b"")
        return [rows[element.origin]]

    def _overwrite(self, element: Element, row: Replica, digest: bytes) -> None:
        """A person removed `modified_<site>`: what was found there may be overwritten, if it is still that."""
        for mapping in self.planner.mappings:
            if mapping.site == row.site:
                wish = plan(element, self.planner.sites[row.site], mapping, row, self.planner.globals)
                if wish is not None:
                    self.planner.add([replace(wish, replaces=digest)])
