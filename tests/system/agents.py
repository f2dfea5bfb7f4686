"""Joined agents as processes, for the tests of whole systems.

Owns: starting and ending one, waiting for something to become true. Must not know: what is tested.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.processes import Up, environment


class Agent:
    """`everysite join` or `agent` as a process, without the powers of root: what is forbidden is forbidden to it."""

    def __init__(self, folder: Path, *words: str, stdin: str = "") -> None:
        self.log = folder / f"{words[0]}-{time.monotonic_ns()}.log"
        command = ["setpriv", "--bounding-set=-all", sys.executable, "-m", "everysite", *words]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, env=environment(folder)
            )
        assert self.process.stdin is not None
        self.process.stdin.write(stdin.encode() + b"\n")
        self.process.stdin.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)


def joined(up: Up, folder: Path, name: str, *keys: str) -> Agent:
    """A site whose agent is a process of its own; its files lie in `folder/name`, its state in `folder/state-name`."""
    root = folder / name
    root.mkdir(exist_ok=True)
    words = [word for key in keys for word in ("--set", key)]
    answer = up.everysite.json("site", "add", name, *words)
    state = str(folder / f"state-{name}")
    return Agent(folder, "join", answer["url"], "-", str(root), "--state", state, stdin=answer["token"])


def until(true: Callable[[], object], what: Callable[[], str]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, what()
        time.sleep(0.05)
