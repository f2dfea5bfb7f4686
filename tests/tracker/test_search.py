"""Searches: who sees what of them, which are served at once, pages, and indexes that come and go."""

from __future__ import annotations

import pytest

from everysite.decide.query import EVERYTHING, And, Compare, Equals, Not, OneOf, Or, Predicate
from everysite.errors import BadRequest, Forbidden, NotFound
from everysite.index.contract import Index
from everysite.model.element import Element
from everysite.tracker.contract import ADD_INDEX, CHANGED, INDEXES, REMOVE_INDEX, SEARCH, SEARCH_MONGO, SEARCH_ONE
from everysite.tracker.core import Core, Limits
from everysite.tracker.indexes import IndexVerbs
from everysite.tracker.messages import Nothing, Query
from everysite.tracker.operation import Caller
from everysite.tracker.search_messages import ChangedAsked, IndexKey, MongoQuery
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio
ADMIN = Caller("admin", "admin")
GUEST = Caller("gus", "guest")
IN_SHOTS = Caller("ada", "user", prefix="/shots/", scoped=True)


@pytest.fixture
async def index(service: Service) -> Index:
    index = service._core.index
    elements = [
        Element("/shots/b", {"k": 1, "time": 10, "author": "ada"}),
        Element("/shots/a", {"k": 1, "time": 20, "author": "bob"}),
        Element("/other", {"k": 1, "time": 30, "author": "ada"}),
        Element("note", {"k": 2, "#parent": "/shots/a", "time": 40}),
    ]
    await index.run(lambda tx: tx.elements.put(elements))
    return index


async def test_a_search_answers_in_the_order_of_creation(service: Service, index: Index) -> None:
    assert (await service.call(GUEST, SEARCH, Query("k:1"))).ids == ["/shots/b", "/shots/a", "/other"]
    assert (await service.call(GUEST, SEARCH, Query("k:1", 2))).ids == ["/shots/b", "/shots/a"]
    assert (await service.call(GUEST, SEARCH, Query("k:1", -5))).ids == ["/shots/b", "/shots/a", "/other"]
    first = await service.call(GUEST, SEARCH_ONE, Query("k:1"))
    assert first.item is not None
    assert first.item["_id"] == "/shots/b"
    assert (await service.call(GUEST, SEARCH_ONE, Query("k:3"))).item is None


async def test_a_token_for_a_prefix_finds_nothing_beside_it(service: Service, index: Index) -> None:
    assert (await service.call(IN_SHOTS, SEARCH, Query("*"))).ids == ["/shots/b", "/shots/a", "note"]
    found = await service.call(IN_SHOTS, SEARCH_MONGO, MongoQuery({"$or": [{"_id": "/other"}, {"k": 2}]}))
    assert (found.count, found.ids) == (1, ["note"])
    assert (await service.call(IN_SHOTS, SEARCH_ONE, Query("_id:/other"))).item is None
    assert (await service.call(IN_SHOTS, CHANGED, ChangedAsked(0))).ids == ["/shots/a", "/shots/b", "note"]


async def test_pages_go_on_where_the_last_one_ended(service: Service, index: Index) -> None:
    one = await service.call(GUEST, CHANGED, ChangedAsked(10, limit=2))
    assert (one.ids, one.next) == (["/other", "/shots/a"], "/shots/a")
    two = await service.call(GUEST, CHANGED, ChangedAsked(10, one.next, 2))
    assert (two.ids[0], two.next) == ("note", "")
    assert (await service.call(GUEST, CHANGED, ChangedAsked(0, "zzz"))).ids == []
    assert len((await service.call(GUEST, CHANGED, ChangedAsked(0, limit=-1))).ids) == 1


async def test_a_time_ago_is_counted_from_the_trackers_clock(service: Service, index: Index) -> None:
    now = service._core.clock()
    await index.run(lambda tx: tx.elements.put([Element("recent", {"time": now - 30_000})]))
    assert "recent" in (await service.call(GUEST, SEARCH, Query("changed@1m"))).ids
    assert "recent" not in (await service.call(GUEST, SEARCH, Query("changed@10s"))).ids


async def test_indexes_come_and_go(service: Service, index: Index) -> None:
    before = (await service.call(GUEST, INDEXES, Nothing())).keys
    assert before == sorted({*before, "_id", "#parent"})
    assert (await service.call(ADMIN, ADD_INDEX, IndexKey("deep.key"))).keys == sorted([*before, "deep.key"])
    assert (await service.call(ADMIN, REMOVE_INDEX, IndexKey("deep.key"))).keys == before
    with pytest.raises(NotFound, match="everysite index list"):
        await service.call(ADMIN, REMOVE_INDEX, IndexKey("deep.key"))
    for bad in ("", "a..b", "$where", "a.$b", "x" * 201):
        with pytest.raises(BadRequest, match="is no key"):
            await service.call(ADMIN, ADD_INDEX, IndexKey(bad))
    with pytest.raises(Forbidden):
        await service.call(Caller("ed", "editor"), ADD_INDEX, IndexKey("k"))


async def test_there_is_an_end_to_indexes(service: Service, index: Index) -> None:
    with pytest.raises(BadRequest, match="remove one first"):
        for number in range(100):
            await service.call(ADMIN, ADD_INDEX, IndexKey(f"key{number}"))


@pytest.mark.parametrize(
    ("where", "served"),
    [
        (Equals("_id", "x"), True),
        (Equals("origin", "paris"), True),
        (Equals("origin", None), False),  # what has no origin stands in no index
        (Equals("comment", "x"), False),
        (OneOf("time", (1, "1")), True),
        (OneOf("time", (1, None)), False),
        (And((Compare("comment", ">", 1), Equals("#parent", "/a"))), True),
        (Or((Equals("_id", "x"), Equals("_id", "y"))), True),
        (Or((Equals("_id", "x"), Equals("k", "y"))), False),
        (Or(()), True),
        (Not(Equals("_id", "x")), False),
        (EVERYTHING, False),
    ],
)
async def test_what_an_index_serves_is_known(index: Index, where: Predicate, served: bool) -> None:
    assert await IndexVerbs(Core(index, Limits())).serve(where) is served
