"""From what is wished and what is there to what is to be done: the one place where wishes are made.

Owns: the choice of present, absent and inspect for one file at one site; which mapping covers a path; overlap.
Must not know: the index, tasks already there, pauses (a paused site just claims nothing), or how bytes travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from everysite.decide.targets import is_origin, priority, wanted
from everysite.model.element import Element
from everysite.model.path import below, is_path
from everysite.model.replica import Replica
from everysite.model.site import Globals, Mapping, Site
from everysite.model.task import Wish

GONE = "deletedEverywhere"
"""Key (ms) of an element whose origin deleted the file and wants it deleted at the other sites too."""


def plan(
    element: Element,
    site: Site,
    mapping: Mapping,
    replica: Replica | None,
    globals: Globals,
    replaces: bytes = b"",
    run_at: int = 0,
) -> Wish | None:
    """What shall be done about this file in this mapping of this site; None: nothing, cancel what waits there.

    `replaces`: the digest of a copy in conflict that a person allowed to overwrite. A rename that is on its way
    (`replica.at`) is wished even when the content is current, at the origin and where `sync_<site>` is off by now.
    """
    if not element.is_file or not _reachable(element, mapping):
        return None
    if element.body.get(GONE):
        return plan_delete(element, mapping, replica, run_at) if _wants_delete(element, site, replica) else None
    if element.content is None or element.gen == 0 or (replica is not None and not _open(replica, element, replaces)):
        return None
    behind = replica is None or not replica.synced or replica.modified != 0 or replica.gen < element.gen
    moving = replica is not None and replica.at not in ("", element.key)
    if not (behind and _target(element, site, globals)) and not (moving and not behind):
        return None
    return Wish(
        mapping=mapping.id,
        path=element.key,
        kind="present",
        element=element.id,
        gen=element.gen,
        content=element.content,
        source=_source(replica, mapping) if moving else "",
        replaces=replaces if replica is not None and replica.modified else b"",
        priority=priority(element.body),
        run_at=run_at,
    )


def _reachable(element: Element, mapping: Mapping) -> bool:
    return mapping.receives and below(element.key, mapping.prefix)


def _target(element: Element, site: Site, globals: Globals) -> bool:
    return element.origin != site.id and wanted(element.body, site.name, globals.sync_everywhere).wanted


def _source(replica: Replica | None, mapping: Mapping) -> str:
    """The older path to rename from, when there is still a copy and the same mapping holds it."""
    if replica is None or replica.deleted or not replica.synced or not below(replica.at, mapping.prefix):
        return ""
    return replica.at


def _open(replica: Replica, element: Element, replaces: bytes) -> bool:
    """Whether anything may be done to this copy: not in conflict (or allowed), not deleted there on purpose."""
    if replica.modified and (not replaces or replaces != replica.seen):
        return False
    kept_away = replica.deleted and replica.synced and replica.gen >= element.gen
    return not kept_away


def _wants_delete(element: Element, site: Site, replica: Replica | None) -> bool:
    """Nothing is deleted at the origin, in conflict, or where there is nothing of ours."""
    if replica is None or is_origin(element.body, site.name) or element.origin == site.id:
        return False
    return bool(replica.synced) and not replica.deleted and not replica.modified


def plan_delete(element: Element, mapping: Mapping, replica: Replica | None = None, run_at: int = 0) -> Wish | None:
    """Wish that nothing be there. The path is where the copy lies now, which a rename on its way may not have reached.

    None when the mapping does not cover that path. Whether the mapping still receives does not matter here: what was
    brought may be taken away; `plan` asks.
    """
    path = replica.at if replica is not None and replica.at else element.key
    if not below(path, mapping.prefix):
        return None
    return Wish(
        mapping=mapping.id,
        path=path,
        kind="absent",
        element=element.id,
        gen=element.gen,
        content=element.content,
        priority=priority(element.body),
        run_at=run_at,
    )


def plan_inspect(element: Element, mapping: Mapping, run_at: int = 0) -> Wish | None:
    """Wish that the origin look at a file whose content is not known yet. `mapping` is one of the origin's."""
    if not element.is_file or element.content is not None or not element.origin:
        return None
    if mapping.site != element.origin or not below(element.key, mapping.prefix) or not is_path(element.key):
        return None
    return Wish(
        mapping=mapping.id,
        path=element.key,
        kind="inspect",
        element=element.id,
        gen=element.gen,
        priority=priority(element.body),
        run_at=run_at,
    )


def covering(mappings: Iterable[Mapping], site_id: int, key: str) -> Mapping | None:
    """The mapping of this site that a path belongs to: the one with the longest prefix."""
    found = [m for m in mappings if m.site == site_id and below(key, m.prefix)]
    return max(found, key=lambda m: len(m.prefix), default=None)


def overlaps(mappings: Sequence[Mapping]) -> str | None:
    """What is wrong when two mappings of one site that take copies overlap; None when all is well."""
    writable = sorted((m for m in mappings if m.direction != "send"), key=lambda m: (m.site, m.prefix))
    for first, second in pairwise(writable):
        if first.site == second.site and second.prefix.startswith(first.prefix):
            return (
                f"{second.url} ({second.prefix}) and {first.url} ({first.prefix}) are two writable mappings of one "
                f"site for the same paths; give them separate prefixes, or make one of them send only"
            )
    return None
