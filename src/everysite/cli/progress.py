"""Live progress: files, bytes, rate and ETA on a terminal; a plain line now and then otherwise.

Owns: the rate of the last seconds and how the figures are drawn. Must not know: where the figures come from.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from everysite.cli.output import duration, printable, size

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_WINDOW = 5.0  # s over which a rate is taken
_PLAIN_EVERY = 1.0  # s between two plain lines
_PLAIN_STILL = 10.0  # s between them while nothing moves


class Bar(NamedTuple):
    """One line: `done` of `total` files (and bytes); `note` is a word or two."""

    name: str
    done: int
    total: int
    size: int
    note: str = ""


class Progress:
    """Draws bars while the block is open. `update` as often as there are figures."""

    def __init__(self, title: str, quiet: bool = False) -> None:
        self._title = title
        self._quiet = quiet
        self._seen: deque[tuple[float, int, int]] = deque()
        self._last_line = time.monotonic()  # a wait of less than a second needs no line
        self._last_bars: tuple[Bar, ...] = ()
        self._live: Live | None = None

    def update(self, bars: Sequence[Bar]) -> None:
        """Show these figures, all bars together being the work to be done."""
        now = time.monotonic()
        files, count = sum(bar.done for bar in bars), sum(bar.size for bar in bars)
        self._seen.append((now, files, count))
        while self._seen[0][0] < now - _WINDOW:
            self._seen.popleft()
        if self._quiet:
            return
        if sys.stdout.isatty():
            self._draw(bars)
        elif now - self._last_line >= (_PLAIN_EVERY if tuple(bars) != self._last_bars else _PLAIN_STILL):
            self._last_line, self._last_bars = now, tuple(bars)
            shown = "  ".join(f"{bar.name} {bar.done}/{bar.total}" for bar in bars)
            print(f"  {shown}  {self.pace(bars)}", flush=True)

    def pace(self, bars: Sequence[Bar]) -> str:
        """Rate of the last seconds and the time left at that rate."""
        began, files, count = self._seen[0]
        now, files_now, count_now = self._seen[-1]
        passed = now - began
        if passed <= 0 or files_now <= files:
            return "..."
        rate = (files_now - files) / passed
        left = sum(max(0, bar.total - bar.done) for bar in bars)
        moved = f"{rate:,.0f} files/s  {size(max(0, count_now - count) / passed)}/s"
        return f"{moved}  ETA {duration(left / rate)}" if left else moved

    def _draw(self, bars: Sequence[Bar]) -> None:
        from rich.live import Live

        if self._live is None:
            self._live = Live(transient=True, refresh_per_second=10)
            self._live.start()
        self._live.update(self._table(bars))

    def _table(self, bars: Sequence[Bar]) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for bar in bars:
            drawn = ProgressBar(total=max(bar.total, 1), completed=min(bar.done, max(bar.total, 1)), width=30)
            figures = f"{bar.done:,}/{bar.total:,} files"
            table.add_row(f"  {printable(bar.name)}", drawn, figures, size(bar.size), printable(bar.note))
        table.add_row("", f"{self._title}", self.pace(bars))
        return table

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
