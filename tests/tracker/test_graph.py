"""Walks along links: a machine compares them with a plain one over random graphs; bounds and what is not seen."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everysite.errors import BadRequest, TooLarge
from everysite.index import sqlite
from everysite.model.element import Element
from everysite.tracker.core import Core, Limits
from everysite.tracker.graph import GraphVerbs
from everysite.tracker.operation import Caller
from everysite.tracker.search_messages import GraphAsked

ADMIN = Caller("admin", "admin")
NODES = "abcdefg"
links = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=15)


def plain(edges: list[tuple[str, str]], start: list[str], depth: int, forwards: bool) -> tuple[set[str], set[str]]:
    """Nodes and links reached, by the definition."""
    nodes, found, level = set(start), set(), set(start)
    left = depth or -1
    while level and left:
        ends = [(n, (src, tgt) if forwards else (tgt, src)) for n, (src, tgt) in enumerate(edges)]
        step = {f"link{n}": far for n, (near, far) in ends if near in level}
        found |= set(step)
        level = set(step.values()) - nodes
        nodes |= level
        left -= 1
    return nodes, found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    links, st.lists(st.sampled_from(NODES), min_size=1, max_size=3), st.integers(0, 3), st.sets(st.sampled_from(NODES))
)
def test_a_walk_reaches_what_the_definition_says(
    tmp_path_factory: pytest.TempPathFactory,
    edges: list[tuple[str, str]],
    start: list[str],
    depth: int,
    missing: set[str],
) -> None:
    async def walk(home: Path) -> None:
        index = sqlite.open(str(home / "index.db"))
        try:
            made = [Element(name, {}) for name in NODES if name not in missing]
            made += [Element(f"link{n}", {"src_id": src, "tgt_id": tgt}) for n, (src, tgt) in enumerate(edges)]
            await index.run(lambda tx: tx.elements.put(made))
            verbs = GraphVerbs(Core(index))
            nodes, found = plain(edges, start, depth, forwards=False)
            graph = await verbs.graph(ADMIN, GraphAsked(depth, [*start]))
            there = [None if item is None else item["_id"] for item in graph.items]
            asked = list(dict.fromkeys(start))
            assert there[: len(asked)] == [None if name in missing else name for name in asked]
            assert set(there) - {None} == (nodes - missing) | found
            assert there.count(None) == len(nodes & missing)
            assert len(there) == len(nodes) + len(found)
            back = await verbs.backwards(ADMIN, GraphAsked(depth, [*start]))
            assert back.ids == [name for name in there if name is not None]
            nodes, found = plain(edges, start, depth, forwards=True)
            forth = await verbs.forwards(ADMIN, GraphAsked(depth, [*start]))
            assert sorted(forth.ids) == sorted((nodes - missing) | found)
        finally:
            await index.close()

    anyio.run(walk, tmp_path_factory.mktemp("graph"))


@pytest.mark.anyio
async def test_a_walk_keeps_its_bound(tmp_path: Path) -> None:
    index = sqlite.open(str(tmp_path / "index.db"))
    try:
        many = [Element(f"link{n}", {"src_id": f"n{n}", "tgt_id": "hub"}) for n in range(50)]
        await index.run(lambda tx: tx.elements.put([Element("hub", {}), *many]))
        for bound, truncated in ((10, 10), (100, 100), (101, 0)):
            verbs = GraphVerbs(Core(index, Limits(graph=bound)))
            graph = await verbs.graph(ADMIN, GraphAsked(0, ["hub"]))
            assert (graph.truncated, len(graph.items) <= bound) == (truncated, True)
        with pytest.raises(TooLarge):
            await GraphVerbs(Core(index, Limits(batch=1))).graph(ADMIN, GraphAsked(0, ["a", "b"]))
        with pytest.raises(BadRequest):
            await GraphVerbs(Core(index)).graph(ADMIN, GraphAsked(0, [None]))
    finally:
        await index.close()


@pytest.mark.anyio
async def test_a_token_for_a_prefix_walks_inside_it(tmp_path: Path) -> None:
    index = sqlite.open(str(tmp_path / "index.db"))
    try:
        made = [
            Element("/in/a", {}),
            Element("/in/b", {}),
            Element("/out", {}),
            Element("inside", {"src_id": "/in/b", "tgt_id": "/in/a"}),
            Element("across", {"src_id": "/out", "tgt_id": "/in/a"}),
        ]
        await index.run(lambda tx: tx.elements.put(made))
        verbs = GraphVerbs(Core(index))
        reached = await verbs.backwards(
            Caller("ada", "user", prefix="/in/", scoped=True), GraphAsked(0, ["/in/a", "/out"])
        )
        assert reached.ids == ["/in/a", "/in/b", "inside"]
    finally:
        await index.close()
