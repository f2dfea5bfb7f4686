"""What a bundle leaves behind when it is killed at its worst moments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agent.waiting import until
from tests.agent.world import World

from everysite.agent import bundle
from everysite.tracker import contract as ops
from everysite.tracker.agent_messages import Check

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as made:
        yield made


async def test_a_stage_is_in_the_journal_for_as_long_as_it_is_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when its file is refused in the last moment, while others of the bundle arrive."""
    await world.add("paris", "oslo")
    for name in ("a", "b", "c"):
        world.write("paris", f"d/{name}", name)
    loop = asyncio.get_running_loop()
    seen: list[tuple[int, int]] = []  # (stages there, of them in the journal), whenever a bundle is about to clear up
    close = bundle._close

    def looking(landing: object, arrivals: object) -> None:
        there = {f"d/{path.name}".encode() for path in (world.root("oslo") / "d").glob(".everysite-*")}
        mapping = next(iter(world.agents["oslo"].mappings.values())).ground.mapping.id
        staged = world._held["oslo"].read(lambda tx: tx.held.staged(mapping))
        named = asyncio.run_coroutine_threadsafe(staged, loop).result(10)
        seen.append((len(there), len(there & set(named))))
        close(landing, arrivals)  # type: ignore[arg-type]

    def refuse(operation: object, request: object) -> None:
        """The first time, `b` has been changed since it was claimed."""
        if operation is ops.CHECK and isinstance(request, Check) and not seen:
            request.paths[:] = [(path, gen + path.endswith("b")) for path, gen in request.paths]

    monkeypatch.setattr(bundle, "_close", looking)
    world.start("paris")
    await until(lambda: any(work.rounds.rounds for work in world.agents["paris"].mappings.values()))
    world.start("oslo")
    world.links["oslo"].before = refuse
    await until(lambda: seen)
    await world.equal("paris", "oslo")
    assert seen[0] == (1, 1)
    assert all(there == named for there, named in seen)
