"""From a scan to copies on every site, as the tracker tells it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.tracker.conftest import ADMIN, Agent, Clock, content, seen

from everysite.errors import BadRequest, Conflict, Forbidden, StaleLease
from everysite.model.element import Body
from everysite.tracker.agent_messages import Check, Claim, Hold, LetGo, Result
from everysite.tracker.contract import (
    CHECK,
    CLAIM,
    DELETE,
    HOLD,
    LET_GO,
    LOG,
    PUBLISH,
    PUT_SITE,
    READ,
    STATUS,
    UPDATE,
    WHY,
)
from everysite.tracker.messages import Ids, Items, LogAsked, Nothing, SiteChange, WhyAsked
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio
Agents = dict[str, Agent]


async def element(service: Service, key: str) -> dict[str, object]:
    [found] = (await service.call(ADMIN, READ, Ids([key]))).items
    assert found is not None
    return found


async def test_a_scanned_file_reaches_every_other_site(service: Service, agents: Agents, clock: Clock) -> None:
    told = await agents["paris"].announce(seen("/shots/010.exr", "one"), first=True)
    assert told.counts == {"new": 1}
    assert await agents["paris"].work() == []
    assert await agents["montreal"].work() == ["present /shots/010.exr"]
    assert await agents["tokyo"].work() == ["present /shots/010.exr"]
    found = await element(service, "/shots/010.exr")
    assert found["author"] == "support"
    assert found["comment"] == "scanned at paris"
    assert found["digest"] == content("one").digest.hex()
    assert all(found[f"synced_{s}"] == clock.now for s in agents)
    status = await service.call(ADMIN, STATUS, Nothing())
    assert [(s.name, s.files, s.waiting) for s in status.sites] == [
        ("paris", 1, 0),
        ("montreal", 1, 0),
        ("tokyo", 1, 0),
    ]


async def test_announcing_twice_changes_nothing(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    before = await element(service, "/a")
    assert (await agents["paris"].announce(seen("/a", "one"))).counts == {"known": 1}
    assert (await agents["tokyo"].announce(seen("/a", "one"))).counts == {"known": 1}
    assert await element(service, "/a") == before
    assert await agents["tokyo"].work() == []


async def test_a_change_at_the_origin_goes_out_again(service: Service, agents: Agents, clock: Clock) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    for agent in agents.values():
        await agent.work()
    clock.now += 1000
    assert (await agents["paris"].announce(seen("/a", "two"))).counts == {"modified": 1}
    found = await element(service, "/a")
    assert found["time"] == clock.now
    assert found["comment"] == "modified at paris"
    assert int(str(found["synced_tokyo"])) < int(str(found["time"]))
    assert await agents["tokyo"].work() == ["present /a"]


async def test_a_change_elsewhere_is_a_conflict_until_a_person_says_who_wins(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    assert (await agents["tokyo"].announce(seen("/a", "mine"))).counts == {"conflict": 1}
    assert "modified_tokyo" in await element(service, "/a")
    await agents["paris"].announce(seen("/a", "two"))
    assert await agents["tokyo"].work() == []
    await service.call(ADMIN, UPDATE, Items([{"_id": "/a", "modified_tokyo": None}]))
    claimed = await agents["tokyo"].claim()
    assert [j.replaces for j in claimed.jobs] == [content("mine").digest]
    await agents["tokyo"].settle(claimed, *(Result(j.path, j.gen, True, j.content) for j in claimed.jobs))
    assert "modified_tokyo" not in await element(service, "/a")


async def test_an_outdated_copy_found_anew_is_no_conflict(service: Service, agents: Agents) -> None:
    tokyo = agents["tokyo"]
    await agents["paris"].announce(seen("/a", "one"))
    await tokyo.work()
    await agents["paris"].announce(seen("/a", "two"))
    assert (await tokyo.announce(seen("/a", "one"), first=True)).counts == {"known": 1}
    assert await tokyo.work() == ["present /a"]


async def test_what_an_agent_brought_and_could_not_settle_is_no_conflict(service: Service, agents: Agents) -> None:
    """It asked what is newest, then the origin changed it, then it told what it had brought."""
    tokyo = agents["tokyo"]
    await agents["paris"].announce(seen("/a", "one"))
    await tokyo.claim()
    tokyo.epoch = (await tokyo.ask(HOLD, Hold(tokyo.mapping, "tokyo"))).epoch
    await agents["paris"].announce(seen("/a", "two"))
    assert (await tokyo.announce(replace(seen("/a", "one"), brought=True))).counts == {"known": 1}
    found = await element(service, "/a")
    assert "modified_tokyo" not in found and "synced_tokyo" in found
    assert await tokyo.work() == ["present /a"]


async def test_what_an_agent_brought_does_not_bring_a_file_back(service: Service, agents: Agents) -> None:
    tokyo = agents["tokyo"]
    await agents["paris"].announce(seen("/a", "one"))
    await tokyo.claim()
    await agents["paris"].announce(seen("/b", "one", was="/a"))
    told = await tokyo.announce(replace(seen("/a", "one"), brought=True))
    assert list(told.refused) == ["/a"]
    assert (await service.call(ADMIN, READ, Ids(["/a"]))).items == [None]


async def test_a_conflict_ends_when_the_origin_comes_to_the_same_content(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    await agents["tokyo"].announce(seen("/a", "mine"))
    await agents["paris"].announce(seen("/a", "mine"))
    assert "modified_tokyo" not in await element(service, "/a")
    assert await agents["tokyo"].work() == []


async def test_a_path_found_twice_in_one_batch_is_taken_in_order(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"), seen("/a", "two"), seen("/b", "two", was="/a"))
    claimed = await agents["tokyo"].claim()
    assert [(j.path, j.content) for j in claimed.jobs] == [("/b", content("two"))]


async def test_the_other_site_may_become_the_origin(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    await agents["tokyo"].announce(seen("/a", "mine"))
    await service.call(ADMIN, UPDATE, Items([{"_id": "/a", "origin": "tokyo"}]))
    claimed = await agents["tokyo"].claim()
    assert [(j.kind, j.path) for j in claimed.jobs] == [("inspect", "/a")]
    await agents["tokyo"].settle(claimed, Result("/a", claimed.jobs[0].gen, True, content("mine")))
    claimed = await agents["paris"].claim()
    assert [(j.kind, j.content) for j in claimed.jobs] == [("present", content("mine"))]


async def test_destination_keys_and_priority(service: Service, agents: Agents) -> None:
    items: list[Body | None] = [
        {"_id": "/low", "comment": "", "origin": "paris", "syncEverywhere": False, "sync_tokyo": True},
        {"_id": "/high", "comment": "", "origin": "paris", "sync_priority": 9, "sync_montreal": False},
    ]
    published = await service.call(ADMIN, PUBLISH, Items(items))
    assert [i and i["_id"] for i in published.items] == ["/low", "/high"]
    claimed = await agents["paris"].claim()
    assert [(j.kind, j.path) for j in claimed.jobs] == [("inspect", "/high"), ("inspect", "/low")]
    await agents["paris"].settle(claimed, *(Result(j.path, j.gen, True, content(j.path)) for j in claimed.jobs))
    assert await agents["tokyo"].work() == ["present /high", "present /low"]
    assert await agents["montreal"].work() == []
    await service.call(ADMIN, UPDATE, Items([{"_id": "/low", "sync_montreal": True}]))
    assert await agents["montreal"].work() == ["present /low"]


async def test_a_change_that_is_told_needs_no_scan(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    await service.call(ADMIN, UPDATE, Items([{"_id": "/a", "file_mtime": 1_900_000_000_000}]))
    told = await service.call(ADMIN, WHY, WhyAsked("/a", "tokyo"))
    assert (told.state, "paris looks at it first" in told.sentence) == ("outdated", True)
    claimed = await agents["paris"].claim()
    assert [(j.kind, j.path) for j in claimed.jobs] == [("inspect", "/a")]
    await agents["paris"].settle(claimed, Result("/a", claimed.jobs[0].gen, True, content("two")))
    assert [j.content for j in (await agents["tokyo"].claim()).jobs] == [content("two")]


async def test_a_missing_file_is_error_23_and_heals(service: Service, agents: Agents, clock: Clock) -> None:
    await service.call(ADMIN, PUBLISH, Items([{"_id": "/a", "comment": "", "origin": "paris"}]))
    claimed = await agents["paris"].claim()
    await agents["paris"].settle(
        claimed, Result("/a", claimed.jobs[0].gen, False, code="not-found", text="/a: not there")
    )
    found = await element(service, "/a")
    assert (found["syncError_paris"], found["syncErrorText_paris"]) == (23, "/a: not there")
    assert "/a: not there" in (await service.call(ADMIN, WHY, WhyAsked("/a", "paris"))).sentence
    await service.call(ADMIN, UPDATE, Items([{"_id": "/a", "syncError_paris": None}]))
    claimed = await agents["paris"].claim()
    assert [j.kind for j in claimed.jobs] == ["inspect"]
    await agents["paris"].settle(claimed, Result("/a", claimed.jobs[0].gen, True, content("x")))
    assert await agents["tokyo"].work() == ["present /a"]


async def test_a_rename_moves_no_bytes(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    assert (await agents["paris"].announce(seen("/b", "one", was="/a"))).counts == {"renamed": 1}
    assert (await element(service, "/b"))["renamed_from"] == "/a"
    assert await agents["tokyo"].work() == ["present /a -> /b"]
    assert await agents["montreal"].work() == ["present /b"]
    assert (await agents["tokyo"].announce(seen("/b", "one", was="/a"))).counts == {"known": 1}


async def test_a_folder_rename_is_one_task_a_site(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(*(seen(f"/old/{n}", str(n)) for n in range(700)))
    await agents["tokyo"].work()
    await agents["montreal"].work()
    assert (await agents["paris"].announce(seen("/new/", "x", was="/old/"))).counts == {"renamed": 700}
    assert await agents["tokyo"].work() == ["move /old/ -> /new/"]
    assert await agents["montreal"].work() == ["move /old/ -> /new/"]
    assert (await element(service, "/new/5"))["renamed_from"] == "/old/5"
    await agents["paris"].announce(seen("/new/5", "five"))
    assert await agents["tokyo"].work() == ["present /new/5"]


async def test_a_folder_rename_waits_for_copies_under_way_in_it(service: Service, agents: Agents) -> None:
    tokyo = agents["tokyo"]
    await agents["paris"].announce(seen("/old/a", "one"), seen("/old/b", "two"))
    first = await tokyo.claim(limit=1)
    await agents["paris"].announce(seen("/new/", "x", was="/old/"))
    assert await tokyo.work() == ["present /new/a", "present /new/b"]
    checked = await tokyo.ask(CHECK, Check(tokyo.mapping, tokyo.epoch, first.lease, [("/old/a", first.jobs[0].gen)]))
    assert checked.refused == ["/old/a"]
    await tokyo.settle(first, Result("/old/a", first.jobs[0].gen, True, content("one")))
    assert await tokyo.work() == ["absent /old/a", "move /old/ -> /new/"]
    found = await element(service, "/new/a")
    assert "synced_tokyo" in found and "deleted_tokyo" not in found


async def test_a_deleted_element_is_not_published_again_by_a_scan(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    assert (await service.call(ADMIN, DELETE, Ids(["/a", "/nothing"]))).ids == ["/a", None]
    assert await agents["tokyo"].work() == []
    assert (await agents["paris"].announce(seen("/a", "one"))).counts == {"ignored": 1}
    assert (await agents["paris"].announce(seen("/a", "new content"))).counts == {"new": 1}


async def test_deletes_spread_only_where_asked(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"), seen("/b", "two"))
    await agents["tokyo"].work()
    await agents["paris"].announce(seen("/a"))
    assert "deleted_paris" in await element(service, "/a")
    assert await agents["tokyo"].work() == []
    await service.call(ADMIN, PUT_SITE, SiteChange("paris", keys={"propagateDeletes": True}))
    await agents["paris"].announce(seen("/b"))
    assert await agents["tokyo"].work() == ["absent /b"]


async def test_removing_synced_queues_again(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    await service.call(ADMIN, UPDATE, Items([{"_id": "/a", "synced_tokyo": None}]))
    assert await agents["tokyo"].work() == ["present /a"]


async def test_paused_sites_claim_nothing(service: Service, agents: Agents) -> None:
    await service.call(ADMIN, PUT_SITE, SiteChange("tokyo", paused=True))
    await agents["paris"].announce(seen("/a", "one"))
    assert (await agents["tokyo"].claim()).paused
    await service.call(ADMIN, PUT_SITE, SiteChange("tokyo", paused=False))
    assert await agents["tokyo"].work() == ["present /a"]


async def test_a_stale_worker_is_refused(service: Service, agents: Agents, clock: Clock) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    tokyo = agents["tokyo"]
    claimed = await tokyo.claim()
    stale = Agent(service, "tokyo", mapping=tokyo.mapping, epoch=tokyo.epoch)
    with pytest.raises(Conflict):
        await Agent(service, "tokyo", holder="another machine").start()
    clock.now += 31_000
    with pytest.raises(StaleLease):
        await stale.ask(CHECK, Check(stale.mapping, stale.epoch, claimed.lease, [("/a", 1)]))
    fresh = await Agent(service, "tokyo", holder="another machine").start()
    assert await fresh.work() == ["present /a"]
    with pytest.raises(StaleLease):
        await stale.settle(claimed, Result("/a", 1, True, content("one")))


async def test_a_newer_gen_is_refused_before_it_is_published_and_done_again(service: Service, agents: Agents) -> None:
    tokyo = agents["tokyo"]
    await agents["paris"].announce(seen("/a", "one"))
    claimed = await tokyo.claim()
    await agents["paris"].announce(seen("/a", "two"))
    checked = await tokyo.ask(CHECK, Check(tokyo.mapping, tokyo.epoch, claimed.lease, [("/a", claimed.jobs[0].gen)]))
    assert checked.refused == ["/a"]
    await tokyo.settle(claimed, Result("/a", claimed.jobs[0].gen, True, claimed.jobs[0].content))
    again = await tokyo.claim()
    assert [j.content for j in again.jobs] == [content("two")]


async def test_what_is_not_settled_waits_again(service: Service, agents: Agents) -> None:
    tokyo = agents["tokyo"]
    await agents["paris"].announce(seen("/a", "one"), seen("/b", "two"))
    claimed = await tokyo.claim()
    await tokyo.settle(claimed, Result("/a", 1, True, content("one")))
    assert await tokyo.work() == ["present /b"]
    await agents["paris"].announce(seen("/c", "three"))
    await tokyo.claim()
    await tokyo.ask(LET_GO, LetGo(tokyo.mapping, tokyo.epoch))
    with pytest.raises(StaleLease):
        await tokyo.claim()
    tokyo.epoch = (await tokyo.ask(HOLD, Hold(tokyo.mapping, "tokyo"))).epoch
    assert await tokyo.work() == ["present /c"]


async def test_an_agent_serves_its_own_site_only(service: Service, agents: Agents) -> None:
    tokyo, paris = agents["tokyo"], agents["paris"]
    with pytest.raises(Forbidden):
        await service.call(tokyo.caller, CLAIM, Claim(paris.mapping, paris.epoch))
    with pytest.raises(Forbidden):
        await service.call(tokyo.caller, DELETE, Ids(["/a"]))


async def test_paths_that_lead_outside_are_refused_by_name(service: Service, agents: Agents) -> None:
    told = await agents["paris"].announce(seen("/../etc/passwd", "x"), seen("/ok", "x"))
    assert told.counts == {"new": 1}
    assert ".." in told.refused["/../etc/passwd"]
    for bad in ("/../x", "x", "/a//b", "/a/./b", "/", "/\0", 7, None):
        with pytest.raises(BadRequest):
            await service.call(ADMIN, PUBLISH, Items([{"_id": bad, "comment": "", "origin": "paris"}]))


async def test_publishing_what_is_tracked_is_none_in_its_place(service: Service, agents: Agents) -> None:
    item = {"_id": ["/a", "/b"], "comment": "c", "origin": "paris"}
    published = await service.call(ADMIN, PUBLISH, Items([item]))
    assert [c["#parent"] for c in published.children] == ["/a", "/b"]
    again = await service.call(ADMIN, PUBLISH, Items([item, {"_id": "/c", "comment": "c", "origin": "paris"}]))
    assert [i and i["_id"] for i in again.items] == [None, None, "/c"]
    assert [c["#parent"] for c in again.children] == ["/c"]


async def test_the_log_tells_what_happened(service: Service, agents: Agents) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    entries = (await service.call(ADMIN, LOG, LogAsked("/a"))).entries
    assert [(e.what, e.site) for e in entries] == [("arrived", "tokyo"), ("new", "paris")]
