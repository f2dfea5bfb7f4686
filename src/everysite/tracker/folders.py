"""A folder with another name: every element below it is found under its new path, and one task a site does the same there.

Owns: the bulk steps of a folder rename (decisions B 4). Must not know: how it was noticed.

A crash between two steps is harmless: the agent announces the rename again, and what is left of it is done then.
"""

from __future__ import annotations

from msgspec.structs import replace

from everysite.decide.announce import left_behind
from everysite.decide.elements import stamped
from everysite.decide.plan import GONE, covering
from everysite.errors import PathRefused
from everysite.index.contract import Event, Transaction
from everysite.model.element import Element, Tombstone
from everysite.model.path import below, check_id
from everysite.model.site import Mapping, Site
from everysite.model.task import Wish
from everysite.tracker.agent_messages import SeenItem
from everysite.tracker.core import Core, held_mapping
from everysite.tracker.operation import Caller
from everysite.tracker.planning import Planner

_STEP = 250  # elements in one bulk step
_PAGE = 1000  # rows looked at in one bulk step


async def move_folder(core: Core, caller: Caller, mapping: int, epoch: int, item: SeenItem) -> int:
    """Carry out the finding that `item.was` is called `item.key` now (both end with '/'). Answers how many files moved."""
    old, new = check_id(item.was), check_id(item.key)
    if new.startswith(old) or old.startswith(new):
        raise PathRefused(f"{old!r} cannot have become {new!r}, which lies inside the other")
    moved, more = 0, True
    while more:
        now = core.clock()

        def step(tx: Transaction, now: int = now) -> tuple[int, bool, set[int]]:
            found, site = held_mapping(tx, caller, mapping, epoch, now)
            if not (below(old, found.prefix) and below(new, found.prefix)):
                raise PathRefused(f"{old!r} or {new!r} is not below {found.prefix!r}, the part this folder has")
            return _step(tx, site, old, new, now)

        count, more, woken = await core.index.run(step, "bulk")
        moved += count
        core.wakes.wake(woken)
    return moved


def _step(tx: Transaction, site: Site, old: str, new: str, now: int) -> tuple[int, bool, set[int]]:
    planner = Planner(tx)
    page = tx.elements.under(old, limit=_STEP)
    names = [new + e.key[len(old) :] for e in page]
    taken = {k for k, e in zip(names, tx.elements.get(names), strict=True) if e is not None}
    version = tx.stamp(now)
    pairs = [(e, n) for e, n in zip(page, names, strict=True) if n not in taken]
    saved = tx.elements.put(
        [stamped(e, replace(e, key=n, body=e.body | {"renamed_from": e.key}), version) for e, n in pairs]
    )
    stones = [Tombstone(e.key, version, e.content, n) for e, n in pairs]
    # A path that is taken already has an element of its own; the old one is gone, and the scan tells what lies there.
    stones += [Tombstone(e.key, version, e.content) for e, n in zip(page, names, strict=True) if n in taken]
    tx.elements.bury(stones)
    _leave_behind(tx, site, planner, saved, {n: e.key for e, n in pairs})
    tx.history.add([Event(n, now, "renamed", site.id, text=f"renamed from {e.key} at {site.name}") for e, n in pairs])
    more = len(page) == _STEP
    if not more:
        _wish_moves(planner, site, old, new)
    return len(page), more, planner.woken


def _leave_behind(tx: Transaction, site: Site, planner: Planner, saved: list[Element], was: dict[str, str]) -> None:
    """Copies of other sites still lie under the old path. What only has to be renamed there is left to the one task."""
    replicas = tx.replicas.of([e.id for e in saved])
    behind = []
    for element in saved:
        rows = replicas.get(element.id, [])
        at = [r if r.site == site.id else left_behind(r, was[element.key], element.key) for r in rows]
        if at != rows:
            tx.replicas.put(at)
        replicas[element.id] = at
        current = {r.site for r in at if r.synced and r.gen >= element.gen}
        if element.body.get(GONE) or any(s != site.id and s not in current for s in planner.sites):
            behind.append(element)
    planner.forsake(list(was.values()), [row for rows in replicas.values() for row in rows])
    planner.wish(behind, replicas)


def _wish_moves(planner: Planner, site: Site, old: str, new: str) -> None:
    def takes(mapping: Mapping | None) -> bool:
        return mapping is not None and mapping.receives and below(old, mapping.prefix) and below(new, mapping.prefix)

    found = [covering(planner.mappings, s, new) for s in planner.sites if s != site.id]
    planner.add([Wish(m.id, new, "move", source=old) for m in found if m is not None and takes(m)])


def settle_move(
    tx: Transaction, site: Site, mapping: int, old: str, new: str, after: int
) -> tuple[int | None, set[int]]:
    """The folder has its new name at this site: copies that lay below the old one lie below the new one now, and whatever
    waits for them is wished anew. Answers the element to go on after (None: the end) and the mappings to wake.

    All rows of the site are looked at: their elements may have been renamed again since. To be called while the move's
    own row still holds back everything that overlaps it.
    """
    rows = tx.replicas.at_site(site.id, after, _PAGE)
    moved = [r for r in rows if r.at.startswith(old)]
    planner = Planner(tx)
    if moved:
        elements = tx.elements.by_id([r.element for r in moved])
        lies = {r.element: new + r.at[len(old) :] for r in moved if r.element in elements}
        here = {i for i, path in lies.items() if elements[i].key == path}
        tx.replicas.put(
            [replace(r, at="" if r.element in here else lies[r.element]) for r in moved if r.element in lies]
        )
        planner.cancel({mapping: [r.at for r in moved]})
        waiting = {t.element for t in tx.tasks.get(mapping, [elements[i].key for i in here]) if t is not None}
        planner.wish([e for i, e in elements.items() if i not in here or i in waiting or e.body.get(GONE)])
    return (rows[-1].element if len(rows) == _PAGE else None), planner.woken
