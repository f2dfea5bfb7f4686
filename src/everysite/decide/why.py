"""Why a file is, or is not, on a site: one sentence that names both and the way out.

Owns: the order in which reasons are looked at, and their wording.
Must not know: the index or agents; whoever asks collects a Situation.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from everysite.decide.plan import GONE
from everysite.decide.targets import is_origin, wanted
from everysite.model.element import Element, Tombstone
from everysite.model.path import below
from everysite.model.replica import Replica
from everysite.model.site import Globals, Mapping, Site
from everysite.model.task import Task


class Situation(msgspec.Struct, frozen=True):
    """All that is known about one file at one site. Times are ms since 1970, 0: never.

    `mapping` covers the path; `task` and `replica` are those of this file there; `before` is the task it waits for
    (`decide.tasks.blocked`). `ahead_*` count what runs first. `online`: the agent is there now, `agent_seen`: its last
    call. `halted`: why all work of the site stands still. `origin_online`: somebody who has the content can be reached.
    `looking`: the origin was told that the file has changed, and has not looked at it yet.
    """

    path: str
    site_name: str
    now: int
    element: Element | None = None
    tombstone: Tombstone | None = None
    site: Site | None = None
    mapping: Mapping | None = None
    globals: Globals = Globals()
    replica: Replica | None = None
    task: Task | None = None
    before: Task | None = None
    ahead_files: int = 0
    ahead_bytes: int = 0
    online: bool = True
    agent_seen: int = 0
    halted: str = ""
    origin_online: bool = True
    looking: bool = False


def when(ms: int) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def why(situation: Situation) -> str:
    """One sentence, ending with '.'. The first reason that holds is the one that counts."""
    for reason in (_unknown, _there, _not_coming, _standing, _working):
        said = reason(situation)
        if said:
            return _sentence(said)
    return _sentence(_planned(situation))


def _sentence(words: str) -> str:
    """One line whatever a path is made of, one full stop at the end."""
    return "".join(map(_shown, words)) + "."


def _shown(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def _quoted(text: str) -> str:
    """The error text of another program, without its line ends and full stop."""
    return " ".join(text.split()).rstrip(".") or "no reason given"


def _unknown(s: Situation) -> str:
    if s.site is None:
        return f"there is no site {s.site_name}; `everysite site list` shows all of them"
    if s.element is not None:
        return "" if s.element.is_file else f"{s.path} is a document, not a file, so {s.site_name} keeps no copy of it"
    if s.tombstone is None:
        return f"{s.path} is not known to the tracker, so {s.site_name} cannot have it; publish it or scan the site that has it"
    if s.tombstone.renamed_to:
        return f"{s.path} was renamed to {s.tombstone.renamed_to}; ask why {s.site_name} has that one"
    deleted = when(s.tombstone.version.ms)
    return f"{s.path} was deleted on {deleted}, so {s.site_name} gets no copy; change or publish it to bring it back"


def _there(s: Situation) -> str:
    """What its own row says, when that settles the question."""
    element, row, site = _element(s), s.replica, s.site_name
    origin = is_origin(element.body, site)
    if row is not None and row.modified:
        return (
            f"{s.path} was changed at {site} on {when(row.modified)} and is in conflict with the content from "
            f"{_origin(element)}, so nothing is overwritten; publish it from {site} to keep that change, or delete it there"
        )
    if row is not None and row.deleted:
        return _deleted(s, element, row, origin)
    if row is not None and row.at and row.synced:
        current = "" if row.gen >= element.gen else ", with older content"
        return f"{s.path} is at {site} under its old name {row.at}{current}, and is renamed as soon as {_turn(s)}"
    if origin and s.task is not None and s.task.error:
        return _failed(s, s.task, "read at", f"{site}, its origin")
    if origin:
        return f"{s.path} comes from {site}: it is the origin"
    if s.looking and element.content is not None:
        has = (
            f"{site} has the content of {when(row.synced)}"
            if row is not None and row.synced
            else f"{site} comes after that"
        )
        return f"{s.path} is said to have changed, so {_origin(element)} looks at it first; {has}"
    if row is not None and row.synced and row.gen >= element.gen and not element.body.get(GONE):
        return f"{s.path} is at {site} and current since {when(row.synced)}"
    return ""


def _deleted(s: Situation, element: Element, row: Replica, origin: bool) -> str:
    at = f"on {when(row.deleted)}"
    if origin:
        kept = "other sites keep their copies unless propagateDeletes is on"
        return f"{s.path} was deleted {at} at {s.site_name}, its origin; {kept}"
    if element.body.get(GONE):
        return f"{s.path} was deleted at {s.site_name} {at} because its origin {_origin(element)} deleted it; put it back there"
    if row.gen >= element.gen and row.synced:
        return (
            f"{s.path} was deleted at {s.site_name} {at} and is not sent again until its content changes; "
            f"remove the keys deleted_{s.site_name} and synced_{s.site_name} to have it sent now"
        )
    return ""


def _not_coming(s: Situation) -> str:
    element, site = _element(s), s.site_name
    if element.body.get(GONE):
        return f"{s.path} was deleted at its origin {_origin(element)}, so {site} gets no copy; put it back there"
    verdict = wanted(element.body, site, s.globals.sync_everywhere)
    older = ", and the copy there is outdated" if s.replica is not None and s.replica.synced else ""
    if not verdict.wanted:
        return f"{s.path} is not sent to {site} because {verdict.rule}{older}; set sync_{site} to true to have it sent"
    if s.mapping is None or not below(s.path, s.mapping.prefix):
        return f"{s.path} lies outside of what {site} keeps{older}; add a mapping for that folder to {site}"
    if s.mapping.direction == "send":
        return f"{site} only sends {s.mapping.prefix}, so {s.path} is not brought there{older}; change its direction to both"
    if not s.mapping.policy.enable_reception:
        return f"enableReception of {site} is off, so {s.path} is not brought there{older}; switch it on"
    if element.content is None:
        origin = _origin(element)
        return f"{s.path} waits for {origin} to tell its content before {site} can get it; check that the agent of {origin} runs"
    return ""


def _standing(s: Situation) -> str:
    """Reasons why nothing moves at the whole site."""
    if s.site is not None and s.site.paused:
        return f"{s.path} waits because {s.site_name} is paused; `everysite site resume {s.site_name}` goes on"
    if not s.online:
        seen = f"was last seen on {when(s.agent_seen)}" if s.agent_seen else "has never been seen"
        return f"{s.path} waits because the agent of {s.site_name} {seen}; start it"
    if s.halted:
        return f"{s.path} waits because {s.site_name} halted ({_quoted(s.halted)}); it is probed and goes on by itself"
    return ""


def _working(s: Situation) -> str:
    task, row = s.task, s.replica
    if task is None:
        return ""
    if task.lease:
        since = f" since {when(row.syncing)}" if row is not None and row.syncing else ""
        return f"{s.path} is on its way to {s.site_name}{since}"
    if task.tries or task.error:
        return _failed(s, task)
    if s.before is not None:
        return f"{s.path} waits at {s.site_name} until {s.before.path} is done, which it overlaps"
    if not s.origin_online:
        way_out = f"start the agent of {_origin(_element(s))}"
        return f"{s.path} waits for {s.site_name} because no site that has it can be reached; {way_out}"
    place = f"behind {_ahead(s)} with priority {task.priority}"
    return f"{s.path} waits for {s.site_name} {place}; raise sync_priority to have it sooner"


def _failed(s: Situation, task: Task, done: str = "brought to", where: str = "") -> str:
    text = _quoted(task.error_text or f"error {task.error}")
    tries = "1 try" if task.tries == 1 else f"{task.tries} tries"
    allowed = s.mapping.policy.retry_count if s.mapping is not None else -1
    if 0 <= allowed <= task.tries:
        again = f"it is not tried again; remove syncError_{s.site_name} to start anew"
    else:
        again = f"the next is at {when(max(task.run_at, s.now))}"
    return f"{s.path} could not be {done} {where or s.site_name} ({text}) after {tries}, {again}"


def _planned(s: Situation) -> str:
    return f"{s.path} is wanted at {s.site_name} and about to be queued; `everysite status` shows the queue"


def _turn(s: Situation) -> str:
    standing = _standing(s)
    return f"the site works again ({standing.split('; ')[0]})" if standing else f"{s.site_name} gets to it"


def _ahead(s: Situation) -> str:
    return f"{s.ahead_files} {'file' if s.ahead_files == 1 else 'files'} ({_size(s.ahead_bytes)})"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _element(s: Situation) -> Element:
    assert s.element is not None, "asked after _unknown has answered"
    return s.element


def _origin(element: Element) -> str:
    origin = element.body.get("origin")
    return origin if isinstance(origin, str) and origin else "its origin"
