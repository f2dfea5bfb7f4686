"""What each wrapper puts in the way, beyond keeping the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path

import pytest
from tests.stores.adapters import list_all, read_all, source_of, stream

from everysite.errors import SiteUnreachable, Transient
from everysite.model.path import Name
from everysite.stores.contract import Stat
from everysite.stores.folder import FolderStore
from everysite.stores.memory import MemoryStore
from everysite.stores.wrappers import Counted, Cut, Failing, Limited, Passing, Throttled

pytestmark = pytest.mark.anyio

A, B = Name(b"a"), Name(b"b")


async def test_shortcuts_are_hidden(tmp_path: Path) -> None:
    inner = FolderStore(tmp_path)
    assert inner.traits.local_root == tmp_path
    assert Passing(inner).traits == replace(inner.traits, local_root=None)


async def test_throttled_waits_for_what_it_let_through() -> None:
    now, slept = 0.0, list[float]()

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    store = Throttled(MemoryStore(), rate=1000, clock=lambda: now, sleep=sleep)
    await store.write(A, source_of(b"x" * 5000, piece=500))
    assert now == pytest.approx(5, abs=0.3) and len(slept) > 8
    await read_all(store, A)
    assert now == pytest.approx(10, abs=0.3)
    now += 100  # idle time is not saved up
    before = now
    await read_all(store, A)
    assert now - before == pytest.approx(5, abs=0.3)


async def test_limited_lets_so_many_in() -> None:
    inside = most = 0

    class Watched(Passing):
        async def flow(self, pieces: AsyncIterator[bytes], verb: object) -> AsyncIterator[bytes]:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            async for piece in pieces:
                yield piece
            inside -= 1

    store = Limited(Watched(MemoryStore()), writes=3)
    await asyncio.gather(*(store.write(Name(b"%d" % i), source_of(b"x")) for i in range(20)))
    assert most == 3 and len(await list_all(store)) == 20


async def test_limited_may_read_from_itself_while_it_writes() -> None:
    store = Limited(MemoryStore(), writes=1, others=1)
    await store.write(A, source_of(b"12"))
    source = replace(source_of(b"12"), open=lambda offset: store.read(A, offset))
    await asyncio.wait_for(store.write(B, source), 10)
    assert await read_all(store, B) == b"12"


async def test_counted_counts() -> None:
    store = Counted(MemoryStore())
    await store.write(A, source_of(b"123"))
    await store.write_many(stream([(A, source_of(b"1")), (B, source_of(b"22"))]))
    await read_all(store, B)
    await list_all(store)
    await store.delete([A])
    assert store.calls == {"write": 1, "write_many": 1, "read": 1, "list": 1, "delete": 1}
    assert (store.bytes_written, store.bytes_read) == (6, 2)


@pytest.mark.parametrize("again", [False, True])
async def test_cut_breaks_at_the_very_byte(again: bool) -> None:
    inner = MemoryStore()
    await inner.write(A, source_of(b"0123456789"))
    store, seen = Cut(inner, 7, again), b""
    with pytest.raises(SiteUnreachable):
        async for piece in store.read(A):
            seen += piece
    assert seen == b"0123456"
    if not again:
        assert await read_all(store, A) == b"0123456789"
        return
    with pytest.raises(SiteUnreachable):
        await read_all(store, A)


async def test_cut_in_a_bundle_spares_what_passed_before() -> None:
    store = Cut(MemoryStore(), 4)
    answers = await store.write_many(stream([(Name(b"%d" % i), source_of(b"xxx")) for i in range(3)]))
    assert [type(a) for a in answers] == [Stat, SiteUnreachable, Stat]


async def test_failing_fails_every_third_call() -> None:
    store, told = Failing(MemoryStore(), 3, lambda: Transient("now and then")), list[str]()
    for _ in range(9):
        try:
            await store.write(A, source_of(b"x"))
            told.append("ok")
        except Transient:
            told.append("failed")
    assert told == ["ok", "ok", "failed"] * 3


async def test_may_publish_passes_through() -> None:
    asked: list[Name] = []

    async def note(names: Collection[Name]) -> Collection[Name]:
        asked.extend(names)
        return names

    store = Counted(Limited(MemoryStore()))
    await store.write(A, source_of(b""), may_publish=note)
    await store.write_many(stream([(B, source_of(b""))]), note)
    assert asked == [A, B]
