"""Three processes over one PostgreSQL database while one of them, or the database, is killed again and again.

Agents here are the protocol's half of an agent: they say hello, hold, claim and settle, each call at any process that
answers. A settle whose answer was lost may have come about; one that was answered counts exactly once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from tests.cli.processes import PASSWORD, Up
from tests.postgres import Server
from tests.tracker.conftest import content

from everysite.client import Client
from everysite.errors import EverysiteError, SignInNeeded, StaleLease, Transient
from everysite.tracker.agent_messages import Announce, Claim, Fetch, Hello, Hold, Result, SeenItem, Serve, Settle
from everysite.tracker.agent_messages import WantedFile as File
from everysite.tracker.contract import (
    ANNOUNCE,
    CHANGES,
    CLAIM,
    CREATE,
    CREATE_TOKEN,
    HELLO,
    HOLD,
    JOIN_TOKEN,
    PUT_SITE,
    READ,
    REMOVE_TOKEN,
    SERVE,
    SETTLE,
    STATUS,
    VERIFY,
)  # fmt: skip
from everysite.tracker.feed_messages import ChangesAsked
from everysite.tracker.messages import Ids, Items, Named, NewToken, Nothing, SiteChange, TokenId
from everysite.tracker.operation import Operation

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]

R = TypeVar("R")
A = TypeVar("A")
LEASE_S = 4


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.end()


@pytest.fixture
def ups(tmp_path: Path, server: Server) -> Iterator[list[Up]]:
    """Started at the same moment, on an empty database."""
    url = server.url(server.database())
    found = []
    for number in range(3):
        (folder := tmp_path / str(number)).mkdir()
        found.append(
            Up(
                folder, EVERYSITE_INDEX__URL=url, EVERYSITE_AGENT__LEASE_SECONDS=str(LEASE_S),
                EVERYSITE_ADMIN_PASSWORD=PASSWORD,
            )
        )  # fmt: skip
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        for up in found:
            stack.callback(stop, up)
        list(pool.map(Up.start, found))
        yield found


def stop(up: Up) -> None:
    if up.process.poll() is None:
        up.stop()


class Anywhere:
    """A client of whichever process answers."""

    def __init__(self, ups: list[Up], token: str = "") -> None:
        self._ups, self.token = ups, token

    async def call(self, operation: Operation[R, A], request: R, again: bool = True) -> A:
        """Asks again, elsewhere, as long as nobody answers; not `again`: says so after the first time."""
        while True:
            try:
                async with Client(random.choice(self._ups).url, self.token, timeout=10) as client:
                    return await client.call(operation, request)
            except EverysiteError as err:
                if not isinstance(err, Transient) or not again:
                    raise
                await asyncio.sleep(0.05)


class Agent:
    """One site's."""

    def __init__(self, name: str, tracker: Anywhere) -> None:
        self.name, self.tracker = name, tracker
        self.mapping = self.epoch = 0
        self.leases: list[int] = []
        self.done: Counter[tuple[str, int]] = Counter()

    async def start(self) -> None:
        welcome = await self.tracker.call(HELLO, Hello(self.name, f"host-{self.name}", "1", f"file:///{self.name}/"))
        self.mapping = welcome.mappings[0].id
        self.epoch = (await self.tracker.call(HOLD, Hold(self.mapping, self.name))).epoch

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 4)
            try:
                held = await self.tracker.call(HOLD, Hold(self.mapping, self.name, self.epoch, list(self.leases)))
            except StaleLease:
                held = await self.tracker.call(HOLD, Hold(self.mapping, self.name))
            self.epoch = held.epoch

    async def work(self) -> None:
        while True:
            with contextlib.suppress(StaleLease):
                claimed = await self.tracker.call(CLAIM, Claim(self.mapping, self.epoch, 20, wait_ms=2_000))
                if not claimed.lease:
                    continue
                self.leases.append(claimed.lease)
                try:
                    await self._settle(claimed.lease, [Result(j.path, j.gen, True, j.content) for j in claimed.jobs])
                finally:
                    self.leases.remove(claimed.lease)

    async def _settle(self, lease: int, results: list[Result]) -> None:
        await asyncio.sleep(random.uniform(0, 0.05))
        asked = Settle(self.mapping, self.epoch, lease, results)
        with contextlib.suppress(EverysiteError):  # unknown whether it came about: whoever claims next will see
            refused = (await self.tracker.call(SETTLE, asked, again=False)).refused
            self.done.update((each.path, each.gen) for each in results if each.path not in refused)

    async def announce(self, paths: list[str]) -> None:
        seen = [SeenItem(path, content(path)) for path in paths]
        while True:
            try:
                await self.tracker.call(ANNOUNCE, Announce(self.mapping, self.epoch, seen))
                return
            except StaleLease:
                await asyncio.sleep(0.1)  # until it is held again


async def sites(admin: Anywhere, ups: list[Up], *names: str) -> list[Agent]:
    found = []
    for name in names:
        await admin.call(PUT_SITE, SiteChange(name, create=True))
        token = (await admin.call(JOIN_TOKEN, Named(name))).token
        found.append(Agent(name, Anywhere(ups, token)))
        await found[-1].start()
    return found


async def signed_in(ups: list[Up]) -> Anywhere:
    async with Client(ups[0].url) as client:
        return Anywhere(ups, (await client.sign_in("admin", PASSWORD)).token)


class Work:
    """What people and a site do meanwhile, and what was acknowledged of it."""

    def __init__(self, admin: Anywhere, origin: Agent) -> None:
        self._admin, self._origin = admin, origin
        self.files: list[str] = []
        self.created: list[str] = []
        self.told: set[str] = set()
        self.ended = asyncio.Event()

    async def announce(self) -> None:
        while not self.ended.is_set():
            paths = [f"/shots/{len(self.files) + n}" for n in range(5)]
            await self._origin.announce(paths)
            self.files += paths
            await asyncio.sleep(0.05)

    async def create(self, name: str) -> None:
        sent = 0
        while not self.ended.is_set():
            sent += 1
            key = f"{name}-{sent}"
            with contextlib.suppress(Transient):
                await self._admin.call(CREATE, Items([{"_id": key}]), again=False)
                self.created.append(key)
            await asyncio.sleep(0.02)

    async def follow(self) -> None:
        """Every page from any process; until there is nothing more behind the end of the work."""
        cursor = "0"
        while True:
            last = self.ended.is_set()
            page = await self._admin.call(CHANGES, ChangesAsked(cursor, wait_ms=500))
            self.told |= {change.id for change in page.changes}
            cursor = page.cursor
            if last and not page.changes:
                return


async def disturb(ups: list[Up], server: Server, times: int) -> None:
    """A process, a process, the database, and so on."""
    for number in range(times):
        await asyncio.sleep(random.uniform(1.5, 2.5))
        if number % 3 == 2:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        else:
            up = ups[number % len(ups)]
            up.process.kill()
            await asyncio.to_thread(up.process.wait)
            await asyncio.to_thread(up.start)


async def test_nothing_is_lost_or_done_twice(ups: list[Up], server: Server, long: bool) -> None:
    admin = await signed_in(ups)
    agents = await sites(admin, ups, *(f"site{n}" for n in range(20 if long else 4)))
    work = Work(admin, agents[0])
    running = [asyncio.create_task(each) for agent in agents for each in (agent.keep(), agent.work())]
    people = [
        asyncio.create_task(each) for each in (work.announce(), work.create("a"), work.create("b"), work.follow())
    ]
    try:
        await disturb(ups, server, 40 if long else 5)
        work.ended.set()
        await asyncio.gather(*people)
        await quiet(admin, len(work.files))
    finally:
        for task in [*running, *people]:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []
    assert len(work.files) > 20
    assert len(work.created) > 20
    for start in range(0, len(work.created), 1_000):
        page = work.created[start : start + 1_000]
        assert None not in (await admin.call(READ, Ids([*page]))).items
    assert work.told >= {*work.created, *work.files}
    for agent in agents[1:]:
        assert set(agent.done.values()) == {1}, agent.name


async def quiet(admin: Anywhere, files: int) -> None:
    """Until every site has every file and nothing waits."""
    async with asyncio.timeout(90):
        while True:
            found = (await admin.call(STATUS, Nothing())).sites
            if all(site.files == files and not site.waiting for site in found):
                return
            await asyncio.sleep(0.2)


async def test_a_revoked_token_and_bytes_between_processes(ups: list[Up]) -> None:
    admin = await signed_in(ups)
    issued = await admin.call(CREATE_TOKEN, NewToken("for a program"))
    clients = [Client(up.url, issued.token) for up in ups]
    await asyncio.gather(*(client.call(VERIFY, Nothing()) for client in clients))
    await admin.call(REMOVE_TOKEN, TokenId(issued.id))
    async with asyncio.timeout(2):
        for client in clients:
            with pytest.raises(SignInNeeded):
                while True:
                    await client.call(VERIFY, Nothing())
                    await asyncio.sleep(0.02)
            await client.close()
    [agent, _] = await sites(admin, ups, "paris", "rome")
    await bytes_between(ups, agent.tracker.token)


async def bytes_between(ups: list[Up], token: str) -> None:
    """The agent waits at one process, sends to another one, and the reader asked the third."""
    sent = [random.randbytes(100_000) for _ in range(100)]

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in sent:
            yield chunk

    async def serve() -> None:
        async with Client(ups[1].url, token) as waiting, Client(ups[2].url, token) as sending:
            wanted = await waiting.call(SERVE, Serve("paris", 20_000))
            assert [file.path for file in wanted.files] == ["/a"]
            await sending.send(wanted.id, chunks())

    serving = asyncio.create_task(serve())
    async with Client(ups[0].url, token) as reading, asyncio.timeout(30):
        got = b"".join([chunk async for chunk in reading.fetch(Fetch("paris", [File("/a")]))])
        await serving
    assert got == b"".join(sent)
