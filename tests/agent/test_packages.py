"""Packages: a folder that is one element is found, brought, changed, renamed and deleted as one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agent.waiting import until
from tests.agent.world import World

from everysite.tracker import contract as ops
from everysite.tracker.messages import Items, Query, SiteChange

pytestmark = pytest.mark.anyio

DISCOVER = {"packagePatterns": "*.pkg/", "enableDiscoveryPackages": True}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as made:
        yield made


def fill(world: World, site: str, name: str, text: str) -> None:
    for part in ("a", "sub/b", "sub/deep/c"):
        world.write(site, f"{name}/{part}", f"{text} {part}" * 50)


async def keys(world: World) -> list[str]:
    found = (await world.admin(ops.SEARCH, Query("*"))).ids
    return sorted(key for key in found if key is not None and key.startswith("/"))


@pytest.mark.parametrize("host", [None, "far-"])
async def test_a_package_arrives_as_one_thing(world: World, host: str | None) -> None:
    await world.add("paris", "oslo", **DISCOVER)
    fill(world, "paris", "x/shot.pkg", "one")
    world.write("paris", "x/plain", "plain")
    world.write("paris", "x/shot.pkg/large", os.urandom(9 << 20))
    world.start("paris", "oslo", host=host)
    await world.equal("paris", "oslo")
    await world.quiet()
    assert await keys(world) == ["/x/plain", "/x/shot.pkg/"]
    body = await world.read("/x/shot.pkg/")
    assert body is not None and body["file_size"] > 9 << 20


@pytest.mark.parametrize("host", [None, "far-"])
async def test_a_changed_package_is_switched_and_the_old_one_kept_aside(world: World, host: str | None) -> None:
    await world.add("paris", "oslo", **DISCOVER)
    fill(world, "paris", "shot.pkg", "one")
    world.start("paris", "oslo", host=host)
    await world.equal("paris", "oslo")
    await world.quiet()
    world.write("paris", "shot.pkg/sub/b", "changed", age=5)
    (world.root("paris") / "shot.pkg/a").unlink()
    await world.equal("paris", "oslo")
    await world.quiet()
    assert await keys(world) == ["/shot.pkg/"]
    assert [path.read_text()[:5] for path in (world.root("oslo") / ".everysite").rglob("a")] == ["one a"]
    assert not list(world.root("oslo").rglob(".everysite-*"))


async def test_a_renamed_package_is_renamed_elsewhere(world: World) -> None:
    await world.add("paris", "oslo", **DISCOVER)
    fill(world, "paris", "one.pkg", "one")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    inode = os.stat(world.root("oslo") / "one.pkg/a").st_ino
    (world.root("paris") / "one.pkg").rename(world.root("paris") / "two.pkg")
    await world.equal("paris", "oslo")
    await world.quiet()
    assert await keys(world) == ["/two.pkg/"]
    assert os.stat(world.root("oslo") / "two.pkg/a").st_ino == inode


async def test_a_package_changed_at_two_sites_is_a_conflict(world: World) -> None:
    await world.add("paris", "oslo", **DISCOVER)
    fill(world, "paris", "shot.pkg", "one")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    await world.set("oslo", sleepBetweenScans=3600)
    world.write("oslo", "shot.pkg/a", "mine", age=3)
    world.write("paris", "shot.pkg/a", "theirs", age=2)
    world.write("paris", "later", "x")
    await until(lambda: "/later" in world.tree("oslo"))
    await world.quiet()
    assert (world.root("oslo") / "shot.pkg/a").read_text() == "mine"
    body = await world.read("/shot.pkg/")
    assert body is not None and body["modified_oslo"]


async def test_a_published_folder_is_a_package_without_patterns(world: World) -> None:
    await world.add("paris", "oslo")
    await world.admin(ops.PUT_SITE, SiteChange("paris", keys={"enableDiscovery": False}))
    fill(world, "paris", "made", "one")
    world.start("paris", "oslo")
    await world.admin(ops.PUBLISH, Items([{"_id": "/made/", "origin": "paris", "comment": ""}]))
    await world.equal("paris", "oslo")
    await world.quiet()
    assert await keys(world) == ["/made/"]


async def test_a_deleted_package_goes_to_the_trash_elsewhere(world: World) -> None:
    await world.add("paris", "oslo", propagateDeletes=True, **DISCOVER)
    fill(world, "paris", "shot.pkg", "one")
    world.write("paris", "keep", "x")
    world.start("paris", "oslo")
    await world.equal("paris", "oslo")
    await world.quiet()
    (world.root("paris") / "shot.pkg").rename(world.home / "away")
    await world.equal("paris", "oslo")
    assert not (world.root("oslo") / "shot.pkg").exists()
    assert list((world.root("oslo") / ".everysite/trash").rglob("c"))
