"""First copy of 50,000 files of 1-16 KB in 500 folders into an empty folder.

On a disk the targets are kept until the end: on ext4, making files is 4-14 times slower right after as many were deleted.
In memory they are removed, since memory the system never gave out before is slow to get for everybody.
"""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

from bench import copiers, trees
from bench.measure import MEMORY, Contestant, Setting, Table, rounds


class _Fresh:
    """A copier with a new folder each time."""

    def __init__(self, copier: copiers.Copier, source: Path, targets: count[int]) -> None:
        self._copier = copier
        self._source = source
        self._targets = targets
        self._target = source

    def before(self) -> None:
        if MEMORY in self._source.parents and self._target != self._source:
            shutil.rmtree(self._target)
        self._target = self._source.with_name(f"target{next(self._targets)}")
        self._target.mkdir()

    def run(self) -> None:
        self._copier(self._source, self._target)

    def check(self) -> None:
        trees.same(self._source, self._target)


def run(setting: Setting) -> Table:
    """Every contestant gets a fresh folder each round."""
    files = setting.count(50_000)
    source = setting.work / "source"
    trees.make(source, files, setting.count(500), 1024, 16384)
    everybody = {"everysite": copiers.everysite(setting.work / "state")}
    if setting.peers:
        everybody |= copiers.peers()
    targets = count()
    contestants = []
    for name, copier in everybody.items():
        fresh = _Fresh(copier, source, targets)
        contestants.append(Contestant(name, fresh.run, fresh.before, fresh.check))
    return Table(f"First copy of {files:,} files of 1-16 KB", rounds(contestants, setting), rate=("files/s", files))
