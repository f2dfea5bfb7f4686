"""The scans of one mapping, round after round.

Owns: when a scan runs, and what is reported of it. Must not know: how a scan works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading

from everysite.agent.ground import Ground
from everysite.agent.reporting import now_ms, room
from everysite.decide import filters
from everysite.disk.threads import in_thread
from everysite.errors import EverysiteError, SiteUnreachable, StaleLease, Transient
from everysite.model.path import key_of
from everysite.model.site import Globals
from everysite.observe.folder import Skip
from everysite.observe.packages import Matches
from everysite.observe.recall import recall
from everysite.observe.retell import retell
from everysite.observe.scan import scan
from everysite.observe.scanned import Scanned, describe, last_lines
from everysite.tracker.agent_messages import Announce, Announced, Recall, Recalled, SeenItem
from everysite.tracker.contract import ANNOUNCE, RECALL

_log = logging.getLogger(__name__)
_SOON = 2.0  # s until the next round when files were being written during the last one
_AGAIN = 1.0  # s after a round the tracker did not take


class Rounds:
    """Scans while `run` runs. `configure` acts with the next round, `wake` starts it at once."""

    def __init__(self, ground: Ground, globals: Globals, paused: bool) -> None:
        self._ground, self._globals, self._paused = ground, globals, paused
        self._wake = asyncio.Event()
        self._stop = threading.Event()
        self._opened = self._told = 0  # times a switch was opened, and how many of those the tracker has heard
        self.rounds = 0

    def configure(self, globals: Globals, paused: bool, opened: bool = False) -> None:
        """The configuration has changed; the mapping's own part of it is in the ground. `opened`: what the tracker
        refused until now it may take."""
        self._globals, self._paused = globals, paused
        self._opened += opened
        self._wake.set()

    def wake(self) -> None:
        """Scan now rather than later."""
        self._wake.set()

    def stop(self) -> None:
        """Let the scan that runs end at its next step."""
        self._stop.set()

    async def run(self) -> None:
        """Scan and sleep, until cancelled."""
        while True:
            self._wake.clear()
            wait: float | None = None
            if not self._paused and self._globals.enable_scans:
                await self._ground.health.well()
                wait = await self._round()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    async def _round(self) -> float:
        """One scan; how long to wait after it."""
        ground = self._ground
        epoch, opened = await ground.holder.held(), self._opened
        try:
            skip = skip_of(ground, self._globals)

            async def announce(items: list[SeenItem], first: bool) -> Announced:
                return await ground.link.call(ANNOUNCE, Announce(ground.mapping.id, epoch, items, first))

            async def ask(after: int) -> Recalled:
                return await ground.link.call(RECALL, Recall(ground.mapping.id, epoch, after))

            history = ground.holder.history
            put_back = await self._put_back(history)
            behind = put_back or opened != self._told
            if behind:
                await retell(ground.mapping, ground.held, announce, ground.turn)
            done = await scan(
                ground.root,
                ground.mapping,
                ground.held,
                announce,
                skip=skip,
                turn=ground.turn,
                stop=self._stop,
                packages=packages_of(ground),
                processes=ground.options.scan_processes,
            )
            if behind:
                await recall(ground.root, ground.mapping, ask, announce, ground.turn)
            self._told = opened
            await self._remember(history)
        except StaleLease:
            ground.holder.lose(epoch)
            return _AGAIN
        except SiteUnreachable as err:
            ground.health.ill(err)
            ground.reporter.ended("scan", err.exit_code, str(err))
            return 0
        except Transient:
            return _AGAIN
        except EverysiteError as err:
            _log.warning("%s: the scan failed: %s", ground.site, err)
            ground.reporter.ended("scan", err.exit_code, str(err))
            return self._pause
        await self._report(done)
        return min(_SOON, self._pause) if done.unsettled else self._pause

    async def _put_back(self, history: str) -> bool:
        """Whether the tracker is not the one that took what we told: an earlier state of it was put back."""
        known = await self._ground.held.read(lambda tx: tx.meta(self._history))
        if not history or known in (None, history):
            return False
        _log.info("%s: the tracker was put back to an earlier state; all is told again", self._ground.site)
        return True

    async def _remember(self, history: str) -> None:
        """Once all is told."""
        held = self._ground.held
        if history and await held.read(lambda tx: tx.meta(self._history)) != history:
            await held.run(lambda tx: tx.set_meta(self._history, history))

    @property
    def _history(self) -> str:
        return f"history:{self._ground.mapping.id}"

    @property
    def _pause(self) -> float:
        own = self._ground.mapping.policy.sleep_between_scans
        return max(0.05, self._globals.sleep_between_scans if own is None else own)

    async def _report(self, done: Scanned) -> None:
        self.rounds += 1
        ground = self._ground
        level = logging.INFO if done.counts else logging.DEBUG
        _log.log(level, "%s: %s", ground.site, describe(done))
        space = await in_thread(room, ground.root)
        now = now_ms()
        ground.reporter.ended(
            "scan", done.exit_code, last_lines(done), scan_duration=round(done.seconds, 3),
            lastConnectionAttempt=now, lastConnectionSuccess=now, **space,
        )  # fmt: skip


def packages_of(ground: Ground) -> Matches | None:
    """Which folders are packages by the site's patterns. Raises BadRequest for one nobody can read."""
    policy, prefix = ground.mapping.policy, ground.mapping.prefix
    if not (policy.enable_discovery_packages and policy.package_patterns):
        return None
    matches = filters.packages(policy.package_patterns)
    return lambda folder: matches(key_of(folder, prefix, package=True))


def skip_of(ground: Ground, globals: Globals) -> Skip | None:
    """What a scan leaves out; None when there are no patterns. Raises BadRequest for one nobody can read."""
    policy, prefix = ground.mapping.policy, ground.mapping.prefix
    includes = policy.include_pattern_rules or globals.include_pattern_rules
    excludes = (*globals.exclude_pattern_rules, *policy.exclude_pattern_rules)
    exact = (*globals.excluded_files, *policy.excluded_files)
    if not (includes or excludes or exact):
        return None
    passes = filters.compile(includes, excludes, exact)
    return lambda path, folder: not passes(key_of(path, prefix, folder))
