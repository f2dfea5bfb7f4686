"""How work ended: results of tasks become the state of replicas.

Owns: what a result does to its task, its replica and the history. Must not know: how bytes moved.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from msgspec.structs import replace

from everysite import errors
from everysite.decide.announce import Seen
from everysite.decide.retry import verdict
from everysite.decide.tasks import settles
from everysite.errors import EverysiteError
from everysite.index.contract import Event, Transaction
from everysite.model.element import Element
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Site
from everysite.model.task import Task
from everysite.tracker.agent_messages import Result, Settle, Settled
from everysite.tracker.announce import Batch
from everysite.tracker.core import Core, held_mapping, mapping_of
from everysite.tracker.folders import settle_move
from everysite.tracker.operation import Caller

_STEP = 250  # results in one unit: about 10 ms
_BY_CODE: dict[str, type[EverysiteError]] = {
    c.code: c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, EverysiteError)
}
_NEVER = 1 << 53  # run_at of a task that was given up; a new gen or a reset brings it back


class SettleVerb:
    """The verb `settle`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def settle(self, caller: Caller, asked: Settle) -> Settled:
        """Raises StaleLease when the mapping is no longer the caller's; single stale results are named in the answer."""
        core = self._core
        core.cap(len(asked.results), "results")
        refused: list[str] = []
        steps = [asked.results[at : at + _STEP] for at in range(0, len(asked.results), _STEP)] or [[]]
        for number, step in enumerate(steps, 1):
            last = number == len(steps) and not asked.more
            now = core.clock()

            def unit(tx: Transaction, step: Sequence[Result] = step, last: bool = last, now: int = now) -> _Settling:
                return _settle(tx, caller, asked, step, last, now, core.limits.enforce_locks)

            await self._moved(asked, step)
            settling = await core.index.run(unit)
            refused += settling.refused
            core.wakes.wake(settling.woken)
        return Settled(refused)

    async def _moved(self, asked: Settle, results: Sequence[Result]) -> None:
        """Folders that have another name: done before their rows go, which keep everything below them waiting."""
        core = self._core
        paths = [r.path for r in results if r.ok and r.path.endswith("/")]
        if not paths:
            return

        def moves(tx: Transaction) -> list[tuple[Site, str, str]]:
            _, site = mapping_of(tx, asked.mapping)
            rows = tx.tasks.get(asked.mapping, paths)
            return [
                (site, t.source, t.path) for t in rows if t is not None and t.kind == "move" and t.lease == asked.lease
            ]

        for site, old, new in await core.index.read(moves):
            after: int | None = 0
            while after is not None:

                def step(
                    tx: Transaction, site: Site = site, old: str = old, new: str = new, after: int = after
                ) -> tuple[int | None, set[int]]:
                    return settle_move(tx, site, asked.mapping, old, new, after)

                after, woken = await core.index.run(step, "bulk")
                core.wakes.wake(woken)


class _Settling:
    """One step of results inside its unit."""

    def __init__(self, tx: Transaction, mapping: Mapping, site: Site, now: int, locks_bind: bool) -> None:
        self.tx, self.mapping, self.site, self.now = tx, mapping, site, now
        self._locks_bind = locks_bind
        self.refused: list[str] = []
        self.woken: set[int] = set()
        self.done: list[str] = []
        self.again: list[Task] = []
        self.rows: list[Replica] = []
        self.events: list[Event] = []
        self.found: list[Seen] = []

    def result(self, task: Task, result: Result, element: Element | None, row: Replica | None) -> None:
        """Take one result in. Only the gen that was claimed is reported; a newer wish goes on waiting."""
        newer = settles(task, task.lease, result.gen) == "settle_older"
        if not result.ok and not newer:
            self._failed(task, result, element, row)
        elif newer:
            if result.ok and task.kind == "present" and element is not None:
                self._arrived(task, result, element, row or Replica(element.id, self.site.id))
            self._again(task)
        elif task.kind == "inspect":
            self._inspected(task, result)
        elif task.kind == "move":
            self.done.append(task.path)
        else:
            if element is not None:
                self._arrived(task, result, element, row or Replica(element.id, self.site.id))
            self.done.append(task.path)

    def _arrived(self, task: Task, result: Result, element: Element, row: Replica) -> None:
        site = self.site.name
        if task.kind == "absent":
            self.rows.append(replace(row, synced=0, gen=0, deleted=self.now, error=0, error_text="", tries=0, at=""))
            self.events.append(
                Event(element.key, self.now, "deleted", self.site.id, text=f"moved to the trash at {site}")
            )
        elif result.conflict:
            self._conflict(element, row, result.conflict)
        else:
            at = task.path if task.path != element.key else ""
            there = result.content.digest if result.content is not None else b""
            row = Replica(row.element, row.site, gen=task.claimed, synced=self.now, seen=there, at=at)
            self.rows.append(row)
            self.events.append(Event(element.key, self.now, "arrived", self.site.id, text=f"complete at {site}"))

    def _conflict(self, element: Element, row: Replica, digest: bytes) -> None:
        self.rows.append(replace(row, modified=self.now, seen=digest, error=0, error_text="", tries=0))
        text = f"other content was found at {self.site.name}; nothing was overwritten"
        self.events.append(Event(element.key, self.now, "conflict", self.site.id, text=text))

    def _again(self, task: Task) -> None:
        """Something newer is wished by now."""
        self.again.append(replace(task, lease=0, claimed=0, tries=0, run_at=0))
        self.woken.add(task.mapping)

    def _inspected(self, task: Task, result: Result) -> None:
        self.found.append(Seen(task.path, result.content, "package" if task.path.endswith("/") else "file"))
        self.done.append(task.path)

    def _failed(self, task: Task, result: Result, element: Element | None, row: Replica | None) -> None:
        error = _BY_CODE.get(result.code, errors.Refused)(result.text)
        exit_code = result.exit_code or error.exit_code
        retry = verdict(error, task.tries, self.mapping.policy, self.now, random.random() * 0.5)
        tries = task.tries + retry.counts
        run_at = _NEVER if retry.give_up else retry.run_at
        text = result.text[:2000]
        self.again.append(
            replace(task, lease=0, claimed=0, tries=tries, run_at=run_at, error=exit_code, error_text=text)
        )
        if element is None or isinstance(error, errors.StaleLease | errors.Cancelled):
            return
        row = row or Replica(element.id, self.site.id)
        self.rows.append(replace(row, error=exit_code, error_text=text, attempted=self.now, tries=tries))
        if tries == 1 or row.error_text != text:
            self.events.append(Event(element.key, self.now, "failed", self.site.id, text=text))

    def store(self) -> None:
        """Write everything down."""
        self.tx.replicas.put(self.rows)
        self.tx.tasks.done(self.mapping.id, self.done)
        self.tx.tasks.again(self.again)
        self.tx.history.add(self.events)
        if self.found:
            batch = Batch(self.tx, self.site, self.mapping, self.now, False, self._locks_bind)
            batch.receive(self.found)
            self.woken |= batch.woken


def _settle(
    tx: Transaction,
    caller: Caller,
    asked: Settle,
    results: Sequence[Result],
    last: bool,
    now: int,
    locks_bind: bool,
) -> _Settling:
    mapping, site = held_mapping(tx, caller, asked.mapping, asked.epoch, now)
    settling = _Settling(tx, mapping, site, now, locks_bind)
    lease = tx.leases.get(asked.lease)
    if lease is None or lease.mapping != asked.mapping:
        settling.refused = [r.path for r in results]
        return settling
    tasks = tx.tasks.get(asked.mapping, [r.path for r in results])
    ids = [t.element for t in tasks if t is not None and t.element]
    elements = tx.elements.by_id(ids)
    own = {r.element: r for rs in tx.replicas.of(ids).values() for r in rs if r.site == site.id}
    for result, task in zip(results, tasks, strict=True):
        if task is None or settles(task, asked.lease, result.gen) == "settle_stale":
            settling.refused.append(result.path)
            continue
        settling.result(task, result, elements.get(task.element), own.get(task.element))
    settling.store()
    if last:
        if tx.tasks.release(asked.lease):
            settling.woken.add(asked.mapping)
        tx.leases.close([asked.lease])
    return settling
