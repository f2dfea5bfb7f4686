"""100,000 files of 1-4 KB found by a scan at one site, until they are whole and settled at another one.

A tracker and two agents, each a process of its own, one host. The peer copies the same tree.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from bench import copiers, trees
from bench.household import Household
from bench.measure import Contestant, Setting, Table, rounds

_FILES = 100_000


def run(setting: Setting) -> Table:
    """Timed from the moment the second site is added to a tracker that knows the first one's files, plus its scan before."""
    files = setting.count(_FILES)
    source = setting.work / "source"
    trees.make(source, files, setting.count(1_000), 1024, 4096)
    memory: dict[str, float] = {}
    numbers = itertools.count()
    current: list[Path] = []

    def fresh() -> None:
        current[:] = [setting.work / f"round{next(numbers)}"]
        (current[0] / "target").mkdir(parents=True)

    def publish() -> None:
        with Household(current[0]) as household:
            household.site("montreal", current[0] / "target")
            household.site("paris", source)
            household.until(lambda: household.status("montreal").files >= files, 0.1)
            for name, value in household.memory().items():
                memory[name] = max(value, memory.get(name, 0.0))

    def check() -> None:
        trees.same(source, current[0] / "target")

    contestants = [Contestant("everysite", publish, fresh, check)]
    if setting.peers:
        peers = copiers.peers()
        contestants += [
            Contestant(name, lambda c=copier: c(source, current[0] / "target"), fresh, check)  # type: ignore[misc]
            for name, copier in peers.items()
        ]
    rows = rounds(contestants, setting)
    rows[0].values = memory
    title = (
        f"Publish of {files:,} files by scan, through a tracker, to one other site (start of all processes included)"
    )
    return Table(title, rows, rate=("files/s", files))
