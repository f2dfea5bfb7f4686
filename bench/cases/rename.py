"""A folder of 5,000 files of 100 KB gets another name."""

from __future__ import annotations

import os

from bench import copiers, trees
from bench.measure import Contestant, Setting, Table, rounds


def run(setting: Setting) -> Table:
    """Nobody has to move a byte; who does is seen by the time."""
    files = setting.count(5_000)
    source = setting.work / "source"
    trees.make(source / "name-0" / "tree", files, setting.count(50), 100_000, 100_000)
    everybody = {"everysite": copiers.everysite(setting.work / "state")}
    if setting.peers:
        everybody |= copiers.peers(mirroring=True)
    contestants = [_contestant(setting, name, copier) for name, copier in everybody.items()]
    return Table(f"Rename of a folder of {files:,} files of 100 KB", rounds(contestants, setting))


def _contestant(setting: Setting, name: str, copier: copiers.Copier) -> Contestant:
    source, target = setting.work / "source", setting.work / f"target-{name.split(maxsplit=1)[0]}"
    trees.clear(target)

    def before() -> None:
        copier(source, target)
        (old,) = os.listdir(source)
        os.rename(source / old, source / f"name-{int(old[5:]) + 1}")

    return Contestant(name, lambda: copier(source, target), before, lambda: trees.same(source, target))
