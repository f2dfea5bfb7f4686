"""A tracker and three agents as real processes, for the demo.

Owns: starting them through the verbs everybody uses, pausing a site, and waiting until trees are equal.
Must not know: what is done to the trees meanwhile, and how it is told.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from everysite.cli.children import Child, Children, command
from everysite.cli.private import read_private
from everysite.cli.progress import Bar, Progress
from everysite.cli.reach import Place, connect, run_file
from everysite.cli.trees import look
from everysite.errors import EverysiteError

if TYPE_CHECKING:
    from everysite.client import Client
    from everysite.tracker.messages import SiteStatus, Status

SITES = ("paris", "montreal", "tokyo")
_KEYS = ("sleepBetweenScans=0.5", "propagateDeletes=true")  # a demo that scans every minute would be a dull one
_LOOK = 0.15  # s between two looks at the status
_STALLED = 60.0  # s without any change in the figures before the demo gives up


class Showcase:
    """The parts below one home: tracker, three sites, three agents, their logs."""

    def __init__(self, home: Path) -> None:
        """The three folders exist afterwards; nothing runs yet."""
        self.files = 0  # what every site should have in the end
        self._home = home
        self._children = Children(home / "logs")
        self._client: Client | None = None
        self._began = time.monotonic()
        self._full: dict[str, tuple[int, float]] = {}  # site -> (files, seconds) when it first had all of them
        for site in SITES:
            self.folder(site).mkdir(parents=True, exist_ok=True)

    def folder(self, site: str) -> Path:
        """Where a site keeps its files."""
        return self._home / "sites" / site

    async def start_tracker(self) -> str:
        """Its address, once it answers. Raises ChildDied."""
        home = self._home / "tracker"
        words = ["up", "--home", str(home), "--host", "127.0.0.1", "--port", "0"]
        child = self._children.start("tracker", words, environ={"EVERYSITE_ADMIN_PASSWORD": secrets.token_urlsafe(15)})
        until = time.monotonic() + _STALLED
        while not (found := read_private(run_file(home))):
            self._children.check()
            if time.monotonic() > until:
                raise _silent(child)
            await asyncio.sleep(0.02)
        self._client = connect(Place(found["url"], found["token"], found.get("fingerprint", "")))
        await self._client.__aenter__()
        return str(found["url"])

    async def start_sites(self) -> None:
        """Add the sites and start their agents, as a person on three machines would."""
        added = await asyncio.gather(*(asyncio.to_thread(self._add, site) for site in SITES))
        self._began = time.monotonic()
        for site, answer in zip(SITES, added, strict=True):
            words = ["join", answer["url"], "-", str(self.folder(site)), "--state", str(self._home / "agents" / site)]
            self._children.start(site, words, secret=answer["token"])

    def _add(self, site: str) -> dict[str, Any]:
        keys = [word for key in _KEYS for word in ("--set", key)]
        words = ["site", "add", site, "--home", str(self._home / "tracker"), "--json", *keys]
        done = subprocess.run(command(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EverysiteError(f"'everysite site add {site}' ended with {done.returncode}: {done.stderr.strip()}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    async def pause(self, site: str) -> None:
        """The site does nothing until `resume`."""
        await self._set_paused(site, True)

    async def resume(self, site: str) -> None:
        await self._set_paused(site, False)

    async def _set_paused(self, site: str, paused: bool) -> None:
        from everysite.tracker.contract import PUT_SITE
        from everysite.tracker.messages import SiteChange

        assert self._client is not None
        await self._client.call(PUT_SITE, SiteChange(site, paused=paused))

    async def wait_until_some(self, share: float) -> None:
        """Until the last site has this share of the files."""
        with Progress("copying") as progress:
            await self._watch(progress, SITES, lambda status: _files(status, SITES[-1]) >= share * self.files)

    async def wait_until_equal(self, sites: Sequence[str] = SITES) -> None:
        """Until nothing waits and the trees of these sites have the same names, sizes and times."""
        with Progress("copying") as progress:
            await self._watch(progress, sites, lambda status: _idle(status, sites) and self._alike(sites))

    def _alike(self, sites: Sequence[str]) -> bool:
        first = look(self.folder(sites[0]))
        return len(first) == self.files and all(look(self.folder(site)) == first for site in sites[1:])

    async def _watch(self, progress: Progress, sites: Sequence[str], done: Callable[[Status], bool]) -> None:
        """Poll the status until `done`. Raises ChildDied, or EverysiteError when nothing moves for a minute."""
        from everysite.tracker.contract import STATUS
        from everysite.tracker.messages import Nothing

        assert self._client is not None
        before, moved = "", time.monotonic()
        while True:
            self._children.check()
            status = await self._client.call(STATUS, Nothing())
            self._note(status)
            progress.update([Bar(s.name, s.files, self.files, s.bytes, _note(s)) for s in status.sites])
            if await asyncio.to_thread(done, status):
                return
            figures = repr([(s.files, s.bytes, s.waiting, s.outdated, s.failed) for s in status.sites])
            if figures != before:
                before, moved = figures, time.monotonic()
            if time.monotonic() - moved > _STALLED:
                raise EverysiteError(f"nothing has moved for {_STALLED:.0f} s: {_stand(status, sites, self.files)}")
            await asyncio.sleep(_LOOK)

    def _note(self, status: Status) -> None:
        for site in status.sites:
            if site.files >= self.files > 0 and site.name not in self._full:
                self._full[site.name] = (site.files, time.monotonic() - self._began)

    def rate(self, site: str) -> int:
        """Files/s from the start of the agents until the site first had all files."""
        files, seconds = self._full.get(site, (0, 1.0))
        return round(files / max(seconds, 0.001))

    def tails(self) -> str:
        """The last lines of every log."""
        return self._children.tails()

    async def __aenter__(self) -> Showcase:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.__aexit__(kind, err, trace)
        self._children.stop()


def _silent(child: Child) -> EverysiteError:
    return EverysiteError(f"the {child.name} did not answer within {_STALLED:.0f} s; see its log above")


def _files(status: Status, site: str) -> int:
    return sum(each.files for each in status.sites if each.name == site)


def _idle(status: Status, sites: Sequence[str]) -> bool:
    return not any(s.waiting or s.running or s.outdated for s in status.sites if s.name in sites)


def _note(site: SiteStatus) -> str:
    if site.paused:
        return "paused"
    return site.problem or (f"{site.failing} to be tried again" if site.failing else "")


def _stand(status: Status, sites: Sequence[str], files: int) -> str:
    """One clause a site, for when it does not go on."""
    return "; ".join(
        f"{s.name} has {s.files} of {files} files, {s.waiting} waiting, {s.failed} failed{': ' if s.problem else ''}{s.problem}"
        for s in status.sites
        if s.name in sites
    )
