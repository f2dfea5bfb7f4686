"""A tracker and agents as processes, driven through the same verbs a person uses.

Owns: starting them, asking the tracker, the memory they took. Must not know: what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from everysite.cli.children import Child, Children
from everysite.client import Client
from everysite.tracker.contract import JOIN_TOKEN, PUT_SITE, STATUS
from everysite.tracker.messages import Named, Nothing, SiteChange, SiteStatus

T = TypeVar("T")
_START = 20.0  # s


class Household:
    """Processes below one folder; ended when the block is left."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._home = work / "home"
        self._children = Children(work / "logs")
        self.tracker = self._children.start("tracker", ["up", "--home", str(self._home), "--port", "0"])
        self._reach = self._wait_for_reach()
        self.agents: dict[str, Child] = {}

    @property
    def port(self) -> int:
        """Of the tracker."""
        return int(self._reach["url"].rpartition(":")[2])

    @property
    def token(self) -> str:
        """Its administrator's."""
        return self._reach["token"]

    def __enter__(self) -> Household:
        return self

    def __exit__(self, *_: object) -> None:
        self._children.stop()

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Run one conversation with the tracker, as its administrator."""

        async def talk() -> T:
            async with Client(self._reach["url"], self._reach["token"]) as client:
                return await question(client)

        return asyncio.run(talk())

    def site(self, name: str, folder: Path, **keys: object) -> None:
        """A site with an agent of its own that joins over HTTP."""
        folder.mkdir(parents=True, exist_ok=True)
        self.ask(lambda client: client.call(PUT_SITE, SiteChange(name, create=True, keys=dict(keys))))
        token = self.ask(lambda client: client.call(JOIN_TOKEN, Named(name))).token
        state = str(self._work / f"agent-{name}")
        words = ["join", self._reach["url"], "-", str(folder), "--state", state]
        self.agents[name] = self._children.start(name, words, secret=token)

    def status(self, name: str) -> SiteStatus:
        """How one site stands."""
        sites = self.ask(lambda client: client.call(STATUS, Nothing())).sites
        return next(site for site in sites if site.name == name)

    def until(self, done: Callable[[], bool], every: float = 0.05, most: float = 600.0) -> None:
        """Look again and again; AssertionError when it takes too long or a process died."""
        end = time.monotonic() + most
        while not done():
            self._children.check()
            assert time.monotonic() < end, f"not done after {most:.0f} s; {self._children.tails()}"
            time.sleep(every)

    def memory(self) -> dict[str, float]:
        """Most MB that each process held at one time."""
        found = {"tracker MB": _peak(self.tracker)}
        return found | {f"{name} MB": _peak(child) for name, child in self.agents.items()}

    def _wait_for_reach(self) -> dict[str, str]:
        path, end = self._home / "run" / "tracker.json", time.monotonic() + _START
        while not path.exists():
            self._children.check()
            assert time.monotonic() < end, self._children.tails()
            time.sleep(0.02)
        reach: dict[str, str] = json.loads(path.read_text())
        return reach


def _peak(child: Child) -> float:
    text = Path(f"/proc/{child.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


def files_in(folder: Path) -> int:
    """How many files lie there whole; cheaper than asking the tracker."""
    return sum(len([f for f in files if not f.startswith(".everysite")]) for _, _, files in os.walk(folder))
