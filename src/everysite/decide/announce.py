"""What a site found on its disk, against what is known: the effect of one difference of a scan.

Owns: the rules of decisions B 2 to 4 (new, changed, gone, renamed, in conflict, deleted on purpose) and the discovery
switches.
Must not know: how a scan finds differences, the index, tasks. Whoever carries an Outcome out plans all sites anew.

Elements and tombstones come back with the versions they had (0 for new ones): the caller stamps them.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from everysite.decide.plan import GONE
from everysite.model.clock import Version
from everysite.model.element import Body, Content, Element, Tombstone
from everysite.model.replica import Replica
from everysite.model.site import Globals, Mapping, Site

Action = Literal["new", "modified", "known", "renamed", "deleted", "conflict", "ignored"]


class Seen(msgspec.Struct, frozen=True):
    """What lies under a path now; `content` None: nothing any more. `was`: it was there under that path before.
    `brought`: the site's agent put it there for us, so it is nobody's change, at worst an older content."""

    key: str
    content: Content | None = None
    kind: Literal["file", "package"] = "file"
    was: str = ""
    brought: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """What follows. What is None stays as it is.

    `element` to put (id 0: a new one, and `replica.element` is 0 until it has a number). `replica` of the announcing
    site to put. `bury`: the tombstone of the old path of a rename; copies of the other sites then need `left_behind`.
    `follow`: findings to receive next, in this order. `replan`: the wishes of all sites may have changed.
    `later`: refused by a switch, so the same finding may count when the switch is changed.
    """

    action: Action
    reason: str
    element: Element | None = None
    replica: Replica | None = None
    bury: Tombstone | None = None
    history: str = ""
    follow: tuple[Seen, ...] = ()
    replan: bool = False
    later: bool = False


class _Case(msgspec.Struct, frozen=True):
    """The arguments of `receive`, together."""

    seen: Seen
    element: Element | None
    replica: Replica | None
    tombstone: Tombstone | None
    site: Site
    mapping: Mapping
    globals: Globals
    now: int
    first_scan: bool
    locked: str = ""
    before_locked: str = ""

    @property
    def announces(self) -> bool:
        """Whether findings here may change what other sites get. A site that only receives still tells its own state."""
        return self.mapping.direction != "receive"


def receive(
    seen: Seen,
    element: Element | None,
    replica: Replica | None,
    tombstone: Tombstone | None,
    site: Site,
    mapping: Mapping,
    globals: Globals,
    now: int,
    first_scan: bool = False,
    before: Element | None = None,
    before_replica: Replica | None = None,
    locked: str = "",
    before_locked: str = "",
) -> Outcome:
    """The effect of one finding. `element`, `replica` (of the announcing site) and `tombstone` are those of `seen.key`;
    `before` and `before_replica` those of `seen.was`. `now` is ms since 1970. `locked` and `before_locked`: whose lock on
    the element (on `before`) binds this site: what changes there meanwhile is shown as a conflict and waits.

    Received twice, a finding changes nothing the second time.
    """
    case = _Case(seen, element, replica, tombstone, site, mapping, globals, now, first_scan, locked, before_locked)
    if seen.was and seen.was != seen.key and seen.content is not None:
        return _moved(case, seen.content, before, before_replica)
    if seen.content is None:
        return _gone(case)
    if element is None:
        return _unknown(case, seen.content)
    if element.content is not None and same(element.content, seen.content):
        return _same(case, element, element.content, seen.content)
    return _differs(case, element, seen.content)


def same(one: Content, other: Content) -> bool:
    """Whether two contents have the same bytes; times and modes do not count."""
    return one.size == other.size and one.digest == other.digest


def left_behind(replica: Replica, old: str, new: str) -> Replica:
    """Another site's row after its file was renamed from `old` to `new`: the copy, if any, still lies under a path of
    before, and `plan` wishes the rename."""
    lies = replica.at or old
    return replace(replica, at="" if lies == new or not replica.synced else lies)


def agrees(replica: Replica, element: Element, now: int) -> Replica | None:
    """A conflict that is none, because the file came to have the content seen there: the row, now current. Else None."""
    if not replica.modified or element.content is None or replica.seen != element.content.digest:
        return None
    return _current(replica, element.gen, now, element.content.digest)


def _current(replica: Replica, gen: int, now: int, digest: bytes) -> Replica:
    return Replica(replica.element, replica.site, gen=gen, synced=now, seen=digest)


def _row(case: _Case, element: Element) -> Replica:
    return case.replica or Replica(element.id, case.site.id)


def _at_origin(case: _Case, element: Element) -> bool:
    return element.origin == case.site.id


def _no(reason: str, later: bool = False) -> Outcome:
    return Outcome("ignored", reason, later=later)


def _facts(content: Content) -> Body:
    return {"file_mtime": content.mtime_ns // 1_000_000, "file_size": content.size}


# --- a path that is no element ------------------------------------------------------------------------------------


def _unknown(case: _Case, content: Content) -> Outcome:
    refused = _refuses_new(case)
    if refused:
        return refused
    if case.seen.brought:
        return _no("it is no file any more")
    if case.tombstone is not None and _buried(case.tombstone, content):
        renamed = case.tombstone.renamed_to
        return _no(f"it was renamed to {renamed}" if renamed else "it was deleted on purpose")
    element = _new_element(case, content)
    replica = _current(Replica(0, case.site.id), 1, case.now, content.digest)
    if case.first_scan and _ignores_existing(case):
        known = replace(element, body=element.body | {"syncEverywhere": False})
        return Outcome(
            "known", "it was there before the first scan", known, replica, history=f"found at {case.site.name}"
        )
    return Outcome("new", "nobody knew it", element, replica, history=f"scanned at {case.site.name}", replan=True)


def _refuses_new(case: _Case) -> Outcome | None:
    name, policy = case.site.name, case.mapping.policy
    if not case.announces:
        return _no(f"{name} only receives", later=True)
    if not policy.enable_discovery:
        return _no(f"enableDiscovery of {name} is off", later=True)
    if case.seen.kind == "package" and not policy.enable_discovery_packages:
        return _no(f"enableDiscoveryPackages of {name} is off", later=True)
    return None


def _ignores_existing(case: _Case) -> bool:
    own = case.mapping.policy.ignore_existing_files
    return case.globals.ignore_existing_files if own is None else own


def _buried(stone: Tombstone, content: Content) -> bool:
    """Whether this is what was deleted or renamed away, and not something new with that name."""
    older = content.mtime_ns // 1_000_000 <= stone.version.ms
    if stone.content is None:
        return older  # nobody had looked at it by then
    # After a rename the old name is free: a copy made there later is a file of its own.
    return same(stone.content, content) and (older or stone.renamed_to is None)


def _new_element(case: _Case, content: Content) -> Element:
    body: Body = {
        "author": "support",
        "time": case.now,
        "comment": f"scanned at {case.site.name}",
        "origin": case.site.name,
    }
    return Element(case.seen.key, body | _facts(content), gen=1, content=content, origin=case.site.id)


# --- a path that is an element ------------------------------------------------------------------------------------


def _same(case: _Case, element: Element, known: Content, content: Content) -> Outcome:
    origin = _at_origin(case, element)
    if origin and case.announces and element.body.get(GONE):
        return _modified(case, element, content, f"scanned at {case.site.name}")
    row = _row(case, element)
    there = row.gen == element.gen and row.synced and not (row.modified or row.deleted or row.error or row.at)
    replica = None if there else _current(row, element.gen, case.now, content.digest)
    if origin and known != content:
        touched = replace(element, content=content, body=element.body | _facts(content))
        return Outcome("known", "only its time or mode changed", touched, replica)
    return Outcome("known", "it has the content everybody knows", replica=replica, replan=replica is not None)


def _differs(case: _Case, element: Element, content: Content) -> Outcome:
    name, origin = case.site.name, _at_origin(case, element)
    if origin and element.content is None:
        return _measured(case, element, content)
    if case.seen.brought and not origin:
        older = _current(_row(case, element), max(element.gen - 1, 0), case.now, content.digest)
        return Outcome("known", "an older content was brought there", replica=older, replan=True)
    if not case.mapping.policy.enable_discovery_updated_files:
        return _no(f"enableDiscoveryUpdatedFiles of {name} is off", later=True)
    if not origin:
        return _conflict(case, element, content)
    if not case.announces:
        return _no(f"{name} only receives", later=True)
    if case.locked:
        return _conflict(case, element, content)
    return _modified(case, element, content, f"modified at {name}")


def _measured(case: _Case, element: Element, content: Content) -> Outcome:
    """The first look at a file that was published by name."""
    known = replace(element, gen=element.gen + 1, content=content, body=element.body | _facts(content))
    replica = _current(_row(case, element), known.gen, case.now, content.digest)
    return Outcome("known", "its content is known now", known, replica, history="measured", replan=True)


def _modified(case: _Case, element: Element, content: Content, comment: str) -> Outcome:
    body = element.body | {"author": "support", "time": case.now, "comment": comment} | _facts(content)
    body.pop(GONE, None)
    changed = replace(element, gen=element.gen + 1, content=content, body=body)
    replica = _current(_row(case, element), changed.gen, case.now, content.digest)
    return Outcome("modified", "it changed at its origin", changed, replica, history=comment, replan=True)


def _conflict(case: _Case, element: Element, content: Content) -> Outcome:
    row = _row(case, element)
    if row.modified and row.seen == content.digest:
        return Outcome("conflict", "the same conflict is known")
    if row.synced and row.seen == content.digest and not row.deleted:
        return Outcome("known", "it is an older content that was brought there")
    why = f"while {case.locked} has it locked" if _at_origin(case, element) else "which is not its origin"
    history = f"changed at {case.site.name}, {why}"
    replica = replace(row, modified=case.now, seen=content.digest, deleted=0)
    return Outcome("conflict", f"it changed at {case.site.name}, {why}", replica=replica, history=history, replan=True)


def _gone(case: _Case) -> Outcome:
    element, name = case.element, case.site.name
    if element is None:
        return _no("nobody knows it")
    if not case.mapping.policy.enable_discovery_deleted_files:
        return _no(f"enableDiscoveryDeletedFiles of {name} is off", later=True)
    row, origin = _row(case, element), _at_origin(case, element)
    if row.deleted or not (origin or row.synced or row.modified):
        return _no(f"nothing is known to be at {name}")
    replica = replace(row, deleted=case.now, modified=0, seen=b"", syncing=0, at="")
    spreads = origin and case.announces and case.mapping.policy.propagate_deletes and not case.locked
    changed = replace(element, body=element.body | {GONE: case.now}) if spreads else None
    reason = "it is gone at its origin" if origin else f"it is gone at {name}, other sites keep it"
    return Outcome("deleted", reason, changed, replica, history=f"gone at {name}", replan=True)


# --- a path that had another name ---------------------------------------------------------------------------------


def _moved(case: _Case, content: Content, before: Element | None, row: Replica | None) -> Outcome:
    """A rename keeps the element under its new path. Where that is not safe, it is a new file and a file that is gone."""
    if before is None or case.element is not None or not _renames(case, content, before, row):
        apart = receive(
            replace(case.seen, was=""), case.element, case.replica, case.tombstone,
            case.site, case.mapping, case.globals, case.now, case.first_scan, locked=case.locked,
        )  # fmt: skip
        return replace(apart, follow=(Seen(case.seen.was, kind=case.seen.kind),))
    moved = replace(before, key=case.seen.key, body=before.body | {"renamed_from": before.key})
    stone = Tombstone(before.key, Version(0, 0), before.content, renamed_to=moved.key)
    current = before.content is not None and same(before.content, content)
    row = replace(row or Replica(before.id, case.site.id), at="")
    replica = _current(row, before.gen, case.now, content.digest) if current else row
    # The same finding without `was` tells whether the content changed on the way.
    follow = () if current and before.content == content else (replace(case.seen, was=""),)
    history = f"renamed from {before.key} at {case.site.name}"
    return Outcome("renamed", f"it was {before.key}", moved, replica, stone, history, follow, replan=True)


def _renames(case: _Case, content: Content, before: Element, row: Replica | None) -> bool:
    """Anybody may rename what everybody knows; only the origin may rename and change at once."""
    policy = case.mapping.policy
    if not (case.announces and policy.enable_discovery and policy.enable_discovery_deleted_files):
        return False
    if case.before_locked or (row is not None and (row.modified or row.deleted)):
        return False
    return _at_origin(case, before) or (before.content is not None and same(before.content, content))
