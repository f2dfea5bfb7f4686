"""The change feed, history, credentials and tokens, on every engine."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

from everysite.errors import Conflict
from everysite.index.contract import Change, Event, Index, Token, Transaction
from everysite.model.clock import Version
from everysite.model.element import Element, Tombstone
from everysite.model.replica import Replica

pytestmark = pytest.mark.anyio


def seen(changes: list[Change]) -> list[tuple[str, str, int]]:
    return [(change.kind, change.key, change.site) for change in changes]


async def test_changes_are_latest_states_in_order(index: Index) -> None:
    assert await index.read(lambda t: t.changes(0)) == []

    def unit(t: Transaction) -> None:
        a, b = t.elements.put([Element("/a", {}), Element("/b", {})])
        t.replicas.put([Replica(a.id, 1), Replica(b.id, 2)])
        t.elements.put([a])
        t.elements.put([Element("/c", {})])
        t.elements.bury([Tombstone("/b", Version(1, 0))])
        t.replicas.put([Replica(a.id, 1, gen=2)])

    await index.run(unit)
    changes = await index.read(lambda t: t.changes(0))
    assert seen(changes) == [("element", "/a", 0), ("element", "/c", 0), ("tombstone", "/b", 0), ("replica", "/a", 1)]
    numbers = [change.number for change in changes]
    assert numbers == sorted(set(numbers))
    assert await index.read(lambda t: t.changes(numbers[1])) == changes[2:]
    assert await index.read(lambda t: t.changes(numbers[0], 2)) == changes[1:3]
    assert await index.read(lambda t: t.changes(numbers[-1])) == []


async def test_what_was_dropped_gives_its_numbers_to_nobody(index: Index) -> None:
    (made,) = await index.run(lambda t: t.elements.put([Element("/a", {})]))
    await index.run(lambda t: t.replicas.put([Replica(made.id, 1)]))
    (last,) = (await index.read(lambda t: t.changes(0)))[-1:]
    await index.run(lambda t: t.replicas.drop([(made.id, 1)]))
    await index.run(lambda t: t.replicas.put([Replica(made.id, 1)]))
    assert seen(await index.read(lambda t: t.changes(last.number))) == [("replica", "/a", 1)]


async def test_a_cursor_walks_everything_in_pages(index: Index) -> None:
    made = await index.run(lambda t: t.elements.put([Element(f"/{n}", {}) for n in range(300)]))
    await index.run(lambda t: t.replicas.put([Replica(e.id, 1) for e in made]))
    found: list[Change] = []

    def after(number: int, t: Transaction) -> list[Change]:
        return t.changes(number, 70)

    while page := await index.read(partial(after, found[-1].number if found else 0)):
        found += page
    assert seen(found) == [("element", e.key, 0) for e in made] + [("replica", e.key, 1) for e in made]


async def test_history_is_newest_first(index: Index) -> None:
    events = [Event("/a", n, "published", n % 2, "me", "ö") for n in range(5)]
    await index.run(lambda t: t.history.add([*events, Event("/b", 9, "deleted")]))
    got = await index.read(lambda t: t.history.of("/a"))
    assert [msgspec.structs.replace(event, seq=0) for event in got] == events[::-1]
    assert [event.at for event in await index.read(lambda t: t.history.of("/a", 2))] == [4, 3]
    assert [event.seq for event in got] == sorted((event.seq for event in got), reverse=True)
    assert await index.read(lambda t: t.history.of("/none")) == []


async def test_credentials(index: Index) -> None:
    await index.run(lambda t: t.access.set_credential("me", "one"))
    await index.run(lambda t: t.access.set_credential("me", "two"))
    assert await index.read(lambda t: t.access.credential("me")) == "two"
    assert await index.read(lambda t: t.access.credential("ME")) is None
    await index.run(lambda t: t.access.drop_credential("me"))
    assert await index.read(lambda t: t.access.credential("me")) is None


async def test_tokens(index: Index) -> None:
    one = await index.run(lambda t: t.access.add_token(Token(b"\0h1", "me", "agent", "*", 50, 1, 2, "laptop")))
    two = await index.run(lambda t: t.access.add_token(Token(b"h2", "you")))
    with pytest.raises(Conflict):
        await index.run(lambda t: t.access.add_token(Token(b"h2", "other")))
    assert await index.read(lambda t: t.access.token(b"\0h1")) == one
    assert await index.read(lambda t: t.access.token(b"h")) is None
    assert await index.read(lambda t: t.access.tokens()) == [one, two]
    assert await index.read(lambda t: t.access.tokens("you")) == [two]
    await index.run(lambda t: t.access.touch_tokens([(two.id, 77)]))
    assert [token.used for token in await index.read(lambda t: t.access.tokens("you"))] == [77]
    assert await index.run(lambda t: t.access.drop_tokens([one.id, 999])) == 1
    assert await index.read(lambda t: t.access.token(b"\0h1")) is None


async def test_the_last_number_is_known(index: Index) -> None:
    assert await index.read(lambda t: t.last_change()) == 0
    await index.run(lambda t: t.elements.put([Element("/a", {}), Element("/b", {})]))
    changes = await index.read(lambda t: t.changes(0))
    assert await index.read(lambda t: t.last_change()) == changes[-1].number


async def test_listeners_hear_of_a_commit_before_its_writer_goes_on(index: Index) -> None:
    heard: list[int] = []
    end = index.listen(lambda: heard.append(1))
    await index.run(lambda t: t.elements.put([Element("/a", {})]))
    assert heard == [1]
    with pytest.raises(Conflict):
        await index.run(lambda t: t.elements.put([Element("/a", {})]))
    before = len(heard)
    end()
    await index.run(lambda t: t.elements.put([Element("/b", {})]))
    assert len(heard) == before
