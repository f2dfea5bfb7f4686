"""Several trackers over one database, each with its own memory: what one does, the others know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.index.engines import database_url
from tests.tracker.conftest import ADMIN, Agent, seen

from everysite.errors import SiteUnreachable
from everysite.index import postgres
from everysite.tracker.agent_messages import LetGo, Revision, Serve, Wanted, WantedFile
from everysite.tracker.contract import ADD_INDEX, CHANGES, LET_GO, MY_SITES, PUT_SITE, PUT_USER, SERVE, SITE
from everysite.tracker.core import Limits
from everysite.tracker.feed_messages import ChangesAsked
from everysite.tracker.messages import Named, NewToken, SiteChange, TokenId, User
from everysite.tracker.operation import Caller
from everysite.tracker.search_messages import IndexKey
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[list[Service]]:
    """Started at once, on a database nobody has used."""
    found = [Service(postgres.open(database_url(tmp_path)), Limits(), host="here", home=f"home{n}") for n in range(2)]
    await asyncio.gather(*(service.start() for service in found))
    yield found
    for service in found:
        await service.stop()
        await service._core.index.close()


async def until(true: Callable[[], Awaitable[object]], within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not await true():  # noqa: ASYNC110  what is waited for is no event of ours
            await asyncio.sleep(0.02)


async def refused(service: Service, token: str) -> bool:
    return await service.authenticate(token, "") is None


async def is_used(service: Service, key: str) -> bool:
    return key in await service._indexes._keys()


async def is_present(service: Service, site: str) -> bool:
    return service._core.present(site)


async def has_left(service: Service, site: str) -> bool:
    return not service._core.present(site)


async def test_both_are_the_same_tracker(two: list[Service]) -> None:
    one, other = two
    assert one._core.tracker_id == other._core.tracker_id
    assert one.feed.epoch == other.feed.epoch
    made = await asyncio.gather(*(service.access.first_admin("admin", "pass word") for service in two))
    assert sorted(made) == [False, True]


async def test_a_revoked_token_is_refused_everywhere(two: list[Service]) -> None:
    one, other = two
    await one.call(ADMIN, PUT_USER, User("eva", password="pass word"))
    for told in (True, False):
        issued = await one.access.grants.create_token(ADMIN, NewToken(username="eva"))
        assert await other.authenticate(issued.token, "") is not None
        if not told:
            one._core.tell = lambda _: None  # killed before it could say so
        await one.access.grants.remove_token(ADMIN, TokenId(issued.id))
        await until(lambda text=issued.token: refused(other, text), 2)  # type: ignore[misc]


async def test_a_waiting_claim_gets_what_another_process_was_told(two: list[Service]) -> None:
    one, other = two
    await one.call(ADMIN, PUT_SITE, SiteChange("paris", create=True))
    await one.call(ADMIN, PUT_SITE, SiteChange("rome", create=True))
    paris, rome = await Agent(one, "paris").start(), await Agent(other, "rome").start()
    waiting = asyncio.create_task(rome.claim(wait_ms=30_000))
    await asyncio.sleep(0.3)
    await paris.announce(seen("/a", "text"), first=True)
    async with asyncio.timeout(8):
        claimed = await waiting
    assert [job.path for job in claimed.jobs] == ["/a"]
    assert claimed.jobs[0].sources == ["paris"]
    assert not (await paris.claim()).lease


async def test_the_configuration_is_followed(two: list[Service]) -> None:
    one, other = two
    await asyncio.gather(*(service.call(ADMIN, MY_SITES, Revision()) for service in two))
    known = other._core.revision
    waiting = asyncio.create_task(other.call(ADMIN, MY_SITES, Revision(known, 30_000)))
    await one.call(ADMIN, PUT_SITE, SiteChange("paris", create=True, url="file:///data/paris/"))
    async with asyncio.timeout(8):
        mine = await waiting
    assert mine.revision > known
    assert (await one.call(ADMIN, MY_SITES, Revision())).sites == ["paris"]
    assert mine.sites == []  # its folder is on the machine of the other one


async def test_who_is_here_is_known_everywhere(two: list[Service]) -> None:
    one, other = two
    await one.call(ADMIN, PUT_SITE, SiteChange("paris", create=True))
    paris = await Agent(one, "paris").start()
    await until(lambda: is_present(other, "paris"))
    assert (await other.call(ADMIN, SITE, Named("paris"))).agent == "on"
    late = Service(postgres.open(other._core.index._url), Limits())  # type: ignore[attr-defined]
    await late.start()
    await until(lambda: is_present(late, "paris"))
    await paris.ask(LET_GO, LetGo(paris.mapping, paris.epoch))
    await until(lambda: has_left(late, "paris"))
    await until(lambda: has_left(other, "paris"))
    await late.stop()
    await late._core.index.close()


async def test_a_cursor_of_one_is_good_at_the_other_at_once(two: list[Service]) -> None:
    one, other = two
    cursor = (await other.call(ADMIN, CHANGES, ChangesAsked(""))).cursor
    for n in range(30):
        await one.call(ADMIN, PUT_USER, User(f"u{n}", password="pass word"))
        page = await one.call(ADMIN, CHANGES, ChangesAsked(cursor))
        assert [change.id for change in page.changes] == [f"@u{n}"]
        got = await other.call(ADMIN, CHANGES, ChangesAsked(cursor, wait_ms=5_000))
        assert [change.id for change in got.changes] == [f"@u{n}"]
        cursor = page.cursor
        await other.call(ADMIN, CHANGES, ChangesAsked(cursor))


async def test_one_does_the_schedules(two: list[Service]) -> None:
    for _ in range(3):
        assert sorted([await service.others.in_office() for service in two]) == [False, True]
    moved = max(service._core.clock() for service in two) + 60_000
    for service in two:
        service._core.clock = lambda: moved
    assert sorted(await asyncio.gather(*(service.others.in_office() for service in two))) == [False, True]


async def test_an_index_added_elsewhere_is_used(two: list[Service]) -> None:
    one, other = two
    await other._indexes._keys()
    await one.call(ADMIN, ADD_INDEX, IndexKey("shot"))
    await until(lambda: is_used(other, "shot"))


class Direct:
    """The other processes, without HTTP."""

    def __init__(self, services: list[Service]) -> None:
        self._by = {service.broker.process: service for service in services}

    def known(self, process: str, host: str, fingerprint: str, url: str) -> None: ...

    async def serve(self, process: str, site: str) -> Wanted:
        if process not in self._by:
            raise SiteUnreachable("killed")
        return await self._by[process].broker.next(site, 0)

    async def send(self, process: str, id: str, token: str, chunks: AsyncIterator[bytes]) -> None: ...


async def test_bytes_are_asked_for_in_one_and_served_by_the_other(two: list[Service]) -> None:
    one, other = two
    await one.call(ADMIN, PUT_SITE, SiteChange("paris", create=True))
    for service in two:
        service.broker.peers = Direct(two)
    caller = Caller("agent:paris", "agent", "paris")
    waiting = asyncio.create_task(other.call(caller, SERVE, Serve("paris", 20_000)))
    await asyncio.sleep(0.1)
    other.broker.asked_elsewhere("killed", "paris")
    exchanges = [await one.broker.open("paris", [WantedFile(f"/{n}")]) for n in range(2)]
    async with asyncio.timeout(8):
        wanted = [await waiting, await other.call(caller, SERVE, Serve("paris", 5_000))]
    assert [w.id for w in wanted] == [exchange.id for exchange in exchanges]
    assert [other.broker.elsewhere(w.id) for w in wanted] == [one.broker.process] * 2
    assert one.broker.elsewhere(wanted[0].id) == ""
