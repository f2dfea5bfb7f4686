"""A tree of 200,000 files that is in sync already, and what is done to it before each run.

Owns: the setting that no-change and changed-100 share. Must not know: which of them runs.
"""

from __future__ import annotations

import random
from functools import partial

from bench import copiers, trees
from bench.measure import Contestant, Setting, Table, rounds


class Resync:
    """One source, one target for each contestant, edits that all of them get."""

    def __init__(self, setting: Setting, changed: int) -> None:
        self.files = setting.count(200_000)
        self.source = setting.work / "source"
        self.list = setting.work / "names"
        self._setting = setting
        self._changed = min(changed, self.files)
        self._generation = 0
        trees.make(self.source, self.files, setting.count(2_000), 100, 1000)
        self._names = trees.names(self.source)

    def edit(self) -> None:
        """Change the picked files, and write their names down."""
        self._generation += 1
        picked = sorted(random.Random(self._generation).sample(self._names, self._changed))
        trees.edit(self.source, picked, self._generation)
        self.list.write_text("".join(name + "\n" for name in picked))

    def contestant(self, name: str, copier: copiers.Copier, first: copiers.Copier | None = None) -> Contestant:
        """A contestant with an own target that is in sync; `first` brings it there."""
        target = self._setting.work / f"target-{name.split(maxsplit=1)[0]}"
        trees.clear(target)
        (first or copier)(self.source, target)
        follow = first or copier

        def before() -> None:
            follow(self.source, target)  # edits made for the others since our last turn are none of this one's work
            self.edit()

        return Contestant(name, partial(copier, self.source, target), before, partial(trees.same, self.source, target))


def measure(setting: Setting, changed: int, named: bool, title: str) -> Table:
    """The case for a number of changed files."""
    resync = Resync(setting, changed)
    state = setting.work / "state"
    options = ("--files-from", str(resync.list)) if named else ()
    ours = resync.contestant("everysite", copiers.everysite(state, *options), copiers.everysite(state))
    contestants = [ours]
    if setting.peers:
        contestants += [resync.contestant(name, copier) for name, copier in copiers.peers(mirroring=True).items()]
    return Table(title.format(f"{resync.files:,}"), rounds(contestants, setting), rate=("files/s", resync.files))
