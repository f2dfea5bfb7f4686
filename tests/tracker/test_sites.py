"""Adding sites and configuring them while everything runs."""

from __future__ import annotations

import pytest
from tests.tracker.conftest import ADMIN, Agent, Clock, content, seen

from everysite.errors import BadRequest, Conflict, NotFound
from everysite.model.element import Body
from everysite.tracker.agent_messages import Claim, Hello, Hold, Report, Result, Revision
from everysite.tracker.contract import (
    CLAIM,
    HELLO,
    HOLD,
    MY_SITES,
    PUBLISH,
    PUT_SITE,
    READ,
    REMOVE_SITE,
    REPORT,
    SITE,
    SITES,
    UPDATE,
)
from everysite.tracker.messages import Ids, Items, Named, Nothing, SiteChange
from everysite.tracker.operation import Caller
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio
Agents = dict[str, Agent]


@pytest.mark.parametrize("name", ["", "a b", "priority", "LOCAL", "support", "x" * 65, "a/b", "é"])
async def test_site_names(service: Service, name: str) -> None:
    with pytest.raises(BadRequest):
        await service.call(ADMIN, PUT_SITE, SiteChange(name, create=True))
    assert (await service.call(ADMIN, SITES, Nothing())).sites == []


async def test_names_are_unique_without_regard_to_case(service: Service) -> None:
    await service.call(ADMIN, PUT_SITE, SiteChange("Paris", create=True))
    with pytest.raises(Conflict):
        await service.call(ADMIN, PUT_SITE, SiteChange("paris", create=True))
    assert (await service.call(ADMIN, SITE, Named("PARIS"))).name == "Paris"


@pytest.mark.parametrize(
    "change",
    [
        SiteChange("p", create=True, url="ftp://x/"),
        SiteChange("p", create=True, url="file://host/x"),
        SiteChange("p", create=True, url="file:///a/../b"),
        SiteChange("p", create=True, prefix="/a/../b"),
        SiteChange("p", create=True, keys={"sleepBetweenScans": "soon"}),
        SiteChange("p", create=True, keys={"enableDiscovery": 7}),
        SiteChange("p", create=True, keys={"name": "q"}),
        SiteChange("p", create=True, keys={"$where": 1}),
    ],
)
async def test_wrong_values_change_nothing(service: Service, change: SiteChange) -> None:
    with pytest.raises(BadRequest):
        await service.call(ADMIN, PUT_SITE, change)
    assert (await service.call(ADMIN, SITES, Nothing())).sites == []
    assert (await service.call(ADMIN, READ, Ids(["sites/p"]))).items == [None]


async def test_two_sites_cannot_share_a_folder(service: Service) -> None:
    await service.call(ADMIN, PUT_SITE, SiteChange("a", create=True, url="file:///data/a"))
    for url in ("file:///data/a/", "file:///data/a/b", "file:///data", "file:///"):
        with pytest.raises(Conflict, match="folder"):
            await service.call(ADMIN, PUT_SITE, SiteChange("b", create=True, url=url))
    await service.call(ADMIN, PUT_SITE, SiteChange("b", create=True, url="file:///data/ab"))


async def test_who_joins_on_the_trackers_machine_cannot_take_a_local_folder(service: Service, agents: Agents) -> None:
    await service.call(ADMIN, PUT_SITE, SiteChange("here", create=True, url="file:///srv/here/"))
    with pytest.raises(Conflict, match="here"):
        await agents["tokyo"].ask(HELLO, Hello("tokyo", "host-here", "1", "file:///srv/here/inside/"))


async def test_the_same_path_on_two_machines_is_two_folders(service: Service, agents: Agents) -> None:
    paris, tokyo = agents["paris"], agents["tokyo"]
    folder = "file:///data/footage/"
    await paris.ask(HELLO, Hello("paris", "host-one", "1", folder))
    await tokyo.ask(HELLO, Hello("tokyo", "host-two", "1", folder))
    with pytest.raises(Conflict, match="paris"):
        await tokyo.ask(HELLO, Hello("tokyo", "host-one", "1", folder))


async def test_a_new_site_gets_what_is_there(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"), seen("/b", "two"))
    await service.call(ADMIN, PUT_SITE, SiteChange("lima", create=True))
    lima = await Agent(service, "lima").start()
    assert await lima.work() == ["present /a", "present /b"]


async def test_files_published_before_their_site_was_added(service: Service, agents: Agents) -> None:
    await service.call(ADMIN, PUBLISH, Items([{"_id": "/a", "comment": "", "origin": "lima"}]))
    await service.call(ADMIN, PUT_SITE, SiteChange("lima", create=True))
    lima = await Agent(service, "lima").start()
    claimed = await lima.claim()
    assert [(j.kind, j.path) for j in claimed.jobs] == [("inspect", "/a")]
    await lima.settle(claimed, Result("/a", claimed.jobs[0].gen, True, content("one")))
    assert await agents["tokyo"].work() == ["present /a"]


async def test_a_part_of_the_namespace(service: Service, agents: Agents) -> None:
    await service.call(ADMIN, PUT_SITE, SiteChange("tokyo", prefix="/shots"))
    await agents["paris"].announce(seen("/shots/a", "one"), seen("/other", "two"))
    assert await agents["tokyo"].work() == ["present /shots/a"]
    told = await agents["tokyo"].announce(seen("/elsewhere", "x"))
    assert "/shots/" in told.refused["/elsewhere"]


async def test_a_site_may_keep_parts_in_several_folders(service: Service, agents: Agents) -> None:
    more = [{"url": "file:///fast/cache", "prefix": "/cache/"}]
    change = SiteChange("tokyo", prefix="/shots", keys={"mappings": more})
    info = await service.call(ADMIN, PUT_SITE, change)
    assert [(m.prefix, m.url) for m in info.mappings] == [
        ("/shots/", "file:///data/tokyo/"),
        ("/cache/", "file:///fast/cache/"),
    ]
    await agents["paris"].announce(seen("/shots/a", "one"), seen("/cache/b", "two"), seen("/other", "three"))
    cache = Agent(service, "tokyo", mapping=info.mappings[1].id)
    cache.epoch = (await cache.ask(HOLD, Hold(cache.mapping, "tokyo"))).epoch
    assert await agents["tokyo"].work() == ["present /shots/a"]
    assert await cache.work() == ["present /cache/b"]
    claimed = await agents["montreal"].claim()
    assert [p.prefix for p in claimed.places["tokyo"]] == ["/shots/", "/cache/"]
    for wrong in (
        [{"url": "file:///x", "prefix": "/shots/deep/"}],
        [{"url": "file:///x", "prefix": "/shots"}],
        [{"url": "file:///data/tokyo/inside", "prefix": "/cache/"}],
        [{"prefix": "/cache/"}],
        "no array",
    ):
        with pytest.raises((BadRequest, Conflict)):
            await service.call(ADMIN, PUT_SITE, SiteChange("tokyo", keys={"mappings": wrong}))
    info = await service.call(ADMIN, PUT_SITE, SiteChange("tokyo", keys={"mappings": None}))
    assert [m.prefix for m in info.mappings] == ["/shots/"]


async def test_live_edits_reach_a_waiting_agent(service: Service, agents: Agents, clock: Clock) -> None:
    tokyo = agents["tokyo"]
    known = await tokyo.ask(CLAIM, Claim(tokyo.mapping, tokyo.epoch))
    await service.call(ADMIN, UPDATE, Items([{"_id": "sites/tokyo", "enableReception": False}]))
    told = await tokyo.ask(CLAIM, Claim(tokyo.mapping, tokyo.epoch, wait_ms=30_000, revision=known.revision))
    assert told.revision != known.revision
    await agents["paris"].announce(seen("/a", "one"))
    assert await tokyo.work() == []
    await service.call(ADMIN, UPDATE, Items([{"_id": "sites/tokyo", "enableReception": True}]))
    assert await tokyo.work() == ["present /a"]


async def test_global_default(service: Service, agents: Agents) -> None:
    off: Body = {"_id": "rsyncGlobalParameters", "syncEverywhere": False}
    await service.call(ADMIN, UPDATE, Items([off]))
    await agents["paris"].announce(seen("/a", "one"))
    assert await agents["tokyo"].work() == []
    await service.call(ADMIN, UPDATE, Items([off | {"syncEverywhere": True}]))
    assert await agents["tokyo"].work() == ["present /a"]
    with pytest.raises(BadRequest, match="sleepBetweenScans"):
        await service.call(ADMIN, UPDATE, Items([{"_id": "rsyncGlobalParameters", "sleepBetweenScans": -1}]))


async def test_removing_a_site(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await service.call(ADMIN, REMOVE_SITE, Named("tokyo"))
    with pytest.raises(NotFound):
        await agents["tokyo"].claim()
    with pytest.raises(NotFound, match="paris"):
        await service.call(ADMIN, SITE, Named("tokyo"))
    assert await agents["montreal"].work() == ["present /a"]


async def test_reports_touch_status_keys_only(service: Service, agents: Agents) -> None:
    tokyo = agents["tokyo"]
    await tokyo.ask(REPORT, Report("tokyo", {"last_scan": 5, "scan_duration": 1.5}))
    assert (await service.call(ADMIN, SITE, Named("tokyo"))).element["last_scan"] == 5
    with pytest.raises(BadRequest, match="status key"):
        await tokyo.ask(REPORT, Report("tokyo", {"class": "admin"}))


async def test_local_sites_are_those_with_a_folder_here(service: Service, agents: Agents) -> None:
    await service.call(ADMIN, PUT_SITE, SiteChange("here", create=True, url="file:///srv/here/"))
    told = await service.call(Caller("agent:*", "agent", "*"), MY_SITES, Revision())
    assert told.sites == ["here"]
