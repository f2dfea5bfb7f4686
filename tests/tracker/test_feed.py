"""The change feed: cursors, waiting, filters, the tail shared by all who follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.tracker.conftest import ADMIN, Agent, Clock, seen

from everysite.errors import BadRequest, CursorLost, Transient
from everysite.index import sqlite
from everysite.index.contract import Index, Transaction
from everysite.model.element import Element, Tombstone
from everysite.model.replica import Replica
from everysite.tracker import feed_tail
from everysite.tracker.contract import CHANGES
from everysite.tracker.core import Limits
from everysite.tracker.feed import EPOCH, Feed
from everysite.tracker.feed_messages import ChangeEntry, Changes, ChangesAsked
from everysite.tracker.operation import Caller
from everysite.tracker.service import Service
from everysite.tracker.sight import sight

pytestmark = pytest.mark.anyio


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    opened = sqlite.open(str(tmp_path / "feed.db"))
    yield opened
    await opened.close()


@pytest.fixture
async def feed(index: Index) -> AsyncIterator[Feed]:
    made = Feed(index, lambda caller: sight(caller, Limits()))
    await made.start()
    yield made
    made.close()


def body(entry: ChangeEntry) -> Any:
    assert isinstance(entry.element, msgspec.Raw)
    return msgspec.json.decode(entry.element)


async def ask(feed: Feed, since: str = "0", caller: Caller = ADMIN, **more: Any) -> Changes:
    return await feed.changes(caller, ChangesAsked(since, **more))


async def put(index: Index, *keys: str, **body: Any) -> list[Element]:
    def unit(tx: Transaction) -> list[Element]:
        old = {e.key: e for e in tx.elements.get(keys) if e is not None}
        return tx.elements.put([Element(key, body, id=old[key].id if key in old else 0) for key in keys])

    return await index.run(unit)


def keys(page: Changes) -> list[str]:
    return [entry.id for entry in page.changes]


async def test_no_cursor_is_from_now_on_and_zero_is_everything(feed: Feed, index: Index) -> None:
    await put(index, "/a")
    now = await ask(feed, "")
    assert now.changes == [] and not now.more
    everything = await ask(feed)
    assert keys(everything) == ["/a"] and everything.cursor == now.cursor
    await put(index, "/b", n=1)
    page = await ask(feed, now.cursor)
    assert [(e.kind, e.id, body(e)) for e in page.changes] == [("element", "/b", {"_id": "/b", "n": 1})]
    assert (await ask(feed, page.cursor)).changes == []


async def test_an_entrys_cursor_goes_on_behind_it(feed: Feed, index: Index) -> None:
    await put(index, *[f"/{n}" for n in range(7)])
    first = await ask(feed, limit=3)
    assert keys(first) == ["/0", "/1", "/2"] and first.more and first.cursor == first.changes[-1].cursor
    assert keys(await ask(feed, first.changes[0].cursor, limit=2)) == ["/1", "/2"]
    rest = await ask(feed, first.cursor)
    assert keys(rest) == ["/3", "/4", "/5", "/6"] and not rest.more


async def test_latest_states_once_and_removals(feed: Feed, index: Index) -> None:
    await put(index, "/a", "/b", "/c")
    await put(index, "/a", again=True)
    await index.run(lambda tx: tx.elements.bury([Tombstone("/b", tx.stamp(1))]))
    page = await ask(feed)
    assert [(e.kind, e.id) for e in page.changes] == [("element", "/c"), ("element", "/a"), ("removed", "/b")]
    assert page.changes[-1].element is msgspec.UNSET


async def test_what_happened_at_a_site_shows_the_element(service: Service, agents: dict[str, Agent]) -> None:
    paris = agents["paris"]
    since = (await service.call(ADMIN, CHANGES, ChangesAsked())).cursor
    await paris.announce(seen("/a", "text"))
    [first] = (await service.call(ADMIN, CHANGES, ChangesAsked(since, prefix="/"))).changes
    assert first.id == "/a" and body(first)["origin"] == "paris"
    await agents["tokyo"].work()
    page = await service.call(ADMIN, CHANGES, ChangesAsked(first.cursor, prefix="/"))
    assert [e.id for e in page.changes] == ["/a"]
    assert body(page.changes[0])["synced_paris"] and body(page.changes[0])["digest"]


async def test_a_cursor_of_another_history_or_from_the_future_is_lost(feed: Feed, index: Index) -> None:
    await put(index, "/a")
    number = (await ask(feed)).cursor.partition(".")[2]
    for lost in (f"0000.{number}", f"{feed.epoch}.{int(number) + 1}", f"{feed.epoch}.999999999999"):
        with pytest.raises(CursorLost, match="since=0"):
            await ask(feed, lost)
    for odd in (
        "x",
        "1",
        f"{feed.epoch}.",
        f"{feed.epoch}.-1",
        f"{feed.epoch}.1x",
        f"{feed.epoch}.\u0661",
        "." + number,
    ):
        with pytest.raises(BadRequest, match="no cursor"):
            await ask(feed, odd)


async def test_cursors_outlive_the_process_but_not_a_restore(feed: Feed, index: Index) -> None:
    await put(index, "/a")
    cursor = (await ask(feed)).cursor
    feed.close()
    await put(index, "/b")
    again = Feed(index, lambda caller: sight(caller, Limits()))
    await again.start()
    assert keys(await ask(again, cursor)) == ["/b"]
    again.close()
    await index.run(lambda tx: tx.set_meta(EPOCH, "restored"))
    restored = Feed(index, lambda caller: sight(caller, Limits()))
    await restored.start()
    with pytest.raises(CursorLost):
        await ask(restored, cursor)
    restored.close()


async def test_waiting_ends_with_the_first_change_or_the_time(feed: Feed, index: Index) -> None:
    since = (await ask(feed, "")).cursor
    assert (await ask(feed, since, wait_ms=20)).changes == []
    waits = [asyncio.create_task(ask(feed, since, wait_ms=60_000)) for _ in range(120)]
    await asyncio.sleep(0.05)
    await put(index, "/a")
    async with asyncio.timeout(10):
        assert {tuple(keys(page)) for page in await asyncio.gather(*waits)} == {("/a",)}


async def test_a_change_between_looking_and_waiting_is_not_missed(feed: Feed, index: Index) -> None:
    since = (await ask(feed, "")).cursor
    for n in range(50):
        waiting = asyncio.create_task(ask(feed, since, wait_ms=60_000))
        for _ in range(n % 7):
            await asyncio.sleep(0)
        await put(index, f"/{n}")
        async with asyncio.timeout(10):
            page = await waiting
        assert keys(page) == [f"/{n}"]
        since = page.cursor


async def test_waiting_for_what_is_not_shown_goes_on(feed: Feed, index: Index) -> None:
    since = (await ask(feed, "")).cursor
    waiting = asyncio.create_task(ask(feed, since, wait_ms=60_000, prefix="/show/"))
    await put(index, "/other")
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await put(index, "/show/x")
    async with asyncio.timeout(10):
        assert keys(await waiting) == ["/show/x"]
    quiet = await ask(feed, since, prefix="/none/")
    assert quiet.changes == [] and quiet.cursor > since, "the cursor passes what was not shown"


async def test_who_waits_is_let_go_at_the_end(feed: Feed, index: Index) -> None:
    since = (await ask(feed, "")).cursor
    waiting = asyncio.create_task(ask(feed, since, wait_ms=60_000))
    await asyncio.sleep(0.05)
    feed.close()
    with pytest.raises(Transient, match="stopping"):
        async with asyncio.timeout(10):
            await waiting


async def test_one_reads_for_all(feed: Feed, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    since = (await ask(feed, "")).cursor
    reads: list[int] = []
    real = feed_tail.read

    def counted(tx: Transaction, after: int, limit: int) -> feed_tail.Page:
        reads.append(after)
        return real(tx, after, limit)

    waits = [asyncio.create_task(ask(feed, since, wait_ms=60_000)) for _ in range(300)]
    await asyncio.sleep(0.05)
    monkeypatch.setattr(feed_tail, "read", counted)
    await put(index, "/a")
    async with asyncio.timeout(10):
        await asyncio.gather(*waits)
    assert len(reads) == 1


async def test_a_wake_needs_no_more_than_one_read_in_a_while(feed: Feed, index: Index) -> None:
    """Writers never wait for those who follow: a hundred commits do not make a hundred wakes."""
    wakes = 0

    async def follow() -> None:
        nonlocal wakes
        since = (await ask(feed, "")).cursor
        while True:
            page = await ask(feed, since, wait_ms=60_000)
            wakes += 1
            since = page.cursor
            if "/99" in keys(page):
                return

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.05)
    for n in range(100):
        await put(index, f"/{n}")
    async with asyncio.timeout(10):
        await following
    assert wakes < 100


async def test_the_tail_is_bounded_and_who_is_behind_reads_the_index(
    feed: Feed, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_tail, "_ENTRIES", 40)
    start = (await ask(feed, "")).cursor
    for n in range(30):
        await put(index, *[f"/{n}-{k}" for k in range(5)])
        assert (await ask(feed, start, limit=1)).changes
    assert len(feed._tail._entries) <= 40
    found: list[str] = []
    since = start
    while (page := await ask(feed, since, limit=7)).changes:
        found += keys(page)
        since = page.cursor
    assert found == [f"/{n}-{k}" for n in range(30) for k in range(5)]


async def test_the_tail_is_bounded_in_bytes(feed: Feed, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_tail, "_BYTES", 10_000)
    await ask(feed, "")
    for n in range(20):
        await put(index, f"/{n}", text="x" * 3_000)
        await ask(feed, "")
    assert sum(len(entry.body) for entry in feed._tail._entries) <= 10_000
    assert len(keys(await ask(feed))) == 20


async def test_gaps_in_the_numbers_are_passed(feed: Feed, index: Index) -> None:
    [made] = await put(index, "/a")
    await index.run(lambda tx: tx.replicas.put([Replica(made.id, 1)]))
    await index.run(lambda tx: tx.replicas.drop([(made.id, 1)]))
    page = await ask(feed)
    assert keys(page) == ["/a"] and page.cursor == (await ask(feed, "")).cursor


async def test_a_password_is_never_told(feed: Feed, index: Index) -> None:
    await put(index, "@ada", username="ada", password="5f4dcc3b5aa765d61d8327deb882cf99")
    [entry] = (await ask(feed)).changes
    assert body(entry) == {"_id": "@ada", "username": "ada"}


async def test_in_author_mode_others_elements_are_not_there(index: Index) -> None:
    feed = Feed(index, lambda caller: sight(caller, Limits(author_mode=True)))
    await feed.start()
    try:
        await put(index, "/mine", author="ada")
        await put(index, "/both", author=["bob", "ada"])
        await put(index, "/his", author="bob")
        await index.run(lambda tx: tx.elements.bury([Tombstone("/gone", tx.stamp(1))]))
        ada, editor = Caller("ada", "user"), Caller("ed", "editor")
        assert keys(await ask(feed, caller=ada)) == ["/mine", "/both"]
        assert keys(await ask(feed, caller=editor)) == []
        assert keys(await ask(feed, caller=Caller("agent:paris", "agent", "paris"))) == [
            "/mine",
            "/both",
            "/his",
            "/gone",
        ]
        assert keys(await ask(feed)) == ["/mine", "/both", "/his", "/gone"]
    finally:
        feed.close()


async def test_what_is_worked_out_for_one_view_is_not_shown_to_another(index: Index) -> None:
    feed = Feed(index, lambda caller: sight(caller, Limits(author_mode=True)))
    await feed.start()
    try:
        since = (await ask(feed, "")).cursor
        await put(index, "/a/mine", author="ada", n=1)
        await put(index, "/b/his", author="bob", n=2)
        views: list[tuple[Caller, dict[str, Any], list[str]]] = [
            (ADMIN, {}, ["/a/mine", "/b/his"]),
            (Caller("ada", "user"), {}, ["/a/mine"]),
            (Caller("bob", "user"), {}, ["/b/his"]),
            (Caller("admin", "admin", prefix="/b/"), {}, ["/b/his"]),
            (ADMIN, {"prefix": "/a/"}, ["/a/mine"]),
            (ADMIN, {"query": "n:2"}, ["/b/his"]),
            (ADMIN, {"query": "n:1"}, ["/a/mine"]),
            (ADMIN, {"limit": 1}, ["/a/mine"]),
        ]
        for caller, more, shown in [*views, *views[::-1]]:
            assert keys(await ask(feed, since, caller=caller, **more)) == shown, (caller, more)
        await put(index, "/a/new", author="ada")
        assert keys(await ask(feed, since, caller=Caller("ada", "user"))) == ["/a/mine", "/a/new"]
    finally:
        feed.close()


async def test_a_token_for_a_prefix_follows_what_lies_below_it(feed: Feed, index: Index) -> None:
    await put(index, "/a/x", "/b/x")
    await put(index, "child", **{"#parent": "/a/x"})
    await index.run(lambda tx: tx.elements.bury([Tombstone("/a/y", tx.stamp(1)), Tombstone("/b/y", tx.stamp(1))]))
    assert keys(await ask(feed, caller=Caller("ada", "user", prefix="/a/"))) == ["/a/x", "child", "/a/y"]


async def test_a_query_chooses_among_elements(feed: Feed, index: Index) -> None:
    await put(index, "/a", shot="s1", n=5)
    await put(index, "/b", shot="s2", n=7)
    await index.run(lambda tx: tx.elements.bury([Tombstone("/c", tx.stamp(1))]))
    assert keys(await ask(feed, query="shot:s1")) == ["/a", "/c"]
    assert keys(await ask(feed, query="n>5 shot:/^s/")) == ["/b", "/c"]
    since = (await ask(feed, "")).cursor
    waiting = asyncio.create_task(ask(feed, since, wait_ms=60_000, query="shot:s1"))
    await asyncio.sleep(0.05)
    await put(index, "/b", shot="s3")
    await put(index, "/a", shot="s1", n=6)
    async with asyncio.timeout(10):
        assert keys(await waiting) == ["/a"]
    for odd in ("missing@paris", "a:1 error@paris", "a:/(/"):
        with pytest.raises(BadRequest):
            await ask(feed, query=odd)


async def test_nobody_follows_without_the_right(service: Service, clock: Clock) -> None:
    for rank in ("guest", "user", "agent"):
        await service.call(Caller("x", rank), CHANGES, ChangesAsked())
