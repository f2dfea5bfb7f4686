"""A site's own folder in trouble: work halts, the folder is probed, work goes on.

Owns: the halt and the waits between probes. Must not know: what kind of store it is, what work there is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from everysite.agent.reporting import Reporter, now_ms
from everysite.errors import EverysiteError, Forbidden, SiteUnreachable
from everysite.stores.contract import Store

_log = logging.getLogger(__name__)
_LASTING = 60.0  # s it has to work for the waits to begin anew; a file that does not fit fills the disk each time


class Health:
    """`await health.well()` before touching the folder; `health.ill(err)` when it failed."""

    def __init__(self, store: Store, reporter: Reporter, probe_seconds: Sequence[float]) -> None:
        self._store, self._reporter, self._waits = store, reporter, tuple(probe_seconds)
        self._well = asyncio.Event()
        self._well.set()
        self._ill = asyncio.Event()
        self.problem: EverysiteError | None = None
        self._tries = 0
        self._well_since = 0.0

    async def well(self) -> None:
        """Return when the folder works, as far as is known."""
        await self._well.wait()

    def ill(self, problem: EverysiteError) -> None:
        """The folder failed: everything waits until a probe succeeds."""
        if self.problem is None:
            if time.monotonic() - self._well_since > _LASTING:
                self._tries = 0
            _log.warning("work halts: %s", problem)
            self._reporter.ended("reception", problem.exit_code, str(problem), lastConnectionStatusChange=now_ms())
        self.problem = problem
        self._well.clear()
        self._ill.set()

    async def run(self) -> None:
        """Probe whenever the folder is ill, until cancelled."""
        while True:
            await self._ill.wait()
            await self._probe_until_well()
            _log.info("work goes on")
            self.problem = None
            self._well_since = time.monotonic()
            self._ill.clear()
            self._well.set()
            self._reporter.ended("reception", 0, lastConnectionStatusChange=now_ms())

    async def _probe_until_well(self) -> None:
        while True:
            await asyncio.sleep(self._waits[min(self._tries, len(self._waits) - 1)])
            self._tries += 1
            if await self.probe():
                return

    async def probe(self) -> bool:
        """Whether the folder can be worked with now."""
        self._reporter.tell({"lastConnectionAttempt": now_ms()})
        try:
            await self._store.probe()
        except (SiteUnreachable, Forbidden) as err:
            self.problem = err
            self._reporter.tell({"error": err.exit_code, "stderr_reception": str(err)[:4096]})
            return False
        self._reporter.tell({"lastConnectionSuccess": now_ms()})
        return True
