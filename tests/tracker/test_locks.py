"""Locks that bind agents: what changes on disks while somebody else holds a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.tracker.conftest import ADMIN, Agent, Clock, seen

from everysite.index import sqlite
from everysite.model.element import Body
from everysite.tracker.agent_messages import Result
from everysite.tracker.contract import LOCK, LOG, PUT_SITE, PUT_USER, READ, UNLOCK, UPDATE
from everysite.tracker.core import Limits
from everysite.tracker.messages import Ids, Items, LogAsked, SiteChange, User
from everysite.tracker.operation import Caller
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio
Agents = dict[str, Agent]
ANN = Caller("ann", "editor")


@pytest.fixture
async def service(tmp_path: Path, clock: Clock) -> AsyncIterator[Service]:
    """As the usual one, with locks that bind; ann is an editor who works nowhere in particular."""
    index = sqlite.open(str(tmp_path / "index.db"))
    service = Service(index, Limits(enforce_locks=True), clock, host="host-here")
    await service.start()
    await service.call(ADMIN, PUT_USER, User("ann", rank="editor", password="a long password"))
    yield service
    await service.stop()
    await index.close()


@pytest.fixture
async def locked(service: Service, agents: Agents) -> Agents:
    """Paris published /a, every site has it, and ann locks it."""
    await agents["paris"].announce(seen("/a", "one"))
    for agent in agents.values():
        await agent.work()
    await service.call(ANN, LOCK, Ids(["/a"]))
    return agents


async def element(service: Service, key: str = "/a") -> Body:
    [found] = (await service.call(ADMIN, READ, Ids([key]))).items
    assert found is not None
    return found


async def test_a_change_at_the_origin_waits_as_a_conflict(service: Service, locked: Agents) -> None:
    before = await element(service)
    assert (await locked["paris"].announce(seen("/a", "two"))).counts == {"conflict": 1}
    found = await element(service)
    assert "modified_paris" in found
    assert (found["digest"], found["time"]) == (before["digest"], before["time"])
    assert await locked["tokyo"].work() == []
    log = (await service.call(ADMIN, LOG, LogAsked("/a"))).entries
    assert any("while ann has it locked" in entry.text for entry in log)


async def test_it_counts_when_the_lock_ends(service: Service, locked: Agents) -> None:
    paris = locked["paris"]
    await paris.announce(seen("/a", "two"))
    await service.call(ANN, UNLOCK, Ids(["/a"]))
    claimed = await paris.claim()
    assert [(job.kind, job.path) for job in claimed.jobs] == [("inspect", "/a")]
    await paris.settle(claimed, Result("/a", claimed.jobs[0].gen, True, seen("/a", "two").content))
    assert "modified_paris" not in await element(service)
    assert await locked["tokyo"].work() == ["present /a"]


async def test_it_counts_when_an_admin_removes_the_key(service: Service, locked: Agents) -> None:
    paris = locked["paris"]
    await paris.announce(seen("/a", "two"))
    await service.call(ADMIN, UPDATE, Items([{"_id": "/a", "lock": None}]))
    claimed = await paris.claim()
    await paris.settle(claimed, Result("/a", claimed.jobs[0].gen, True, seen("/a", "two").content))
    assert await locked["tokyo"].work() == ["present /a"]


async def test_a_look_at_the_file_does_not_get_around_the_lock(service: Service, locked: Agents) -> None:
    paris = locked["paris"]
    await service.call(ADMIN, UPDATE, Items([{"_id": "/a", "file_size": 99}]))
    claimed = await paris.claim()
    assert [job.kind for job in claimed.jobs] == ["inspect"]
    await paris.settle(claimed, Result("/a", claimed.jobs[0].gen, True, seen("/a", "two").content))
    assert "modified_paris" in await element(service)
    assert await locked["tokyo"].work() == []


async def test_the_old_bytes_again_end_the_conflict(service: Service, locked: Agents) -> None:
    await locked["paris"].announce(seen("/a", "two"))
    await locked["paris"].announce(seen("/a", "one"))
    assert "modified_paris" not in await element(service)


async def test_the_holder_may_change_it_where_they_work(service: Service, locked: Agents) -> None:
    await service.call(ADMIN, UPDATE, Items([{"_id": "@ann", "site": ["oslo", "Paris"]}]))
    assert (await locked["paris"].announce(seen("/a", "two"))).counts == {"modified": 1}
    assert await locked["tokyo"].work() == ["present /a"]


async def test_elsewhere_than_at_the_origin_it_is_a_conflict_as_ever(service: Service, locked: Agents) -> None:
    assert (await locked["tokyo"].announce(seen("/a", "mine"))).counts == {"conflict": 1}
    assert "modified_tokyo" in await element(service)


async def test_a_deletion_of_a_locked_file_does_not_spread(service: Service, locked: Agents) -> None:
    await service.call(ADMIN, PUT_SITE, SiteChange("paris", keys={"propagateDeletes": True}))
    assert (await locked["paris"].announce(seen("/a"))).counts == {"deleted": 1}
    assert "deleted_paris" in await element(service)
    assert await locked["tokyo"].work() == []


async def test_a_rename_of_a_locked_file_leaves_it(service: Service, locked: Agents) -> None:
    await locked["paris"].announce(seen("/b", "one", was="/a"))
    found = await element(service)
    assert (found["lock"], "deleted_paris" in found) == ("ann", True)
    assert await locked["tokyo"].work() == ["present /b"]


async def test_without_the_setting_locks_bind_no_agent(tmp_path: Path, clock: Clock) -> None:
    index = sqlite.open(str(tmp_path / "index.db"))
    service = Service(index, Limits(), clock)
    await service.start()
    await service.call(ADMIN, PUT_SITE, SiteChange("paris", create=True))
    paris = await Agent(service, "paris").start()
    await paris.announce(seen("/a", "one"))
    await service.call(ANN, LOCK, Ids(["/a"]))
    assert (await paris.announce(seen("/a", "two"))).counts == {"modified": 1}
    await service.stop()
    await index.close()
