"""An agent of one site: its mappings worked for, its files served, its state told.

Owns: saying hello, following the configuration, starting and stopping the work of mappings.
Must not know: how many sites this process serves, HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from everysite.agent.bundle import folder_of
from everysite.agent.ground import Ground
from everysite.agent.health import Health
from everysite.agent.holding import Holder
from everysite.agent.journal import Journal
from everysite.agent.link import Line, Link, Options, patiently
from everysite.agent.mapping import MappingWork
from everysite.agent.reporting import Reporter, now_ms
from everysite.agent.serving import Server
from everysite.errors import EverysiteError, Transient
from everysite.index.contract import Index
from everysite.model.site import Mapping
from everysite.stores.contract import Store
from everysite.tracker.agent_messages import Hello, Welcome
from everysite.tracker.contract import HELLO

_log = logging.getLogger(__name__)
_SERVERS = 2  # requests for our bytes answered at the same time
_AGAIN = 5.0  # s after the tracker refused us

OpenStore = Callable[[str], Store]


class SiteAgent:
    """Works for one site from `start` to `stop`. `holder`: the agent's lasting id. `url`: its folder, told to a tracker
    that does not know one ("": the tracker does)."""

    def __init__(
        self,
        link: Link,
        site: str,
        held: Index,
        open_store: OpenStore,
        holder: str,
        host: str,
        options: Options | None = None,
        url: str = "",
    ) -> None:
        self.site = site
        self._link, self._held, self._open_store = Line(link), held, open_store
        self._holder, self._host, self._url = holder, host, url
        self._options = options or Options()
        self.reporter = Reporter(self._link, site)
        self.mappings: dict[int, MappingWork] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    def start(self) -> None:
        """Begin in the background: nothing is raised here, the tracker may come later."""
        server = Server(self._link, self.site, self._grounds, self.reporter)
        works = [self._follow(), self.reporter.run(), *(server.run(self._options.wait_ms) for _ in range(_SERVERS))]
        self._tasks = [asyncio.create_task(work, name=self.site) for work in works]

    def configuration_changed(self) -> None:
        """Somebody edited sites or global parameters: look again."""
        self._changed.set()

    def scan_now(self) -> None:
        """Scan all mappings at once rather than when their pause is over."""
        for work in self.mappings.values():
            work.rounds.wake()

    async def stop(self) -> None:
        """Finish or release what is in hand and say good-bye; takes less than 10 s."""
        follow, *others = self._tasks
        await _cancelled(follow)
        await asyncio.gather(*(work.stop() for work in self.mappings.values()))
        for task in others:
            await _cancelled(task)
        self.reporter.tell({"agentStatus": "off", "lastConnectionStatusChange": now_ms()})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self.reporter.flush()

    def _grounds(self) -> list[Ground]:
        return [work.ground for work in self.mappings.values() if work.ground.mapping.sends]

    async def _follow(self) -> None:
        """Say hello, set up, and again whenever the configuration changes."""
        hello = Hello(self.site, self._host, self._options.version, self._url)
        while True:
            self._changed.clear()
            try:
                await self._set_up(await patiently(self._link, HELLO, hello))
            except EverysiteError as err:
                _log.error("%s cannot be served: %s", self.site, err)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _AGAIN)
                continue
            await self._changed.wait()

    async def _set_up(self, welcome: Welcome) -> None:
        wanted = {mapping.id: mapping for mapping in welcome.mappings}
        for number, work in list(self.mappings.items()):
            mapping = wanted.get(number)
            if mapping is None or _elsewhere(mapping, work.ground.mapping):
                del self.mappings[number]
                await work.stop()
        for number, mapping in wanted.items():
            if number in self.mappings:
                self.mappings[number].configure(mapping, welcome.globals, welcome.paused)
            else:
                self._add(mapping, welcome)

    def _add(self, mapping: Mapping, welcome: Welcome) -> None:
        root = folder_of(mapping.url)
        if root is None:
            raise Transient(
                f"{self.site} has no folder yet ({mapping.url or 'no url'}); set it with: everysite site set"
            )
        health = Health(self._open_store(mapping.url), self.reporter, self._options.probe_seconds)
        ground = Ground(
            self.site, mapping, root, self._host, self._link, self._held,
            Holder(self._link, mapping.id, self._holder), health, Journal(self._held, mapping.id, root),
            self.reporter, self._options,
        )  # fmt: skip
        work = MappingWork(ground, welcome.globals, welcome.paused)
        self.mappings[mapping.id] = work
        work.start()


def _elsewhere(one: Mapping, other: Mapping) -> bool:
    """Whether the work has to start anew."""
    return (one.url, one.prefix) != (other.url, other.prefix)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
