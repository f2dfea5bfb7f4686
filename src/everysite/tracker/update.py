"""Updates of elements: keys merged, site state taken apart, files planned anew.

Owns: what writing a key means for a file. Must not know: HTTP, agents, other verbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from everysite.decide.elements import key_problem, merge_update, stamped
from everysite.decide.locks import holder
from everysite.decide.plan import plan
from everysite.errors import BadRequest
from everysite.model.element import Body, Element
from everysite.model.path import is_path
from everysite.model.replica import Replica
from everysite.model.site import check_site_name
from everysite.tracker import special
from everysite.tracker.identifiers import Keyed, pages
from everysite.tracker.locks import look_where_kept
from everysite.tracker.states import apply_state, compose, take_apart
from everysite.tracker.writing import Writing

_TOLD = ("time", "file_mtime", "file_size")  # writing one of these says that the content has changed at the origin
States = dict[int, dict[str, Any]]  # site number -> field of its replica -> value


@dataclass(slots=True)
class Changed:
    """An element before and after; `states` is what a client wrote of its copies."""

    old: Element
    new: Element
    states: States = field(default_factory=dict)


def check(items: Sequence[Keyed]) -> None:
    """Raise BadRequest for an item without a key to change, and for keys nothing can have."""
    for key, body in items:
        if not body:
            raise BadRequest(f"{key!r}: nothing to change; send at least one key besides _id")
        for name in body:
            if problem := key_problem(name):
                raise BadRequest(problem)


def update(writing: Writing, items: Sequence[Keyed]) -> list[Body | None]:
    """The elements afterwards, in order; None for missing ones. A second item for one element sees what the first did.

    Raises BadRequest, Forbidden, Conflict; nothing is to be stored then.
    """
    answer: list[Body | None] = []
    for page in pages(items):
        answer += update_page(writing, page, writing.get([key for key, _ in page]))
    writing.done(answer)
    writing.tell(updated=[body for body in answer if body is not None])
    return answer


def update_page(writing: Writing, items: Sequence[Keyed], found: Sequence[Element | None]) -> list[Body | None]:
    """Items of different elements, written together; None for those that are missing (in `found`) or locked.

    Raises BadRequest, Forbidden, Conflict (nothing is to be stored then). An item without keys changes nothing.
    """
    changes: dict[str, Changed] = {}
    for element, (key, body) in zip(found, items, strict=True):
        if element is None:
            continue
        special.guard(writing, element)  # also where nothing is left of the item but what they may not write
        if (body or key in writing.kept) and (change := _change(writing, element, body)) is not None:
            changes[key] = change
    saved = store(writing, list(changes.values()))
    shown: list[Element | None] = []
    for element, (key, body) in zip(found, items, strict=True):
        shown.append(saved.get(key) or (element if not body else None))
    return compose(writing.tx, shown)


def store(writing: Writing, changes: Sequence[Changed]) -> dict[str, Element]:
    """Write changed elements, with what follows for files and for elements that act; answers them by key."""
    put = writing.tx.elements.put([stamped(c.old, c.new, writing.version) for c in changes])
    saved = {element.key: element for element in put}
    special.settled(writing, [(c.old, saved[c.new.key]) for c in changes])
    files = [Changed(c.old, saved[c.new.key], c.states) for c in changes if c.new.is_file]
    if files:
        _Files(writing).store(files)
    return saved


def _change(writing: Writing, element: Element, item: Body) -> Changed | None:
    change = writing.clean(item)
    states: States = {}
    names: list[str] = []
    if element.is_file:
        sites = writing.planner.sites
        plain, states = take_apart(change, list(sites.values()))
        names = [sites[site].name for site in states]
        only_states = not plain and bool(states)
        change = plain
    else:
        only_states = False
    # What lies where is a fact and nobody's change: agents of existing clients write it while somebody works on the file.
    if not only_states and writing.kept_away(element):
        return None
    body = merge_update(element.body, change)
    body = special.prepared(writing, element.key, element, body)
    changed = with_origin(writing, element, replace(element, body=body))
    writing.view.check_write(changed.key, changed.body, names)
    return Changed(element, changed, states)


def with_origin(writing: Writing, element: Element, changed: Element) -> Element:
    """Another origin wins from now on: its agent looks at what lies there, which becomes the newest content."""
    name = changed.body.get("origin")
    if not element.is_file or name == element.body.get("origin") or not is_path(element.key):
        return changed
    site = writing.planner.site(check_site_name(name))
    body = changed.body | {"time": writing.now}
    return replace(changed, origin=site.id if site else 0, content=None, body=body)


class _Files:
    """Changed files inside their unit of work."""

    def __init__(self, writing: Writing) -> None:
        self._writing, self._tx, self._planner = writing, writing.tx, writing.planner

    def store(self, files: Sequence[Changed]) -> None:
        """Replicas as clients wrote them, and the wishes of all sites anew."""
        replicas = self._tx.replicas.of([c.new.id for c in files])
        written: list[Replica] = []
        allowed: list[tuple[Element, Replica, bytes]] = []
        for change in files:
            rows = {r.site: r for r in replicas.get(change.new.id, ())}
            written += _settled_origin(change, rows)
            for site, fields in change.states.items():
                row = rows.get(site) or Replica(change.new.id, site)
                rows[site] = apply_state(row, change.new.gen, fields)
                if row.modified and fields.get("modified", 1) is None:
                    rows[site] = replace(rows[site], synced=0, gen=0)
                    allowed.append((change.new, rows[site], row.seen))
                written.append(rows[site])
            replicas[change.new.id] = list(rows.values())
        if written:
            self._tx.replicas.put(written)
        self._planner.wish([c.new for c in files], replicas)
        self._look_again(files, [(element, row) for element, row, _ in allowed])
        for element, row, digest in allowed:
            self._overwrite(element, row, digest)

    def _look_again(self, files: Sequence[Changed], freed: Sequence[tuple[Element, Replica]]) -> None:
        """Where somebody says that the content has changed, or lets a change count that was kept back."""
        told = [c.new for c in files if any(c.new.body.get(k) != c.old.body.get(k) for k in _TOLD)]
        told += [element for element, row in freed if row.site == element.origin and element not in told]
        self._planner.look_again([e for e in told if e.content is not None])
        look_where_kept(self._writing, [c.new for c in files if holder(c.old.body) and not holder(c.new.body)])

    def _overwrite(self, element: Element, row: Replica, digest: bytes) -> None:
        """A person removed `modified_<site>`: what was found there may be overwritten, if it is still that."""
        for mapping in self._planner.mappings:
            if mapping.site == row.site:
                wish = plan(element, self._planner.sites[row.site], mapping, row, self._planner.globals)
                if wish is not None:
                    self._planner.add([replace(wish, replaces=digest)])


def _settled_origin(change: Changed, rows: dict[int, Replica]) -> list[Replica]:
    """What lies at a new origin is right by definition: a conflict there is over."""
    element, before = change.new, change.old
    if element.content is not None or before.content is None or element.origin not in rows:
        return []
    rows[element.origin] = replace(rows[element.origin], modified=0, seen=b"")
    return [rows[element.origin]]
