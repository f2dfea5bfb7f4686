"""One file of 2 GB."""

from __future__ import annotations

from functools import partial

from bench import copiers, trees
from bench.measure import Contestant, Setting, Table, rounds


def run(setting: Setting) -> Table:
    """The digest is part of everysite's time; no blocks are shared."""
    size = setting.count(2_000_000_000)
    source, target = setting.work / "source", setting.work / "target"
    source.mkdir()
    trees.make_file(source / "big.bin", size)
    everybody = {"everysite": copiers.everysite(setting.work / "state")}
    if setting.peers:
        everybody |= copiers.peers()
    contestants = [
        Contestant(
            name,
            partial(copier, source, target),
            partial(trees.clear, target),
            partial(trees.same, source, target),
        )
        for name, copier in everybody.items()
    ]
    return Table(f"One file of {size / 1e9:.1f} GB", rounds(contestants, setting), rate=("MB/s", size / 1e6))
