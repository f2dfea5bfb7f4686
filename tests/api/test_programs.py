"""The questions of sections 4, 5 and 12 as programs ask them: the operations' own types in and out."""

from __future__ import annotations

import pytest
from tests.api.conftest import Api

from everysite.client import Client
from everysite.errors import BadRequest, NotFound
from everysite.tracker import contract as ops
from everysite.tracker.messages import Ids, Query, SiteChange
from everysite.tracker.search_messages import (
    Between,
    ChangedAsked,
    Graph,
    GraphAsked,
    MongoFound,
    MongoQuery,
    Page,
    Reached,
    StateAsked,
)

pytestmark = pytest.mark.anyio


async def test_questions_have_their_own_types(api: Api) -> None:
    await api.create({"_id": "p-a", "p": 1}, {"_id": "p-l", "src_id": "p-b", "tgt_id": "p-a"})
    async with Client(f"http://127.0.0.1:{api.port}", api.tokens["admin"]) as client:
        assert await client.call(ops.SEARCH, Query("p:1")) == Ids(["p-a"])
        one = await client.call(ops.SEARCH_ONE, Query("p:1"))
        assert one.item is not None
        assert one.item["_id"] == "p-a"
        assert (await client.call(ops.SEARCH_ONE, Query("p:2"))).item is None
        assert await client.call(ops.SEARCH_MONGO, MongoQuery({"p": 1}, limit="5")) == MongoFound(1, ["p-a"])
        graph = await client.call(ops.GRAPH, GraphAsked(0, ["p-a"]))
        assert isinstance(graph, Graph)
        assert [item and item["_id"] for item in graph.items] == ["p-a", None, "p-l"]
        assert await client.call(ops.GRAPH_FORWARDS, GraphAsked(1, ["p-l"])) == Reached(["p-l"])
        assert (await client.call(ops.CHANGED, ChangedAsked(1 << 45))) == Page([])
        with pytest.raises(BadRequest):
            await client.call(ops.GRAPH, GraphAsked(0, []))
        assert await client.call(ops.GRAPH_DELETE, Ids(["p-a", "p-none"])) == Ids(["p-a", None])


async def test_lists_between_sites_are_items_for_programs(api: Api) -> None:
    async with Client(f"http://127.0.0.1:{api.port}", api.tokens["admin"]) as client:
        for name in ("lyon", "bonn"):
            await client.call(ops.PUT_SITE, SiteChange(name, create=True))
        await api.ask("POST", "/api/publish", {"_id": "/p-file", "origin": "lyon", "comment": ""})
        listed = await client.call(ops.LISTUP, Between("lyon", "bonn", 5))
        assert [item and item["_id"] for item in listed.items] == ["/p-file"]
        assert (await client.call(ops.AT_SITE, StateAsked("bonn", "missing"))).ids == ["/p-file"]
        with pytest.raises(NotFound, match="known sites"):
            await client.call(ops.LISTDOWN, Between("lyon", "köln/..", 5))
