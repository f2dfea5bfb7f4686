"""What a person, or a program, sees of a running copy.

Owns: the live line on a terminal, the JSON lines, the last line. Must not know: how anything is copied.

Events come in the thread that runs the copy. rich is imported only when standard error is a terminal.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from everysite.cli.output import duration, printable, size
from everysite.model.path import to_text
from everysite.transfer.tree_job import FAILED, NOTE, PROGRESS, TOTAL, WOULD, Event

if TYPE_CHECKING:
    from rich.progress import Progress as Live

    from everysite.transfer.tree import Summary

_JSON_EVERY = 1.0  # seconds between progress lines for programs
_LIVE_AFTER = 0.5  # seconds; a shorter run shows its last line only


class Progress:
    """Hears the events of one copy."""

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self._json = as_json
        self._quiet = quiet
        self._began = time.monotonic()
        self._said = self._began
        self._files = self._bytes = self._of_files = self._of_bytes = 0
        self._live: Live | None = None
        self._terminal = sys.stderr.isatty() and not as_json and not quiet

    def hear(self, event: Event) -> None:
        """Take one event of `transfer.tree_job`."""
        kind = event[0]
        if kind == PROGRESS:
            self._advance(event)
        elif kind == TOTAL:
            assert isinstance(event[1], int) and isinstance(event[2], int)
            self._of_files, self._of_bytes = event[1], event[2]
        elif kind == FAILED:
            self._say("error", event, "path", "reason", f"everysite copy: {_text(event[1]) or '.'}: {_text(event[2])}")
        elif kind == NOTE:
            self._say("note", event, "path", "text", f"everysite copy: {_text(event[1])}: {_text(event[2])}")
        elif kind == WOULD:
            self._would(_text(event[1]), _text(event[2]))

    def finish(self, summary: Summary) -> None:
        """The last line."""
        if self._live is not None:
            self._live.stop()
        seconds = time.monotonic() - self._began
        if self._json:
            self._line({"event": "summary", **summary._asdict(), "seconds": round(seconds, 3)})
        elif not self._quiet:
            print(_sentence(summary, seconds), flush=True)

    def _advance(self, event: Event) -> None:
        assert isinstance(event[1], int) and isinstance(event[2], int)
        self._files += event[1]
        self._bytes += event[2]
        now = time.monotonic()
        if self._terminal and now - self._began > _LIVE_AFTER:
            self._show()
        elif self._json and now - self._said > _JSON_EVERY:
            self._said = now
            rate = self._bytes / max(now - self._began, 0.001)
            left = max(0, self._of_bytes - self._bytes) / rate if rate else None
            state = {"files": self._files, "of_files": self._of_files, "bytes": self._bytes, "of_bytes": self._of_bytes}
            self._line({"event": "progress", **state, "bytes_per_second": round(rate), "seconds_left": left})

    def _show(self) -> None:
        if self._live is None:
            self._live = _live_line()
            self._live.add_task("copy", total=self._of_bytes or None, files="")
            self._live.start()
        files = f"{self._files:,} of {self._of_files:,} files"
        self._live.update(self._live.task_ids[0], completed=self._bytes, files=files)

    def _say(self, word: str, event: Event, first: str, second: str, line: str) -> None:
        if self._json:
            self._line({"event": word, first: _text(event[1]), second: _text(event[2])})
        elif word == "error" or not self._quiet:
            line = printable(" ".join(line.split()))
            if self._live is not None:
                self._live.console.print(line, markup=False, highlight=False)
            else:
                print(line, file=sys.stderr, flush=True)

    def _would(self, action: str, path: str) -> None:
        if self._json:
            self._line({"event": "would", "action": action, "path": path})
        else:
            print(f"{action} {printable(path) or '.'}")

    def _line(self, value: dict[str, Any]) -> None:
        import json

        print(json.dumps(value, ensure_ascii=False), flush=True)


def _text(value: object) -> str:
    return to_text(value) if isinstance(value, bytes) else str(value)


def _live_line() -> Live:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.fields[files]}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Bar(*columns, console=Console(stderr=True), transient=True)


def _sentence(summary: Summary, seconds: float) -> str:
    parts = [f"{summary.copied:,} of {summary.files:,} files copied, {size(summary.copied_bytes)}"]
    for number, word in (
        (summary.renamed, "renamed"),
        (summary.deleted, "deleted"),
        (summary.left_out, "left out"),
        (summary.failed, "failed"),
    ):
        if number:
            parts.append(f"{number:,} {word}")
    end = f"{seconds:.2f} s" if seconds < 60 else duration(seconds)
    return ("interrupted: " if summary.stopped else "") + ", ".join(parts) + f", {end}"
