"""A real tracker and real agents in one process, with folders on the disk.

Owns: World. Must not know: what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from blake3 import blake3
from tests.agent.waiting import until

from everysite.agent.host import host_identity
from everysite.agent.link import Options
from everysite.agent.site import SiteAgent
from everysite.errors import Cancelled, EverysiteError, SiteUnreachable
from everysite.index.contract import Index
from everysite.index.sqlite import open as open_index
from everysite.model.element import Body
from everysite.model.path import key_of
from everysite.stores.folder import FolderStore
from everysite.tracker import contract as ops
from everysite.tracker import messages
from everysite.tracker.agent_messages import Fetch
from everysite.tracker.core import Limits
from everysite.tracker.operation import Caller, Operation
from everysite.tracker.service import Service

R = TypeVar("R")
A = TypeVar("A")
ADMIN = Caller("admin", "admin")


class LocalLink:
    """The tracker of this process as an agent sees it; `down` cuts the line, `before` may interfere with a call."""

    def __init__(self, service: Service, site: str) -> None:
        self._service, self._caller = service, Caller(f"agent of {site}", "agent", site)
        self.down = False
        self.before: Callable[[Operation[object, object], object], None] = lambda operation, request: None
        self.relayed = 0
        self.calls: list[str] = []

    async def call(self, operation: Operation[R, A], request: R) -> A:
        self._check()
        self.calls.append(operation.name)
        self.before(operation, request)  # type: ignore[arg-type]
        answer = await self._service.call(self._caller, operation, request)
        self._check()
        return answer

    async def fetch(self, asked: Fetch) -> AsyncIterator[bytes]:
        self._check()
        broker = self._service.broker
        exchange = await broker.open(asked.site, asked.files)
        try:
            async for chunk in exchange:
                self._check()
                self.relayed += len(chunk)
                yield chunk
        finally:
            await broker.finish(exchange)

    async def send(self, id: str, frames: AsyncIterator[bytes]) -> None:
        exchange = self._service.broker.exchange(id)
        try:
            async for chunk in frames:
                self._check()
                await exchange.put(chunk)
        except EverysiteError as err:
            await exchange.close(Cancelled(str(err)))
            raise
        await exchange.close()

    def _check(self) -> None:
        if self.down:
            raise SiteUnreachable("the line is cut")


class World:
    """`async with World(tmp) as world`: add sites, start agents, write files, wait until all is quiet."""

    def __init__(self, home: Path, lease_ms: int = 30_000) -> None:
        self.home = home
        self._lease_ms = lease_ms
        self.agents: dict[str, SiteAgent] = {}
        self.links: dict[str, LocalLink] = {}
        self._held: dict[str, Index] = {}

    async def __aenter__(self) -> World:
        self.index = open_index(str(self.home / "tracker.db"))
        self.service = Service(self.index, Limits(lease_ms=self._lease_ms))
        await self.service.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for site in list(self.agents):
            await self.stop(site)
        await self.service.stop()
        await self.index.close()

    async def admin(self, operation: Operation[R, A], request: R) -> A:
        return await self.service.call(ADMIN, operation, request)

    def root(self, site: str) -> Path:
        return self.home / "sites" / site

    async def add(self, *sites: str, **keys: object) -> None:
        """Sites that scan every 0.1 s, whatever else their keys say."""
        for site in sites:
            self.root(site).mkdir(parents=True)
            body: Body = {"sleepBetweenScans": 0.1, **keys}
            await self.admin(ops.PUT_SITE, messages.SiteChange(site, True, self.root(site).as_uri() + "/", keys=body))

    async def set(self, site: str, paused: bool | None = None, **keys: object) -> None:
        await self.admin(ops.PUT_SITE, messages.SiteChange(site, paused=paused, keys=dict(keys)))
        self.agents[site].configuration_changed()

    def start(self, *sites: str, host: str | None = None, **options: object) -> None:
        """`host`: another one than this machine, so that bytes have to be relayed."""
        for site in sites:
            self.links[site] = link = LocalLink(self.service, site)
            self._held[site] = held = open_index(str(self.home / f"{site}.held"))
            chosen = Options(**{"probe_seconds": (0.05,), "wait_ms": 5000, **options})  # type: ignore[arg-type]
            agent = SiteAgent(
                link,
                site,
                held,
                _open_store,
                f"agent-{site}",
                host_identity() if host is None else f"{host}{site}",
                chosen,
            )
            agent.start()
            self.agents[site] = agent

    async def stop(self, site: str) -> None:
        await self.agents.pop(site).stop()
        await self._held.pop(site).close()

    async def crash(self, site: str) -> None:
        """As if killed: nothing is said, nothing is finished, every task just ends."""
        agent = self.agents.pop(site)
        self.links[site].down = True
        tasks = list(agent._tasks)
        for work in agent.mappings.values():
            tasks += [*work._tasks, *work._working]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._held.pop(site).close()

    def write(self, site: str, name: str | bytes, data: bytes | str, age: float = 10) -> bytes:
        """A file of a site, last written `age` s ago."""
        path = os.fsencode(self.root(site)) + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + b".new", "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        then = os.stat(path + b".new").st_mtime - age
        os.utime(path + b".new", (then, then))
        os.rename(path + b".new", path)
        return path

    def tree(self, site: str) -> dict[str, bytes]:
        """Digests by path, everything that is visible but the trash."""
        root = os.fsencode(self.root(site))
        found = {}
        for folder, folders, names in os.walk(root):
            if folder == root and b".everysite" in folders:
                folders.remove(b".everysite")
            for name in names:
                with contextlib.suppress(FileNotFoundError), open(folder + b"/" + name, "rb") as file:
                    found[key_of(os.path.relpath(folder + b"/" + name, root))] = blake3(file.read()).digest()
        return found

    async def equal(self, *sites: str, seconds: float = 30) -> None:
        """Wait until these sites have the same files, and at least one."""
        first, *others = sites
        try:
            await until(lambda: self.tree(first) and all(self.tree(o) == self.tree(first) for o in others), seconds)
        except TimeoutError:
            status = await self.admin(ops.STATUS, messages.Nothing())
            raise AssertionError(f"{[(s, len(self.tree(s))) for s in sites]} {status.sites}") from None

    async def read(self, key: str) -> Body | None:
        return (await self.admin(ops.READ, messages.Ids([key]))).items[0]

    async def quiet(self) -> None:
        """Wait until nothing is left to do."""
        async with asyncio.timeout(30):
            while True:
                status = await self.admin(ops.STATUS, messages.Nothing())
                if not any(site.waiting or site.running for site in status.sites):
                    return
                await asyncio.sleep(0.02)


def _open_store(url: str) -> FolderStore:
    from everysite.agent.bundle import folder_of

    root = folder_of(url)
    assert root is not None
    return FolderStore(os.fsdecode(root))
