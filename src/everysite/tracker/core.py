"""What every verb of the tracker works with.

Owns: Core, the presence of agents, the configuration's revision, and the right an operation needs.
Must not know: any single verb.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from everysite.errors import Forbidden, NotFound, SignInNeeded, StaleLease, TooLarge
from everysite.index.contract import Index, Topic, Transaction
from everysite.model.site import Globals, Mapping, Site
from everysite.tracker.events import Events
from everysite.tracker.operation import Caller, Operation
from everysite.tracker.relay import Broker
from everysite.tracker.settings import GLOBALS_KEY, globals_of
from everysite.tracker.turns import Turns
from everysite.tracker.wakes import Wakes

REVISION = "revision"  # topic and fact: counts edits of sites, mappings and globals
_RANK = {"guest": 0, "user": 1, "editor": 2, "admin": 3}
_PRESENT_MS = 60_000  # an agent that long-polls calls at least every 30 s


def wall_clock() -> int:
    """ms since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps and times of the verbs. Times in ms unless named s."""

    batch: int = 10_000
    lease_ms: int = 30_000
    token_life_s: int = 86_400
    required: bool = True  # whether one has to sign in at all
    open_mode: bool = False
    sign_in_per_minute: int = 20
    enforce_locks: bool = False
    author_mode: bool = False
    id_pattern: str = "{#}"  # what a ULID takes the place of in a new _id; '' nothing
    lone_words: Literal["contains", "ignored"] = "contains"
    search_s: float = 10.0
    graph: int = 20_000  # elements and links one graph may name


@dataclass(slots=True)
class Core:
    """The index, the clock, and what this process alone knows."""

    index: Index
    limits: Limits = Limits()
    clock: Callable[[], int] = wall_clock
    wakes: Wakes = field(default_factory=Wakes)
    broker: Broker = field(default_factory=Broker)
    events: Events = field(default_factory=Events)
    turns: Turns = field(default_factory=Turns)
    revision: int = 0
    tracker_id: str = ""
    home: str = ""  # tells the homes of processes on one index apart
    tell: Callable[[Iterable[Topic]], None] = lambda _: None  # the other processes
    forget_tokens: Callable[[], None] = lambda: None  # the memory of who tokens stand for
    last_call: dict[str, int] = field(default_factory=dict)  # site name -> ms of its agent's last call

    def present(self, site: str) -> bool:
        """Whether the site's agent has called lately."""
        return self.clock() - self.last_call.get(site, 0) < _PRESENT_MS

    def cap(self, count: int, what: str) -> None:
        """Refuse a batch above the cap (decisions A 10)."""
        if count > self.limits.batch:
            raise TooLarge(f"{count} {what} in one request; send at most {self.limits.batch} at a time")

    def reconfigured(self, revision: int) -> None:
        """Sites, mappings or globals were edited: agents look again."""
        self.revision = max(self.revision, revision)
        self.wakes.wake([REVISION])


def allow(caller: Caller, operation: Operation[Any, Any], author_mode: bool = False) -> None:
    """Raise SignInNeeded or Forbidden when the caller's class, or the scope of their token, does not reach an operation.

    This comes before everything else that could tell whether a thing exists.
    """
    right = operation.right
    if right == "anyone":
        return
    if not caller.username:
        raise SignInNeeded("sign in first, or send a valid token in the Authorization header")
    if author_mode and operation.own:
        right = "user"  # sight() keeps them to their own
    if caller.scoped:
        _within_scope(caller, operation)
    if right == "agent":
        if caller.rank in ("agent", "admin"):
            return
    elif caller.rank == "agent":
        if right == "guest":
            return
    elif _RANK[caller.rank] >= _RANK[right]:
        return
    raise Forbidden(f"{caller.username} is {caller.rank}; this needs {right}")


def _within_scope(caller: Caller, operation: Operation[Any, Any]) -> None:
    if caller.read_only and operation.writes:
        raise Forbidden("this token only reads")
    if operation.right in ("admin", "agent") and (caller.prefix or caller.site):
        raise Forbidden("this token is for a part of the tracker; administration needs one without a site or prefix")


def serves(caller: Caller, site: str) -> None:
    """An agent token works for its own site only."""
    if (caller.rank == "agent" or caller.site) and caller.site not in (site, "*"):
        raise Forbidden(
            f"this token is for the site {caller.site!r}, not {site!r}; make one with: everysite site token {site}"
        )


def bump_revision(tx: Transaction) -> int:
    """Count an edit of the configuration, inside the unit that makes it."""
    revision = int(tx.meta(REVISION) or 0) + 1
    tx.set_meta(REVISION, str(revision))
    return revision


def site_named(tx: Transaction, name: str) -> Site:
    """The site, or NotFound naming those there are."""
    site = tx.sites.named(name)
    if site is None:
        known = ", ".join(s.name for s in tx.sites.all()) or "none yet; add one with: everysite site add NAME FOLDER"
        raise NotFound(f"there is no site {name!r}; known sites: {known}")
    return site


def mapping_of(tx: Transaction, mapping: int) -> tuple[Mapping, Site]:
    """A mapping by number, with its site."""
    for found in tx.sites.mappings():
        if found.id == mapping:
            for site in tx.sites.all():
                if site.id == found.site:
                    return found, site
    raise NotFound(f"mapping {mapping} is gone; its site was removed or set up anew: say hello again")


def held_mapping(tx: Transaction, caller: Caller, mapping: int, epoch: int, now: int) -> tuple[Mapping, Site]:
    """A mapping the caller holds under this epoch. Raises StaleLease when somebody else holds it, or it ran out."""
    found, site = mapping_of(tx, mapping)
    serves(caller, site.name)
    holding = tx.sites.holding(mapping)
    if holding is None or holding.epoch != epoch or holding.until < now:
        raise StaleLease(
            f"{site.name}: this agent no longer holds the site's folder; it must take it again before it writes"
        )
    return found, site


def read_globals(tx: Transaction) -> Globals:
    """The element `rsyncGlobalParameters`, or its defaults where a key is missing or unusable."""
    [element] = tx.elements.get([GLOBALS_KEY])
    return globals_of(element.body if element else {})
