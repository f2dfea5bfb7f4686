"""Turns: one at a time for each user, nobody waits for another user, and there is an end to waiting."""

from __future__ import annotations

import asyncio

import pytest

from everysite.errors import Transient
from everysite.tracker.turns import Turns

pytestmark = pytest.mark.anyio


async def test_one_users_questions_go_one_after_another() -> None:
    turns = Turns()
    running: list[str] = []
    most = 0

    async def ask(user: str) -> None:
        nonlocal most
        async with turns.of(user):
            running.append(user)
            most = max(most, running.count(user))
            await asyncio.sleep(0)
            running.remove(user)

    await asyncio.gather(*(ask(user) for user in "ab" * 20))
    assert most == 1


async def test_nobody_waits_for_another_user() -> None:
    turns = Turns()
    async with turns.of("ada"), turns.of("bob"):
        pass


async def test_there_is_an_end_to_waiting_and_it_is_forgotten() -> None:
    turns = Turns()

    async def ask() -> None:
        async with turns.of("ada"):
            pass

    async with turns.of("ada"):
        waiting = [asyncio.create_task(ask()) for _ in range(99)]
        await asyncio.sleep(0)
        with pytest.raises(Transient, match="wait already"):
            await ask()
        waiting.pop().cancel()
        await asyncio.sleep(0)
        waiting.append(asyncio.create_task(ask()))
    assert await asyncio.gather(*waiting[:-1], return_exceptions=False) == [None] * 98
    await waiting[-1]
    assert not turns._locks
    assert not turns._waiting
