"""An agent process: one joined site, or all sites of the tracker's own machine.

Owns: which sites this process serves, following the configuration, and the end in order.
Must not know: how a site is worked for, which index or store it is given.

    with StateFolder(path) as state:                     # one process a state folder
        held = open_held(path)
        await run_agent(open_link, state.holder, held, store_for, stop, Options(...), site="paris", url="file:///data/")
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from everysite.agent.host import host_identity
from everysite.agent.link import Link, Options
from everysite.agent.site import OpenStore, SiteAgent
from everysite.errors import EverysiteError
from everysite.index.contract import Index
from everysite.tracker.agent_messages import MySites, Revision
from everysite.tracker.contract import MY_SITES

_log = logging.getLogger(__name__)
_WAIT_MS = 25_000
_AGAIN = 2.0  # s after the tracker could not be asked
_FILES = 65_536  # open files a process may need: folders are kept open while a bundle runs

OpenLink = Callable[[], AbstractAsyncContextManager[Link]]
"""A connection to the tracker of its own for every site: a busy one must not keep another from renewing its hold."""


async def run_agent(
    open_link: OpenLink,
    holder: str,
    held: Index,
    open_store: OpenStore,
    stop: asyncio.Event,
    options: Options | None = None,
    site: str = "",
    url: str = "",
) -> None:
    """Serve until `stop` is set; ends within 10 s after that, everything finished or released.

    `holder`: the lasting id of the state folder; `held`: the index in it. `site`: the one to serve with the folder `url`;
    "": all sites the token is for that have their folder on the tracker's machine, as they come and go.
    """
    raise_limit()
    crew = _Crew(open_link, holder, held, open_store, options or Options())
    try:
        if site:
            await crew.add(site, url)
        async with open_link() as link:
            await _until(stop, crew.follow(link, not site))
    finally:
        await crew.stop()


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    following = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
    finally:
        for task in (following, stopping):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


class _Crew:
    """The agents of this process, one a site."""

    def __init__(self, open_link: OpenLink, holder: str, held: Index, open_store: OpenStore, options: Options) -> None:
        self._open_link, self._holder, self._held = open_link, holder, held
        self._open_store, self._options = open_store, options
        self._host = host_identity()
        self._agents: dict[str, tuple[SiteAgent, AsyncExitStack]] = {}

    async def add(self, site: str, url: str = "") -> None:
        stack = AsyncExitStack()
        link = await stack.enter_async_context(self._open_link())
        agent = SiteAgent(link, site, self._held, self._open_store, self._holder, self._host, self._options, url)
        agent.start()
        self._agents[site] = (agent, stack)

    async def remove(self, site: str) -> None:
        agent, stack = self._agents.pop(site)
        await agent.stop()
        await stack.aclose()

    async def stop(self) -> None:
        """All at once: each takes its seconds."""
        await asyncio.gather(*(self.remove(site) for site in list(self._agents)))

    async def follow(self, link: Link, choose: bool) -> None:
        """Act on every edit of sites and global parameters; `choose`: serve what the tracker says is ours."""
        revision = -1
        while True:
            try:
                mine = await link.call(MY_SITES, Revision(revision, _WAIT_MS))
            except EverysiteError as err:
                _log.debug("the configuration could not be asked for: %s", err)
                await asyncio.sleep(_AGAIN * random.uniform(0.5, 1.0))
                continue
            if mine.revision != revision:
                revision = mine.revision
                await self._changed(mine, choose)

    async def _changed(self, mine: MySites, choose: bool) -> None:
        for agent, _ in self._agents.values():
            agent.configuration_changed()
        if not choose:
            return
        for site in [site for site in self._agents if site not in mine.sites]:
            _log.info("%s is no longer served here", site)
            await self.remove(site)
        for site in mine.sites:
            if site not in self._agents:
                _log.info("serving %s", site)
                await self.add(site)


def raise_limit(files: int = _FILES) -> None:
    """Allow this process as many open files as the machine lets it, up to `files`."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
