"""Paired measurement: every contestant once a round, every second round backwards.

Owns: Setting, Contestant, Table, the rounds, medians and ratios, the results file.
Must not know: what is measured.

A machine has slow phases. In alternating rounds they fall on all contestants alike, so only the ratio of two medians of
one run is worth quoting.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MEMORY = Path("/dev/shm")
RESULTS = Path(__file__).resolve().parent / "results"
_SETTLE = 0.2  # seconds between a sync and a measurement


@dataclass(frozen=True)
class Setting:
    """What was asked for on the command line. `work` is an empty folder of the case's own."""

    work: Path
    scale: float = 1.0
    rounds: int = 3
    peers: bool = True

    def count(self, full: int, least: int = 1) -> int:
        """A number of files and the like, scaled."""
        return max(least, round(full * self.scale))


def nothing() -> None:
    """A step that a contestant does not need."""


@dataclass(frozen=True)
class Contestant:
    """Only `run` is timed. `before` prepares a round, `check` raises AssertionError when the result is wrong."""

    name: str
    run: Callable[[], object]
    before: Callable[[], object] = nothing
    check: Callable[[], object] = nothing


@dataclass
class Row:
    """Seconds of one contestant, one a round; `values` are other numbers, medians of them are shown."""

    name: str
    seconds: list[float] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass
class Table:
    """The outcome of a case. Ratios are seconds of `of` divided by seconds of every other row."""

    title: str
    rows: list[Row]
    of: str = "everysite"
    rate: tuple[str, float] | None = None  # unit and how many of it a run handles

    def ratio(self, row: Row) -> float:
        """How much of this row's time everysite needs; below 1 everysite is faster."""
        ours = next(row for row in self.rows if row.name == self.of)
        return ours.median / row.median

    def text(self) -> str:
        """The table for people."""
        unit = self.rate[0] if self.rate else ""
        head = f"{'':24}{'median s':>10}{'min':>9}{'max':>9}{unit:>14}{self.of + ' / it':>16}"
        lines = [self.title, head]
        for row in self.rows:
            rate = f"{self.rate[1] / row.median:14,.0f}" if self.rate else " " * 14
            numbers = f"{row.median:10.3f}{min(row.seconds):9.3f}{max(row.seconds):9.3f}{rate}{self.ratio(row):16.2f}"
            extra = "  ".join(f"{key} {value:,.0f}" for key, value in row.values.items())
            lines.append(f"{row.name:24}{numbers}  {extra}".rstrip())
        return "\n".join(lines)


@dataclass(frozen=True)
class Case:
    """A case by its name on the command line."""

    name: str
    run: Callable[[Setting], Table]


def rounds(contestants: Sequence[Contestant], setting: Setting) -> list[Row]:
    """Run everybody `setting.rounds` times: A B C, C B A, ... A wrong result ends the case: its time means nothing."""
    rows = {one.name: Row(one.name) for one in contestants}
    for number in range(setting.rounds):
        for one in contestants if number % 2 == 0 else reversed(contestants):
            one.before()
            os.sync()  # what the one before left dirty must not be written in this one's time
            time.sleep(_SETTLE)
            start = time.perf_counter()
            one.run()
            seconds = time.perf_counter() - start
            one.check()
            rows[one.name].seconds.append(seconds)
            print(f"  {number + 1} {one.name:24}{seconds:9.3f} s", file=sys.stderr, flush=True)
    return list(rows.values())


def save(name: str, table: Table, setting: Setting) -> Path:
    """Keep a result as JSON under bench/results."""
    RESULTS.mkdir(exist_ok=True)
    rows = [
        {"name": row.name, "seconds": row.seconds, "median": row.median, "ratio": table.ratio(row), **row.values}
        for row in table.rows
    ]
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    body = {"case": name, "title": table.title, "scale": setting.scale, "rows": rows, "machine": machine}
    path = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(body, indent=2) + "\n")
    return path
