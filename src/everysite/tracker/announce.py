"""What scans find: carried out, one unit of work a batch.

Owns: applying `decide.announce` to many findings, and renames of single files.
Must not know: how the tree was scanned, HTTP. Renames of whole folders are in `folders.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from everysite.decide.announce import Outcome, Seen, agrees, left_behind, receive
from everysite.decide.elements import stamped
from everysite.decide.locks import holder, works_at
from everysite.errors import EverysiteError, PathRefused
from everysite.index.contract import Event, Transaction
from everysite.model.element import Body, Element, Tombstone
from everysite.model.path import below, check_id
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Site
from everysite.tracker.agent_messages import Announce, Announced, SeenItem
from everysite.tracker.core import Core, held_mapping
from everysite.tracker.folders import move_folder
from everysite.tracker.operation import Caller
from everysite.tracker.planning import Planner
from everysite.tracker.users import find_user

_STEP = 250  # findings in one bulk step: about 10 ms
_SMALL = 50  # up to here a batch is somebody's work, not a scan


class AnnounceVerb:
    """The verb `announce`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def announce(self, caller: Caller, asked: Announce) -> Announced:
        """Raises StaleLease, TooLarge. A finding that is refused is named in the answer; the others count."""
        self._core.cap(len(asked.seen), "findings")
        counts: Counter[str] = Counter()
        refused: dict[str, str] = {}
        lane = "interactive" if len(asked.seen) <= _SMALL else "bulk"
        folders = [s for s in asked.seen if _is_folder_move(s)]
        for folder in folders:
            counts["renamed"] += await move_folder(self._core, caller, asked.mapping, asked.epoch, folder)
        files = [s for s in asked.seen if not _is_folder_move(s)] if folders else asked.seen
        for at in range(0, len(files), _STEP):
            step = files[at : at + _STEP]
            now = self._core.clock()
            batch = await self._core.index.run(
                lambda tx, step=step, now=now: _announce(  # type: ignore[misc]
                    tx, caller, asked, step, now, self._core.limits.enforce_locks
                ),
                lane,  # type: ignore[arg-type]
            )
            counts += batch.counts
            refused |= batch.refused
            self._core.wakes.wake(batch.woken)
        return Announced(dict(counts), refused)


def _is_folder_move(item: SeenItem) -> bool:
    return bool(item.was) and not item.package and item.key.endswith("/") and item.was.endswith("/")


class Batch:
    """One step of an announcement inside its unit of work."""

    def __init__(
        self, tx: Transaction, site: Site, mapping: Mapping, now: int, first: bool, locks_bind: bool = False
    ) -> None:
        self._locks_bind = locks_bind
        self._users: dict[str, Body | None] = {}
        self.tx, self.site, self.mapping, self.now, self.first = tx, site, mapping, now, first
        self.planner = Planner(tx)
        self.version = tx.stamp(now)
        self.counts: Counter[str] = Counter()
        self.refused: dict[str, str] = {}

    @property
    def woken(self) -> set[int]:
        return self.planner.woken

    def receive(self, findings: Sequence[Seen]) -> None:
        """Decide and store; what follows from a finding is received in the next round."""
        counting = True
        while findings:
            now, later = _apart(findings)
            findings = [*later, *self._round(now, counting)]
            counting = False

    def _round(self, findings: Sequence[Seen], counting: bool) -> list[Seen]:
        keys = sorted({k for f in findings for k in (f.key, f.was) if k})
        elements = {e.key: e for e in self.tx.elements.get(keys) if e is not None}
        missing = [k for k in keys if k not in elements]
        stones = {t.key: t for t in self.tx.elements.stones(missing) if t is not None} if missing else {}
        replicas = self.tx.replicas.of([e.id for e in elements.values()]) if elements else {}
        own = {r.element: r for rows in replicas.values() for r in rows if r.site == self.site.id}
        outcomes: list[tuple[Seen, Outcome]] = []
        for finding in findings:
            element, before = elements.get(finding.key), elements.get(finding.was)
            outcome = receive(
                finding, element, own.get(element.id) if element else None, stones.get(finding.key), self.site,
                self.mapping, self.planner.globals, self.now, self.first, before, own.get(before.id) if before else None,
                self._locked(element), self._locked(before),
            )  # fmt: skip
            outcomes.append((finding, outcome))
            if counting:
                self.counts[outcome.action] += 1
            if finding.brought and outcome.action == "ignored":
                self.refused[finding.key] = outcome.reason
        self._store(outcomes, elements, replicas)
        return [f for _, o in outcomes for f in o.follow]

    def _locked(self, element: Element | None) -> str:
        """Who keeps this site from changing a file: the holder of its lock, unless they work here. '' nobody."""
        who = holder(element.body) if element is not None and self._locks_bind else ""
        if who and who not in self._users:
            user = find_user(self.tx, self.tx.access.account(who))
            self._users[who] = user.body if user else None
        return "" if not who or works_at(self._users[who], self.site.name) else who

    def _store(
        self, outcomes: list[tuple[Seen, Outcome]], elements: dict[str, Element], replicas: dict[int, list[Replica]]
    ) -> None:
        changed = [(s, o) for s, o in outcomes if o.element is not None]
        was = {e.id: e for e in elements.values()}
        puts = self.tx.elements.put(
            [stamped(was.get(o.element.id), o.element, self.version) for _, o in changed if o.element]
        )
        saved = {e.key: e for e in puts}
        self._bury([o.bury for _, o in changed if o.bury])
        rows = [
            replace(o.replica, element=o.replica.element or saved[s.key].id)
            for s, o in outcomes
            if o.replica is not None
        ]
        for seen, outcome in changed:
            if outcome.action == "modified":
                here = [r for r in replicas.get(saved[seen.key].id, ()) if r.site != self.site.id]
                rows += [a for r in here if (a := agrees(r, saved[seen.key], self.now)) is not None]
            if outcome.bury is not None:
                old = outcome.bury.key
                others = [r for r in replicas.get(saved[seen.key].id, ()) if r.site != self.site.id]
                behind = [left_behind(r, old, seen.key) for r in others]
                rows += behind
                self.planner.forsake([old], behind)
        if rows:
            self.tx.replicas.put(rows)
        now = {number: {r.site: r for r in found} for number, found in replicas.items()}
        for row in rows:
            now.setdefault(row.element, {})[row.site] = row
        self._plan(outcomes, elements, saved, {number: list(found.values()) for number, found in now.items()})
        self.tx.history.add(
            [Event(s.key, self.now, o.action, self.site.id, text=o.history) for s, o in outcomes if o.history]
        )

    def _bury(self, stones: Sequence[Tombstone]) -> None:
        if stones:
            self.tx.elements.bury([replace(s, version=self.version) for s in stones])

    def _plan(
        self,
        outcomes: list[tuple[Seen, Outcome]],
        elements: dict[str, Element],
        saved: dict[str, Element],
        replicas: dict[int, list[Replica]],
    ) -> None:
        """All sites anew where it may matter. New elements have nothing waiting, so they go the short way."""
        fresh: list[Element] = []
        known: list[Element] = []
        for seen, outcome in outcomes:
            if not outcome.replan:
                continue
            element = saved.get(seen.key) or elements[seen.key]
            (known if seen.key in elements or outcome.bury else fresh).append(element)
        self.planner.wish(fresh, fresh=True)
        self.planner.wish(known, replicas)


def _apart(findings: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
    """Findings of this round, each key once, and those that must see what the first ones did."""
    taken: set[str] = set()
    now: list[Seen] = []
    later: list[Seen] = []
    for finding in findings:
        (later if finding.key in taken or finding.was in taken else now).append(finding)
        taken |= {finding.key, finding.was} - {""}
    return now, later


def _announce(
    tx: Transaction, caller: Caller, asked: Announce, items: Sequence[SeenItem], now: int, locks_bind: bool
) -> Batch:
    mapping, site = held_mapping(tx, caller, asked.mapping, asked.epoch, now)
    batch = Batch(tx, site, mapping, now, asked.first, locks_bind)
    findings = []
    for item in items:
        try:
            findings.append(_finding(item, mapping))
        except EverysiteError as err:
            batch.refused[item.key] = str(err)
    batch.receive(findings)
    return batch


def _finding(item: SeenItem, mapping: Mapping) -> Seen:
    key, was = check_id(item.key), check_id(item.was) if item.was else ""
    for path in (key, was):
        if path and not below(path, mapping.prefix):
            raise PathRefused(f"{path!r} is not below {mapping.prefix!r}, the part of the namespace this folder has")
    return Seen(key, item.content, "package" if item.package else "file", was, item.brought)
