"""Agents at work with a real tracker, on real folders."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agent.world import World

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
