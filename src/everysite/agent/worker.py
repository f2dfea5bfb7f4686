"""Claimed work carried out, one bundle after the other.

Owns: the loop of one worker: claim, carry out by kind, settle; what a failure of the folder, of the tracker or of the
lease means for it.
Must not know: how a kind is carried out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from everysite.agent.arrival import failure
from everysite.agent.bundle import Bundle, folders_of
from everysite.agent.errands import Errands, Show
from everysite.agent.ground import Ground
from everysite.agent.packages import Packages
from everysite.agent.unsettled import clear_up, make_up
from everysite.errors import Cancelled, EverysiteError, SiteUnreachable, StaleLease, Transient
from everysite.model.path import is_package
from everysite.tracker.agent_messages import Check, Claim, Claimed, Job, Result, Settle
from everysite.tracker.contract import CHECK, CLAIM, SETTLE

_log = logging.getLogger(__name__)
_PAUSE = 1.0  # s after a call that failed
_DOUBT_MS = 1000  # while something is to be cleared up as soon as nothing is to be done
_BUSY = 0.05  # s between two claims that gave nothing although the tracker did not wait


class Worker:
    """One of the workers of a mapping; `page` is its page of the journal."""

    def __init__(self, ground: Ground, page: int) -> None:
        self._ground, self._page = ground, page
        self._errands = Errands(ground)
        self._packages = Packages(ground)
        self._draining = asyncio.Event()
        self._waiting: asyncio.Task[Claimed] | None = None
        self._owes = True  # a former run may have ended before its settle
        self._doubts = False
        self.settled = 0

    def drain(self) -> None:
        """Finish what is in hand and end."""
        self._draining.set()
        if self._waiting is not None:
            self._waiting.cancel()

    async def run(self) -> None:
        """Work until drained or cancelled."""
        while not self._draining.is_set():
            await self._ground.health.well()
            epoch = await self._ground.holder.held()
            try:
                if self._owes:
                    self._doubts = await make_up(self._ground, self._page, epoch)
                    self._owes = False
                claimed = await self._claim(epoch)
                if claimed is not None and claimed.lease:
                    await self._work(claimed, epoch)
                elif self._doubts:
                    self._doubts = not await clear_up(self._ground, self._page)
            except StaleLease as err:
                _log.info("%s: %s", self._ground.site, err)
                self._ground.holder.lose(epoch)
            except Transient as err:
                _log.debug("%s: %s", self._ground.site, err)
                await asyncio.sleep(_PAUSE)
            except EverysiteError as err:
                _log.warning("%s: %s", self._ground.site, err)
                await asyncio.sleep(_PAUSE)

    async def _claim(self, epoch: int) -> Claimed | None:
        options = self._ground.options
        wait_ms = min(options.wait_ms, _DOUBT_MS) if self._doubts else options.wait_ms
        claim = Claim(self._ground.mapping.id, epoch, options.bundle_files, options.bundle_bytes, wait_ms)
        began = asyncio.get_running_loop().time()
        self._waiting = asyncio.create_task(self._ground.link.call(CLAIM, claim))
        try:
            claimed = await self._waiting
        except asyncio.CancelledError:
            if self._draining.is_set() and self._waiting.cancelled():
                return None
            raise
        finally:
            self._waiting = None
        if not claimed.lease and asyncio.get_running_loop().time() - began < _BUSY:
            await asyncio.sleep(_BUSY)
        return claimed

    async def _work(self, claimed: Claimed, epoch: int) -> None:
        """Carry a claim out and settle it. Raises StaleLease, Transient."""
        gate = self._ground.gate
        self._ground.holder.open(claimed.lease)
        try:
            async with gate.alone() if any(job.kind == "move" for job in claimed.jobs) else gate.together():
                await self._work_inside(claimed, epoch)
        finally:
            self._ground.holder.close(claimed.lease)

    async def _work_inside(self, claimed: Claimed, epoch: int) -> None:
        results: list[Result] = []
        fault: EverysiteError | None = None
        try:
            await self._carry_out(claimed, epoch, results)
        except SiteUnreachable as err:
            # Of our own folder: whatever is not done yet waits, without a try counted, until a probe succeeds.
            self._ground.health.ill(err)
            named = {result.path for result in results}
            results += [failure(job, err) for job in claimed.jobs if job.path not in named]
        except Cancelled:
            pass  # what is not named waits again
        except EverysiteError as err:
            fault = err  # what was done before it counts
        self._owes = True
        looks = self._errands.take_looks()
        refused = await self._settle(claimed.lease, epoch, results)
        await self._errands.note(looks, refused)
        if any(job.kind == "present" for job in claimed.jobs):
            await self._ground.journal.settled(self._page)
        self._owes = False
        if fault is not None:
            raise fault

    async def _carry_out(self, claimed: Claimed, epoch: int, results: list[Result]) -> None:
        """Adds results as they come, so that what was done counts whatever fails after it."""

        async def show(job: Job) -> None:
            check = Check(self._ground.mapping.id, epoch, claimed.lease, [(job.path, job.gen)])
            if (await self._ground.link.call(CHECK, check)).refused:
                raise StaleLease(f"{job.path}: something newer is wished by now")
            self._ground.holder.show(claimed.lease, epoch)

        for kind, jobs in _runs(claimed.jobs):
            if kind == "present":
                bundle = Bundle(self._ground, claimed, epoch, self._page)
                results += await bundle.carry_out(jobs)
            elif kind == "inspect":
                results += await self._errands.inspect(jobs)
            else:
                for job in jobs:
                    results.append(await self._one(kind, job, claimed, show))

    async def _one(self, kind: str, job: Job, claimed: Claimed, show: Show) -> Result:
        try:
            if kind == "package":
                folders = folders_of(claimed.places, self._ground.host)
                return await self._packages.carry_out(job, claimed, show, folders)
            if kind == "absent":
                return await self._errands.absent(job, show)
            return await self._errands.move(job, show)
        except StaleLease as err:
            self._ground.holder.show(claimed.lease, self._ground.holder.epoch)  # the whole lease over ends the bundle
            return failure(job, err)

    async def _settle(self, lease: int, epoch: int, results: Sequence[Result]) -> list[str]:
        """Tell how work ended; while the tracker is away, for as long as the lease is ours. Answers what was refused."""
        settle = Settle(self._ground.mapping.id, epoch, lease, list(results))
        while True:
            try:
                refused = (await self._ground.link.call(SETTLE, settle)).refused
            except Transient:
                self._ground.holder.show(lease, epoch)
                await asyncio.sleep(_PAUSE)
                continue
            break
        self.settled += len(results) - len(refused)
        self._report(results)
        return refused

    def _report(self, results: Sequence[Result]) -> None:
        failed = [result for result in results if not result.ok and result.exit_code not in (0, 20)]
        if failed:
            text = "\n".join(result.text for result in failed[-20:])
            self._ground.reporter.ended("reception", failed[-1].exit_code, text)
        elif results:
            self._ground.reporter.ended("reception", 0)


def _runs(jobs: Sequence[Job]) -> list[tuple[str, list[Job]]]:
    """Jobs of one kind that follow one another; a package is a kind of its own."""
    runs: list[tuple[str, list[Job]]] = []
    for job in jobs:
        kind = "package" if is_package(job.path) and job.kind != "move" else job.kind
        if not runs or runs[-1][0] != kind:
            runs.append((kind, []))
        runs[-1][1].append(job)
    return runs
