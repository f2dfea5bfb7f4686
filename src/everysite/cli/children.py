"""Other everysite processes, started and watched by this one.

Owns: one process a part with its log file, noticing that one died, and ending all of them in order.
Must not know: what the processes do.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from everysite.errors import EverysiteError

_GRACE = 12.0  # s; a tracker or an agent ends within 10 s of SIGTERM
_TAIL = 12  # lines of a log worth showing


@dataclass(frozen=True, slots=True)
class Child:
    """A running part. `log` gets everything it prints."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self) -> str:
        """The last lines it printed."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as err:
            return f"(its log {self.log} cannot be read: {err.strerror})"
        return "\n".join(f"  | {line}" for line in lines[-_TAIL:]) or "  | (it said nothing)"


class ChildDied(EverysiteError):
    """A process ended that should have gone on."""

    code = "process-died"

    def __init__(self, child: Child) -> None:
        super().__init__(f"the process of {child.name} ended with {child.process.returncode}; see its log above")


class Children:
    """The processes of one demo. Ends them when the block is left, however it is left."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Child] = []

    def start(
        self, name: str, words: Sequence[str], secret: str = "", environ: Mapping[str, str] | None = None
    ) -> Child:
        """`everysite WORDS...` as a process of its own. `secret` is the line it reads from its standard input."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                command(words),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                start_new_session=True,  # Ctrl-C is for us alone; we end the others in order
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died already; check() tells
            process.stdin.write(secret.encode() + b"\n")
            process.stdin.close()
        child = Child(name, process, log)
        self._running.append(child)
        return child

    def check(self) -> None:
        """Raise ChildDied when one of them has ended."""
        for child in self._running:
            if child.process.poll() is not None:
                raise ChildDied(child)

    def tails(self) -> str:
        """What each of them said last."""
        return "\n".join(f"the log of {child.name} ends with\n{child.tail()}" for child in self._running)

    def stop(self) -> list[str]:
        """End all, the last one started first. Names of those that had to be killed."""
        killed: list[str] = []
        for child in reversed(self._running):
            if child.process.poll() is None:
                child.process.terminate()
        until = time.monotonic() + _GRACE
        for child in reversed(self._running):
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
                killed.append(child.name)
        self._running.clear()
        return killed

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def command(words: Sequence[str]) -> list[str]:
    """The argument vector that runs this same everysite with this same Python."""
    return [sys.executable, "-m", "everysite", *words]
