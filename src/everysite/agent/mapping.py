"""One mapping, worked for: held, scanned, its tasks carried out.

Owns: the tasks (of asyncio) that run for a mapping, their start after a crash and their end in order.
Must not know: other mappings, HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence

from everysite.agent.ground import Ground
from everysite.agent.rounds import Rounds
from everysite.agent.worker import Worker
from everysite.errors import SiteUnreachable
from everysite.model.site import Globals, Mapping
from everysite.observe.owed import PAGES

_log = logging.getLogger(__name__)
_FINISH = 7.0  # s for the work in hand; with the rest of the drain it stays below 10 s
_SWITCHES = (
    "enable_discovery",
    "enable_discovery_updated_files",
    "enable_discovery_deleted_files",
    "enable_discovery_packages",
)


class MappingWork:
    """Everything that goes on for one mapping."""

    def __init__(self, ground: Ground, globals: Globals, paused: bool) -> None:
        self.ground = ground
        self.rounds = Rounds(ground, globals, paused)
        count = max(1, min(ground.options.workers, PAGES))
        self.workers = [Worker(ground, page) for page in range(count)]
        self._tasks: list[asyncio.Task[None]] = []
        self._working: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._run(self.ground.holder.keep(), "hold")
        self._run(self.ground.health.run(), "health")
        self._run(self._begin(), "begin")

    def configure(self, mapping: Mapping, globals: Globals, paused: bool) -> None:
        """Live changes that need no new start."""
        anew = opened(self.ground.mapping, mapping)
        self.ground.mapping = mapping
        self.rounds.configure(globals, paused, anew)

    async def stop(self) -> None:
        """Finish or release what is in hand, then give the mapping back."""
        for worker in self.workers:
            worker.drain()
        self.rounds.stop()
        if self._working:
            await asyncio.wait(self._working, timeout=_FINISH)
        self.ground.stop.set()
        await _cancel([*self._working, *self._tasks])
        await self.ground.holder.let_go()

    async def _begin(self) -> None:
        """What a crash left behind is put in order before anything new is begun."""
        while True:
            try:
                gone = await self.ground.journal.recover()
                break
            except SiteUnreachable as err:
                self.ground.health.ill(err)
                await self.ground.health.well()
        if gone:
            _log.info("%s: %d unfinished files of an earlier run were removed", self.ground.site, gone)
        self._run(self.rounds.run(), "scans")
        for number, worker in enumerate(self.workers):
            self._working.append(asyncio.create_task(worker.run(), name=f"{self.ground.site} worker {number}"))
            self._working[-1].add_done_callback(_complain)

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"{self.ground.site} {name}")
        task.add_done_callback(_complain)
        self._tasks.append(task)


def opened(old: Mapping, new: Mapping) -> bool:
    """Whether a discovery switch was switched on: what the tracker refused until now, it takes from now on."""
    on = any(getattr(new.policy, switch) and not getattr(old.policy, switch) for switch in _SWITCHES)
    return on or (old.direction == "receive" and new.direction != "receive")


def _complain(task: asyncio.Task[None]) -> None:
    """A task that died of something nobody expected must not die silently."""
    if not task.cancelled() and task.exception() is not None:
        _log.error("%s stopped", task.get_name(), exc_info=task.exception())


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):  # what it died of was logged by _complain
            await task
