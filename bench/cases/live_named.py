"""100 changed files among 200,000 whose names are known, inside running agents: from the wish to equal trees.

A tracker and two agents run and are in sync. Timed: one request that names the files, until the last one is there.
rsync, as the peer, walks both trees.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from bench import copiers, trees
from bench.household import Household
from bench.measure import Contestant, Setting, Table, rounds
from bench.resync import Resync
from everysite.client import Client
from everysite.tracker.contract import HEALTH, UPDATE
from everysite.tracker.messages import Items, Nothing


def run(setting: Setting) -> Table:
    """The wish is one UPDATE of `file_mtime` for all names."""
    resync = Resync(setting, 100)
    target = setting.work / "target-live"
    peers = {name: copier for name, copier in copiers.peers(mirroring=True).items() if name.startswith("rsync")}
    others = [resync.contestant(name, copier) for name, copier in peers.items()] if setting.peers else []
    with Household(setting.work / "house") as household:
        household.site("montreal", target, enableScans=False, sleepBetweenScans=3600)
        household.site("paris", resync.source, sleepBetweenScans=3600)
        household.until(lambda: household.status("montreal").files >= resync.files, 0.2)
        live = _Live(household, resync, target)
        rows = rounds([Contestant("everysite", live.wish, live.before, live.check), *others], setting)
        rows[0].seconds = live.seconds
        rows[0].values = household.memory()
    return Table(f"100 changed and named among {resync.files:,} files, in running agents", rows)


class _Live:
    """The running pair: edits made for the peers since the last round are brought over first, outside of the time."""

    def __init__(self, household: Household, resync: Resync, target: Path) -> None:
        self._household, self._resync, self._target = household, resync, target
        self.seconds: list[float] = []

    def before(self) -> None:
        self._bring(trees.names(self._resync.source))
        self._resync.edit()

    def wish(self) -> None:
        self.seconds.append(self._bring(self._resync.list.read_text().split()))

    def check(self) -> None:
        trees.same(self._resync.source, self._target)

    def _bring(self, names: list[str]) -> float:
        """Tell those that differ; seconds until they are all there."""
        there = [name for name in names if not _equal(self._resync.source / name, self._target / name)]
        items = [{"_id": f"/{name}", "file_mtime": time.time_ns() // 1_000_000} for name in there]

        async def tell(client: Client) -> float:
            await client.call(HEALTH, Nothing())  # the connection is there before the wish is
            start = time.perf_counter()
            await client.call(UPDATE, Items(list(items)))
            waiting = list(there)
            while waiting:
                waiting = [name for name in waiting if not _equal(self._resync.source / name, self._target / name)]
                assert time.perf_counter() - start < 60, f"{len(waiting)} files did not come"
                await asyncio.sleep(0.0005)
            return time.perf_counter() - start

        return self._household.ask(tell) if items else 0.0


def _equal(one: Path, other: Path) -> bool:
    try:
        a, b = os.stat(one), os.stat(other)
    except FileNotFoundError:
        return False
    return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)
