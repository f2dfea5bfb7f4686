"""Agents at work with a real tracker, on real folders."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agent.waiting import until
from tests.agent.world import World

from everysite.agent.journal import Journal
from everysite.errors import SiteUnreachable
from everysite.index.sqlite import open as open_index
from everysite.tracker import contract as ops
from everysite.tracker import messages

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as made:
        yield made


async def test_what_one_site_has_the_others_get(world: World) -> None:
    await world.add("paris", "oslo", "rome")
    for number in range(60):
        world.write("paris", f"d{number % 7}/{number}", f"data {number}" * number)
    world.start("paris", "oslo", "rome")
    await world.equal("paris", "oslo", "rome")
    one = os.stat(world.root("paris") / "d1/1")
    two = os.stat(world.root("oslo") / "d1/1")
    assert (one.st_mtime_ns, one.st_mode) == (two.st_mtime_ns, two.st_mode)


async def test_changes_follow_and_only_differences_move(world: World) -> None:
    await world.add("paris", "oslo")
    for number in range(10):
        world.write("paris", f"d/{number}", f"data {number}")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    untouched = os.stat(world.root("oslo") / "d/5").st_ino
    world.write("paris", "d/3", "changed", age=5)
    world.write("paris", "e/new", "new")
    await world.equal("paris", "oslo")
    assert os.stat(world.root("oslo") / "d/5").st_ino == untouched


async def test_a_renamed_folder_is_renamed_elsewhere(world: World) -> None:
    await world.add("paris", "oslo")
    for number in range(20):
        world.write("paris", f"old/sub/{number}", f"data {number}")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    inodes = {p.name: p.stat().st_ino for p in (world.root("oslo") / "old/sub").iterdir()}
    (world.root("paris") / "old").rename(world.root("paris") / "new")
    world.write("paris", "new/sub/more", "more")
    await world.equal("paris", "oslo")
    assert {p.name: p.stat().st_ino for p in (world.root("oslo") / "new/sub").iterdir() if p.name != "more"} == inodes
    assert not (world.root("oslo") / "old").exists()


async def test_a_renamed_and_changed_file_leaves_no_old_copy(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "one")
    world.write("paris", "keep", "x")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    (world.root("paris") / "a").rename(world.root("paris") / "b")
    await world.equal("paris", "oslo")
    assert set(world.tree("oslo")) == {"/b", "/keep"}


async def test_a_copy_of_what_a_site_has_costs_no_bytes(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", os.urandom(300_000))
    world.start("paris", "oslo", host="far-")
    await world.equal("paris", "oslo")
    await world.quiet()
    before = world.links["oslo"].relayed
    assert before > 300_000
    world.write("paris", "b", (world.root("paris") / "a").read_bytes(), age=33)
    await world.equal("paris", "oslo")
    assert world.links["oslo"].relayed == before
    assert os.stat(world.root("paris") / "b").st_mtime_ns == os.stat(world.root("oslo") / "b").st_mtime_ns


async def test_bytes_are_relayed_between_machines(world: World) -> None:
    await world.add("paris", "oslo")
    for number in range(300):
        world.write("paris", f"d/{number}", os.urandom(number * 37))
    world.write("paris", "empty", b"")
    world.write("paris", "middle", os.urandom(3 << 20))
    world.write("paris", "large", os.urandom(20 << 20))
    world.start("paris", "oslo", host="far-")
    await world.equal("paris", "oslo")
    assert world.links["oslo"].relayed > 23 << 20


async def test_a_large_file_goes_on_where_the_line_was_cut(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "large", os.urandom(40 << 20))
    world.start("paris", "oslo", host="far-")
    link = world.links["oslo"]
    await until(lambda: link.relayed > 20 << 20)
    link.down = True
    await asyncio.sleep(0.2)
    link.down = False
    await world.equal("paris", "oslo")
    assert link.relayed < 48 << 20
    assert stages(world, "oslo") == []


async def test_a_large_file_goes_on_after_a_crash(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "large", os.urandom(40 << 20))
    world.start("paris", "oslo", host="far-")
    await until(lambda: world.links["oslo"].relayed > 20 << 20)
    await world.crash("oslo")
    assert len(stages(world, "oslo")) == 1
    world.start("oslo", host="far-")
    await world.equal("paris", "oslo")
    assert world.links["oslo"].relayed < 24 << 20
    assert stages(world, "oslo") == []


def stages(world: World, site: str) -> list[Path]:
    return list(world.root(site).rglob(".everysite-*"))


async def test_what_somebody_changed_is_not_overwritten(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "one")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.set("oslo", sleepBetweenScans=3600)
    world.write("oslo", "a", "mine", age=3)
    world.write("paris", "a", "theirs", age=2)
    world.write("paris", "b", "more")
    await until(lambda: "/b" in world.tree("oslo"))
    await world.quiet()
    assert (world.root("oslo") / "a").read_bytes() == b"mine"
    body = await world.read("/a")
    assert body is not None and body["modified_oslo"]


async def test_what_is_there_already_is_known_without_bytes(world: World) -> None:
    await world.add("paris", "oslo")
    for site in ("paris", "oslo"):
        world.write(site, "a", os.urandom(1) * 100_000 if site == "paris" else b"", age=9)
    data = (world.root("paris") / "a").read_bytes()
    world.write("oslo", "a", data, age=50)
    inode = os.stat(world.root("oslo") / "a").st_ino
    world.start("paris", "oslo", host="far-")
    await world.equal("paris", "oslo")
    await world.quiet()
    assert world.links["oslo"].relayed + world.links["paris"].relayed < 50_000
    assert os.stat(world.root("oslo") / "a").st_ino == inode


async def test_a_deletion_stays_where_it_was_made(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "one")
    world.write("paris", "b", "two")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    (world.root("paris") / "a").unlink()
    body: dict[str, object] | None = {}
    async with asyncio.timeout(20):
        while "deleted_paris" not in (body or {}):
            body = await world.read("/a")
            await asyncio.sleep(0.05)
    await world.quiet()
    assert set(world.tree("oslo")) == {"/a", "/b"}


async def test_a_deletion_that_spreads_goes_to_the_trash(world: World) -> None:
    await world.add("paris", "oslo", propagateDeletes=True)
    world.write("paris", "d/a", "one")
    world.write("paris", "b", "two")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    (world.root("paris") / "d/a").unlink()
    await world.equal("paris", "oslo")
    [trashed] = (world.root("oslo") / ".everysite/trash").rglob("a")
    assert trashed.read_bytes() == b"one"


async def test_a_published_file_is_looked_at_and_arrives(world: World) -> None:
    await world.add("paris", "oslo")
    await world.admin(ops.PUT_SITE, messages.SiteChange("paris", keys={"enableDiscovery": False}))
    world.write("paris", "shots/010.exr", "pixels")
    world.start("paris", "oslo")
    await world.admin(ops.PUBLISH, messages.Items([{"_id": "/shots/010.exr", "origin": "paris", "comment": ""}]))
    await world.equal("paris", "oslo")
    body = await world.read("/shots/010.exr")
    assert body is not None and body["file_size"] == 6


async def test_a_paused_site_neither_takes_nor_tells(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "one")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.set("oslo", paused=True)
    await world.set("paris", paused=True)
    world.write("paris", "b", "two")
    await asyncio.sleep(0.6)
    assert await world.read("/b") is None
    await world.set("paris", paused=False)
    async with asyncio.timeout(20):
        while await world.read("/b") is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    assert "/b" not in world.tree("oslo")
    await world.set("oslo", paused=False)
    await world.equal("paris", "oslo")


async def test_a_site_that_was_away_catches_up(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "one")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.stop("oslo")
    world.write("paris", "a", "two", age=3)
    world.write("paris", "b", "more")
    async with asyncio.timeout(20):
        while await world.read("/b") is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    world.start("oslo")
    await world.equal("paris", "oslo")


async def test_the_tracker_may_be_away_for_a_while(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "one")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    for link in world.links.values():
        link.down = True
    world.write("paris", "b", "two")
    await asyncio.sleep(0.5)
    for link in world.links.values():
        link.down = False
    await world.equal("paris", "oslo")


async def test_a_folder_that_is_gone_halts_the_site_and_comes_back(world: World) -> None:
    await world.add("paris", "oslo")
    for number in range(30):
        world.write("paris", f"d/{number}", str(number))
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    oslo = world.root("oslo")
    oslo.rename(world.home / "unplugged")
    world.write("paris", "d/more", "more")
    work = next(iter(world.agents["oslo"].mappings.values()))
    await until(lambda: work.ground.health.problem is not None)
    (world.home / "unplugged").rename(oslo)
    await world.equal("paris", "oslo")
    await until(lambda: work.ground.health.problem is None)
    body = await world.read("/d/1")
    assert body is not None and "deleted_oslo" not in body


async def test_one_bad_file_does_not_stop_the_others(world: World) -> None:
    await world.add("paris", "oslo")
    (world.root("oslo") / "a").mkdir()
    (world.root("oslo") / "a/inside").write_text("x")
    await world.admin(ops.PUT_SITE, messages.SiteChange("oslo", keys={"enableDiscovery": False}))
    world.write("paris", "a", "one")
    world.write("paris", "b", "two")
    world.start("paris", "oslo")
    await until(lambda: "/b" in world.tree("oslo"))
    body: dict[str, object] | None = {}
    async with asyncio.timeout(20):
        while "syncError_oslo" not in (body or {}):
            body = await world.read("/a")
            await asyncio.sleep(0.05)
    assert body is not None and body["syncError_oslo"] == 23
    assert (world.root("oslo") / "a/inside").exists()


async def test_odd_names_arrive(world: World) -> None:
    await world.add("paris", "oslo")
    names = [b"line\nbreak", b"not \xff utf-8", b"n" * 255, "ümlaut".encode(), b" ", b"a,b;*?", b"Case", b"case"]
    for number, name in enumerate(names):
        world.write("paris", b"d\xfe/" + name if len(name) < 255 else name[:251], str(number))
    long = os.fsencode(world.root("paris")) + b"/" + b"n" * 255
    os.close(os.open(long, os.O_CREAT))
    world.start("paris", "oslo", host="far-")
    await world.equal("paris", "oslo")
    assert len(world.tree("oslo")) == 9


async def test_a_file_that_changes_while_it_travels_arrives_as_it_is_at_last(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "0" * 50_000)
    world.start("paris", "oslo")
    for number in range(1, 30):
        world.write("paris", "a", str(number) * 50_000, age=30 - number)
        await asyncio.sleep(0.02)
    await world.equal("paris", "oslo")


async def test_a_worker_that_lost_its_mapping_publishes_nothing(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "one")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    work = next(iter(world.agents["oslo"].mappings.values()))
    taken: list[int] = []

    def steal(operation: object, request: object) -> None:
        if operation is ops.CHECK and not taken:
            taken.append(work.ground.holder.epoch)
            work.ground.holder.lose(work.ground.holder.epoch)

    world.links["oslo"].before = steal
    world.write("paris", "b", "two")
    await until(lambda: taken)
    await world.equal("paris", "oslo")
    assert work.ground.holder.epoch > taken[0]


async def test_files_that_arrived_and_were_not_settled_are_not_sent_again(world: World) -> None:
    await world.add("paris", "oslo")
    for number in range(50):
        world.write("paris", f"d/{number}", os.urandom(10_000))
    world.start("paris", "oslo", host="far-")
    link = world.links["oslo"]

    def cut(operation: object, request: object) -> None:
        if operation is ops.SETTLE:
            link.down = True
            raise SiteUnreachable("cut before the settle")

    link.before = cut
    await until(lambda: len(world.tree("oslo")) == 50 and link.down)
    await world.crash("oslo")
    world.start("oslo", host="far-")
    await world.quiet()
    assert world.tree("oslo") == world.tree("paris")
    assert world.links["oslo"].relayed == 0


async def scanned_twice(world: World, site: str) -> None:
    rounds = next(iter(world.agents[site].mappings.values())).rounds
    seen = rounds.rounds
    await until(lambda: rounds.rounds > seen + 1)


@pytest.mark.parametrize("what", ["delete", "rename", "change", "nothing", "delete and rename its folder"])
async def test_what_happened_to_a_file_that_arrived_unsettled_happens_here_too(world: World, what: str) -> None:
    """The tracker thinks that oslo has no copy, so nobody tells oslo to delete or rename it."""
    await world.add("paris", "oslo", propagateDeletes=True)
    world.write("paris", "d/before", "0")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    link = world.links["oslo"]

    def cut(operation: object, request: object) -> None:
        if operation is ops.SETTLE:
            link.down = True
            raise SiteUnreachable("cut before the settle")

    link.before = cut
    await world.stop("paris")
    world.write("paris", "d/a", "one")
    world.write("paris", "d/keep", "x")
    world.start("paris")  # finds both at once
    await until(lambda: len(world.tree("oslo")) == 3 and link.down)
    await world.crash("oslo")
    file = world.root("paris") / "d/a"
    if what.startswith("delete"):
        file.unlink()
    elif what == "rename":
        file.rename(file.with_name("b"))
    elif what == "change":
        world.write("paris", "d/a", "two", age=3)
    await scanned_twice(world, "paris")
    kept = "/d/keep"
    if what.endswith("folder"):
        file.parent.rename(file.parent.with_name("e"))
        await scanned_twice(world, "paris")
        kept = "/e/keep"
    world.start("oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    assert world.tree("paris") == world.tree("oslo")
    body = await world.read(kept)
    assert body is not None and body["synced_oslo"]


async def test_a_crash_leaves_stages_that_the_next_start_removes(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "d/a", "one")
    (world.root("oslo") / "d").mkdir()
    left = world.root("oslo") / "d/.everysite-0123456789abcdef.part"
    left.write_bytes(b"half")
    mapping = (await world.admin(ops.SITE, messages.Named("oslo"))).mappings[0].id
    held = open_index(str(world.home / "oslo.held"))
    await Journal(held, mapping, os.fsencode(world.root("oslo"))).open(1, [b"d/" + left.name.encode()], [])
    await held.close()
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")


async def test_stopping_is_quick_and_lets_the_next_one_begin_at_once(world: World) -> None:
    await world.add("paris", "oslo")
    for number in range(500):
        world.write("paris", f"d/{number}", f"data {number}")
    world.start("paris", "oslo")
    await until(lambda: len(world.tree("oslo")) > 0)
    async with asyncio.timeout(10):
        await world.stop("oslo")
    assert stages(world, "oslo") == []
    world.start("oslo")
    await world.equal("paris", "oslo")


async def test_a_site_says_how_it_is(world: World) -> None:
    await world.add("paris")
    world.write("paris", "a", "one")
    world.start("paris")
    body: dict[str, object] = {}
    async with asyncio.timeout(30):
        while "last_scan" not in body:
            body = await world.read("sites/paris") or {}
            await asyncio.sleep(0.05)
    assert (body["agentStatus"], body["exit_scan"], body["stderr_scan"]) == ("on", 0, "")
    await world.stop("paris")
    body = await world.read("sites/paris") or {}
    assert body["agentStatus"] == "off"


async def test_configuration_acts_live(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a.tmp", "one")
    world.write("paris", "b", "two")
    await world.admin(ops.PUT_SITE, messages.SiteChange("paris", keys={"excludePatternRules": "*.tmp"}))
    world.start("paris", "oslo")
    await until(lambda: "/b" in world.tree("oslo"))
    assert await world.read("/a.tmp") is None
    await world.set("paris", excludePatternRules="")
    await world.equal("paris", "oslo")


async def test_a_switch_that_opens_has_everything_told_again(world: World) -> None:
    await world.add("paris", "oslo")
    await world.admin(ops.PUT_SITE, messages.SiteChange("paris", keys={"enableDiscovery": False}))
    world.write("paris", "deep/a", "one")
    world.start("paris", "oslo")
    await until(
        lambda: world.agents["paris"].mappings and next(iter(world.agents["paris"].mappings.values())).rounds.rounds > 1
    )
    assert await world.read("/deep/a") is None
    await world.set("paris", enableDiscovery=True)
    await world.equal("paris", "oslo")


async def test_files_that_went_while_deletions_were_not_discovered_are_told_later(world: World) -> None:
    await world.add("paris", "oslo")
    world.write("paris", "a", "data")
    world.write("paris", "b", "other data")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.set("paris", enableDiscoveryDeletedFiles=False)
    [mapping] = world.agents["paris"].mappings.values()
    (world.root("paris") / "a").unlink()
    scanned = mapping.rounds.rounds
    await until(lambda: mapping.rounds.rounds > scanned + 1)
    assert "deleted_paris" not in (await world.read("/a") or {})
    await world.set("paris", enableDiscoveryDeletedFiles=True)
    for _ in range(600):
        if "deleted_paris" in (await world.read("/a") or {}):
            break
        await asyncio.sleep(0.05)
    assert "deleted_paris" in (await world.read("/a") or {})
    assert "deleted_paris" not in (await world.read("/b") or {})
    assert (world.root("oslo") / "a").exists()
