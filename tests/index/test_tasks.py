"""Tasks, on every engine."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from everysite.index.contract import Index, Transaction, Waiting
from everysite.model.element import Content
from everysite.model.task import Task, Wish

pytestmark = pytest.mark.anyio

CONTENT = Content(100, 5, 0o644, bytes(range(32)))


def wish(path: str, gen: int = 1, **more: object) -> Wish:
    return msgspec.structs.replace(Wish(1, path, "present", 1, gen, CONTENT), **more)


async def put(index: Index, *wishes: Wish) -> list[Task]:
    await index.run(lambda t: t.tasks.wish(wishes))
    got = await index.read(lambda t: t.tasks.get(1, [w.path for w in wishes]))
    return [task for task in got if task]


async def due(index: Index, now: int = 100, limit: int = 1000) -> list[str]:
    return [task.path for task in await index.read(lambda t: t.tasks.due(1, now, limit))]


async def test_a_wish_becomes_a_task(index: Index) -> None:
    given = Wish(1, "/ö", "present", 2, 3, CONTENT, "/old", b"\1\0", 4, 5)
    (task,) = await put(index, given)
    for field in Wish.__struct_fields__:
        assert getattr(task, field) == getattr(given, field)
    assert (task.tries, task.lease, task.claimed, task.error, task.error_text) == (0, 0, 0, 0, "")
    assert await index.read(lambda t: t.tasks.get(1, ["/none", "/ö"])) == [None, task]
    assert await index.read(lambda t: t.tasks.get(2, ["/ö"])) == [None]


async def test_a_newer_wish_takes_the_place_and_keeps_seq_while_the_kind_stays(index: Index) -> None:
    first, other = await put(index, wish("/a"), wish("/b"))
    (second,) = await put(index, wish("/a", 2, priority=3))
    assert (second.seq, second.gen, second.priority) == (first.seq, 2, 3)
    (third,) = await put(index, wish("/a", 3, kind="absent", content=None))
    assert third.seq > other.seq
    assert (third.kind, third.content) == ("absent", None)


async def test_the_last_wish_of_a_batch_wins(index: Index) -> None:
    (task,) = {t.path: t for t in await put(index, *(wish("/a", gen) for gen in range(300)))}.values()
    assert task.gen == 299


async def test_an_unclaimed_row_starts_anew_a_claimed_one_stays_claimed(index: Index) -> None:
    a, b = await put(index, wish("/a"), wish("/b"))
    failed = [msgspec.structs.replace(t, tries=4, error=11, error_text="full", run_at=9) for t in (a, b)]
    await index.run(lambda t: t.tasks.again(failed))
    await index.run(lambda t: t.tasks.claim(1, ["/b"], 77))
    a, b = await put(index, wish("/a", 2), wish("/b", 2))
    assert (a.tries, a.error, a.error_text, a.lease, a.run_at) == (0, 0, "", 0, 0)
    assert (b.tries, b.error, b.error_text, b.lease, b.claimed, b.gen) == (4, 11, "full", 77, 1, 2)
    [b] = await put(index, Wish(1, "/b", "absent", gen=2))
    assert (b.kind, b.lease, b.claimed) == ("absent", 77, -1)  # whatever its holder brings is not what is wished


async def test_due_goes_by_priority_then_seq(index: Index) -> None:
    await put(
        index, wish("/c"), wish("/a"), wish("/high", priority=9), wish("/low", priority=-1), wish("/later", run_at=50)
    )
    await put(index, wish("/future", run_at=101, priority=100), Wish(2, "/elsewhere", "present"))
    assert await due(index) == ["/high", "/c", "/a", "/later", "/low"]
    assert await due(index, now=49) == ["/high", "/c", "/a", "/low"]
    assert await due(index, limit=2) == ["/high", "/c"]
    assert await due(index, now=-1) == []


async def test_claim_release_and_leased(index: Index) -> None:
    await put(index, wish("/a", 3), wish("/b", 4), wish("/c", 5))
    await index.run(lambda t: t.tasks.claim(1, ["/a", "/b", "/none"], 8))
    assert [(t.path, t.claimed, t.lease) for t in await index.read(lambda t: t.tasks.leased(8))] == [
        ("/a", 3, 8),
        ("/b", 4, 8),
    ]
    assert await due(index) == ["/c"]
    assert await index.run(lambda t: t.tasks.release(8)) == 2
    assert await index.run(lambda t: t.tasks.release(8)) == 0
    assert await due(index) == ["/a", "/b", "/c"]
    assert await index.read(lambda t: t.tasks.leased(8)) == []


async def test_running_are_copies_under_a_lease_that_is_open(index: Index) -> None:
    await put(index, wish("/a"), wish("/b", element=2), wish("/c", element=3), wish("/d", element=4, kind="absent"))
    lease = await index.run(lambda t: t.leases.open(1, 1, 900, 700))
    await index.run(lambda t: t.tasks.claim(1, ["/a", "/b", "/d"], lease.id))
    assert sorted(await index.read(lambda t: t.tasks.running([1, 2, 3, 4, 99]))) == [(1, 1, 700), (2, 1, 700)]
    assert await index.read(lambda t: t.tasks.running([2])) == [(2, 1, 700)]
    assert await index.read(lambda t: t.tasks.running([3])) == []
    assert await index.read(lambda t: t.tasks.running([])) == []


async def test_no_lease_is_no_lease(index: Index) -> None:
    await put(index, wish("/a"))
    assert await index.read(lambda t: t.tasks.leased(0)) == []
    assert await index.run(lambda t: t.tasks.release(0)) == 0


async def test_again_writes_the_try_and_leaves_the_wish_alone(index: Index) -> None:
    tasks = await put(index, *(wish(f"/{n}") for n in range(300)))
    await index.run(lambda t: t.tasks.claim(1, [task.path for task in tasks], 8))
    await index.run(lambda t: t.tasks.done(1, ["/1"]))
    await put(index, wish("/0", 2, kind="absent"))
    news = [msgspec.structs.replace(t, run_at=70, tries=2, error=30, error_text="cut", lease=0) for t in tasks]
    await index.run(lambda t: t.tasks.again(news))
    zero, one, two = await index.read(lambda t: t.tasks.get(1, ["/0", "/1", "/299"]))
    assert zero is not None
    assert two is not None
    assert one is None
    assert (zero.kind, zero.gen, zero.run_at, zero.lease, zero.claimed) == ("absent", 2, 70, 0, 0)
    assert (two.run_at, two.tries, two.error, two.error_text, two.lease) == (70, 2, 30, "cut", 0)


async def test_done_removes(index: Index) -> None:
    await put(index, wish("/a"), wish("/b"))
    await index.run(lambda t: t.tasks.done(1, ["/a", "/none"]))
    assert await due(index) == ["/b"]
    await index.run(lambda t: t.tasks.done(1, []))
    assert await due(index) == ["/b"]


async def test_of_element_under_and_moves(index: Index) -> None:
    await put(index, wish("/d/b"), wish("/d/a"), wish("/e", element=2), wish("/da"))
    await put(
        index, Wish(1, "/y/", "move", source="/x/"), Wish(1, "/n/", "move", source="/m/"), Wish(2, "/q", "present", 1)
    )
    assert [(t.mapping, t.path) for t in await index.read(lambda t: t.tasks.of_element(1))] == [
        *((1, path) for path in ("/d/a", "/d/b", "/da")),
        (2, "/q"),
    ]
    assert [t.path for t in await index.read(lambda t: t.tasks.under(1, "/d/"))] == ["/d/a", "/d/b"]
    assert [t.path for t in await index.read(lambda t: t.tasks.under(1, "", 2, after="/d/a"))] == ["/d/b", "/da"]
    assert [(t.path, t.source) for t in await index.read(lambda t: t.tasks.moves(1))] == [
        ("/y/", "/x/"),
        ("/n/", "/m/"),
    ]


async def test_next_run_and_waiting(index: Index) -> None:
    assert await index.read(lambda t: t.tasks.next_run(1)) is None
    assert await index.read(lambda t: t.tasks.waiting(1)) == Waiting()
    a, *_ = await put(index, wish("/a", run_at=5), wish("/b", run_at=7), wish("/c", run_at=9), wish("/d", content=None))
    await index.run(lambda t: t.tasks.claim(1, ["/d", "/b"], 3))
    await index.run(lambda t: t.tasks.again([msgspec.structs.replace(a, tries=1, run_at=8)]))
    assert await index.read(lambda t: t.tasks.next_run(1)) == 8
    assert await index.read(lambda t: t.tasks.waiting(1)) == Waiting(files=4, bytes=300, running=2, failing=1)


async def test_two_claimers_never_get_the_same_task(index: Index) -> None:
    await put(index, *(wish(f"/{n}") for n in range(200)))

    def take(t: Transaction) -> list[str]:
        lease = t.leases.open(1, 1, 100, 0)
        paths = [task.path for task in t.tasks.due(1, 0, 15)]
        t.tasks.claim(1, paths, lease.id)
        return paths

    got = await asyncio.gather(*(index.run(take, "bulk" if n % 2 else "interactive") for n in range(20)))
    paths = [path for batch in got for path in batch]
    assert sorted(paths) == sorted(f"/{n}" for n in range(200))
