"""Many together or one alone, and nobody is forgotten at the door."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from everysite.agent.gate import Gate

pytestmark = pytest.mark.anyio


async def test_one_alone_meets_nobody_and_all_get_through() -> None:
    gate, inside, met = Gate(), [0, 0], []

    async def visit(alone: bool) -> None:
        await asyncio.sleep(random.random() / 100)
        async with gate.alone() if alone else gate.together():
            inside[alone] += 1
            met.append(tuple(inside))
            await asyncio.sleep(0.001)
            inside[alone] -= 1

    async with asyncio.timeout(20):
        await asyncio.gather(*(visit(number % 5 == 0) for number in range(60)))
    assert all(alone == 0 or (together == 0 and alone == 1) for together, alone in met)
    assert max(together for together, _ in met) > 1


async def test_who_gives_up_waiting_holds_nobody_back() -> None:
    gate = Gate()
    async with gate.together():
        waiting = asyncio.create_task(_alone(gate))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(5), gate.together():
            pass


async def _alone(gate: Gate) -> None:
    async with gate.alone():
        pass
