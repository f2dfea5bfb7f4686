"""Several processes on one database: here several indexes, each with threads and connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.index.engines import database_url

from everysite.index import postgres
from everysite.index.contract import Index, Topic, Transaction
from everysite.model.element import Element
from everysite.model.task import Wish

pytestmark = pytest.mark.anyio


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[list[Index]]:
    found: list[Index] = [postgres.open(database_url(tmp_path)) for _ in range(3)]
    yield found
    for index in found:
        await index.close()


def add_one(t: Transaction) -> int:
    number = int(t.meta("n") or 0) + 1
    t.set_meta("n", str(number))
    return number


async def test_what_all_count_at_once_is_counted(three: list[Index]) -> None:
    got = await asyncio.gather(*(three[n % 3].run(add_one) for n in range(90)))
    assert sorted(got) == list(range(1, 91))


async def test_a_task_is_claimed_once(three: list[Index]) -> None:
    await three[0].run(lambda t: t.tasks.wish([Wish(1, f"/{n}", "present") for n in range(200)]))

    def take(t: Transaction) -> list[str]:
        lease = t.leases.open(1, 1, 100, 0)
        paths = [task.path for task in t.tasks.due(1, 0, 7)]
        t.tasks.claim(1, paths, lease.id)
        return paths

    got = await asyncio.gather(*(three[n % 3].run(take) for n in range(40)))
    assert sorted(path for paths in got for path in paths) == sorted(f"/{n}" for n in range(200))


async def test_a_cursor_misses_nothing_that_commits_late(three: list[Index]) -> None:
    seen: set[str] = set()
    done = asyncio.Event()

    async def follow() -> None:
        cursor = 0
        while True:
            last = done.is_set()
            found = await three[2].read(lambda t, after=cursor: t.changes(after))  # type: ignore[misc]
            seen.update(change.key for change in found)
            if last and not found:
                return
            cursor = found[-1].number if found else cursor

    async def write(index: Index, name: str) -> None:
        for n in range(60):
            await index.run(lambda t, n=n: t.elements.put([Element(f"{name}{n}.{i}", {}) for i in range(n % 5 + 1)]))  # type: ignore[misc]

    following = asyncio.create_task(follow())
    await asyncio.gather(write(three[0], "a"), write(three[0], "b"), write(three[1], "c"), write(three[1], "d"))
    done.set()
    await following
    assert seen == {f"{name}{n}.{i}" for name in "abcd" for n in range(60) for i in range(n % 5 + 1)}


async def test_others_hear_of_a_commit(three: list[Index]) -> None:
    heard = [asyncio.Event() for _ in three]
    for index, event in zip(three, heard, strict=True):
        index.listen(event.set)
    await three[0].run(add_one)
    async with asyncio.timeout(30):
        await asyncio.gather(*(event.wait() for event in heard))


async def test_topics_are_heard_by_the_others_only(three: list[Index]) -> None:
    heard: list[set[Topic]] = [set(), set(), set()]
    complete = asyncio.Event()

    def hear(n: int, topics: frozenset[Topic]) -> None:
        heard[n] |= topics
        if len(heard[1]) == len(heard[2]) == 2_001:
            complete.set()

    ends = [index.hear(lambda topics, n=n: hear(n, topics)) for n, index in enumerate(three)]  # type: ignore[misc]
    await asyncio.sleep(0.5)  # until each has its connection; what is told before is nobody's
    three[0].tell(["revision"])
    three[0].tell(range(2_000))
    async with asyncio.timeout(30):
        await complete.wait()
    assert heard == [set(), {"revision", *range(2_000)}, {"revision", *range(2_000)}]
    for end in ends:
        end()


async def test_an_index_added_by_one_serves_all(three: list[Index]) -> None:
    await three[0].run(lambda t: t.elements.add_index("a"))
    assert "a" in await three[1].read(lambda t: t.elements.indexed())


async def test_two_that_start_at_once_make_one_schema(tmp_path: Path) -> None:
    from tests.index.engines import server

    url = server().url(server().database())
    found = await asyncio.gather(*(asyncio.to_thread(postgres.open, url) for _ in range(4)))
    assert [await index.run(add_one) for index in found] == [1, 2, 3, 4]
    for index in found:
        await index.close()
