"""A file is deleted everywhere while a copy of it is under way."""

from __future__ import annotations

import pytest
from tests.tracker.conftest import ADMIN, Agent, content, seen

from everysite.tracker.agent_messages import Check, Result
from everysite.tracker.contract import CHECK, PUT_SITE, STATUS
from everysite.tracker.messages import Nothing, SiteChange
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_copy_under_way_to_a_deleted_file(service: Service, agents: dict[str, Agent], arrived: bool) -> None:
    """It is refused before it is published, and nothing waits for a source that will never come back."""
    paris, tokyo = agents["paris"], agents["tokyo"]
    await service.call(ADMIN, PUT_SITE, SiteChange("paris", keys={"propagateDeletes": True}))
    await paris.announce(seen("/a", "one"), first=True)
    claimed = await tokyo.claim()
    [job] = claimed.jobs
    await paris.announce(seen("/a"))
    checked = await tokyo.ask(CHECK, Check(tokyo.mapping, tokyo.epoch, claimed.lease, [(job.path, job.gen)]))
    assert checked.refused == ["/a"]
    result = Result("/a", job.gen, True, content("one")) if arrived else Result("/a", job.gen, False, None, "not-found")
    await tokyo.settle(claimed, result)
    assert await tokyo.work() == ["absent /a"]
    assert await agents["montreal"].work() == []
    status = await service.call(ADMIN, STATUS, Nothing())
    assert [(s.waiting, s.failed) for s in status.sites] == [(0, 0)] * 3
