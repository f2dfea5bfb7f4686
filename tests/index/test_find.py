"""Searches, on every engine: equal to the exact rule over the same documents.

Owns: what `find`, `links` and added indexes promise. Must not know: SQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.index.engines import Factory
from tests.index.oracle import Bench, element
from tests.index.queries import bodies, searches

from everysite.decide.query import EVERYTHING, And, Compare, Equals, Found, Matches, Not, Or, Predicate, Search
from everysite.errors import BadRequest, TooCostly
from everysite.index.contract import Index, Transaction
from everysite.model.element import Body, Content, Element
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Site
from everysite.model.task import Wish

pytestmark = pytest.mark.anyio
T = TypeVar("T")
CONTENT = Content(10, 0, 0o640, bytes(range(32)))
LONG = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


async def put(index: Index, *elements: Element) -> list[Element]:
    return await index.run(lambda t: t.elements.put(elements))


async def keys(
    index: Index, where: Predicate = EVERYTHING, *sort: tuple[str, Literal[1, -1]], **part: int
) -> list[str]:
    search = Search(where, sort, **part)
    return (await index.read(lambda t: t.elements.find(search))).keys


identifiers = st.lists(
    st.sampled_from(("a", "A", "/a", "/b", "5", "ä", "x%", "x_", "/a/b", "true")), unique=True, min_size=1
)


def test_any_query_finds_what_the_exact_rule_finds(bench: Bench) -> None:
    @LONG
    @given(
        identifiers,
        st.lists(bodies, min_size=10, max_size=10),
        st.lists(searches(), min_size=8, max_size=8),
        st.booleans(),
    )
    def attempt(names: list[str], documents: list[Body], asked: list[Search], counted: bool) -> None:
        bench.fill([element(name, body) for name, body in zip(names, documents, strict=False)])
        for search in asked:
            bench.agree(search, counted)

    attempt()


def test_an_added_index_changes_no_answer(bench: Bench) -> None:
    for path in ("a", "a.b", "b.0", "c", "it's", 'q"', "\\", "{k}", "?", "$x", "ä"):
        bench.run(lambda tx, path=path: tx.elements.add_index(path))  # type: ignore[misc]

    @LONG
    @given(
        identifiers,
        st.lists(bodies, min_size=10, max_size=10),
        st.lists(searches(), min_size=8, max_size=8),
        st.booleans(),
    )
    def attempt(names: list[str], documents: list[Body], asked: list[Search], counted: bool) -> None:
        bench.fill([element(name, body) for name, body in zip(names, documents, strict=False)])
        for search in asked:
            bench.agree(search, counted)

    attempt()


async def test_the_order_across_types(index: Index) -> None:
    values = [
        True,
        [[1]],
        {"b": 1},
        {"a": 2},
        {"a": 1},
        "b",
        "B",
        "ä",
        "",
        5,
        -1,
        0.5,
        2**70,
        None,
        [],
        [9, "c"],
        False,
    ]
    await put(index, *(element(f"{n:02}", {"v": value}) for n, value in enumerate(values)), element("absent"))
    up = [13, "absent", 10, 11, 9, 12, 8, 6, 5, 7, 4, 3, 2, 14, 15, 1, 16, 0]
    assert await keys(index, EVERYTHING, ("v", 1)) == [n if isinstance(n, str) else f"{n:02}" for n in up]
    down = [0, 16, 1, 15, 14, 2, 3, 4, 7, 5, 6, 8, 12, 9, 11, 10, 13, "absent"]
    found = await keys(index, EVERYTHING, ("v", -1))
    assert found == [n if isinstance(n, str) else f"{n:02}" for n in down]


async def test_without_an_order_the_oldest_come_first(index: Index) -> None:
    await put(index, element("z"), element("a"), element("m"))
    assert await keys(index) == ["z", "a", "m"]
    assert await keys(index, EVERYTHING, ("absent", -1)) == ["z", "a", "m"]
    assert await keys(index, skip=1, limit=1) == ["a"]
    assert await keys(index, skip=5) == []


async def test_counted_is_before_skip_and_limit(index: Index) -> None:
    await put(index, *(element(str(n), {"n": n, "t": [n]}) for n in range(10)))
    for where in (Compare("n", ">", 2), Compare("t", ">", 2), And((Compare("n", ">", 2), Matches("_id", ".")))):
        search = Search(where, skip=3, limit=2)
        assert await index.read(lambda t, s=search: t.elements.find(s, counted=True)) == Found(["6", "7"], 7)  # type: ignore[misc]
        assert await index.read(lambda t, s=search: t.elements.find(s)) == Found(["6", "7"])  # type: ignore[misc]


@pytest.mark.parametrize("never", [Or(()), And((Or(()), Matches("n", "(x)")))])
async def test_what_can_never_hold_finds_nothing(index: Index, never: Predicate) -> None:
    await put(index, element("a", {"src_id": "x", "n": 1}))
    search = Search(And((Equals("src_id", "x"), never)), (("n", 1),))
    assert await index.read(lambda t: t.elements.find(search, counted=True)) == Found([], 0)
    assert await keys(index, Not(never)) == ["a"]


@pytest.mark.parametrize("side", ["src_id", "tgt_id"])
async def test_links_are_found_from_either_side(index: Index, side: Literal["src_id", "tgt_id"]) -> None:
    await put(index, element("z", {side: "/a"}), element("b", {side: "/b"}), element("a", {side: "/a"}), element("/a"))
    await put(index, element("odd", {side: ["/a"]}), element("n", {side: 5}), element("deep", {"x": {side: "/a"}}))

    async def links(*ends: str, limit: int = 10) -> list[str]:
        return [e.key for e in await index.read(lambda t: t.elements.links(side, ends, limit))]

    assert await links("/a") == ["z", "a"]
    assert await links("/a", "/b", "5", "/c\0") == ["z", "b", "a"]
    assert await links("/a", "/b", limit=2) == ["z", "b"]
    assert await links() == []
    found = await index.read(lambda t: t.elements.links(side, ["/b"], 1))
    assert found == await index.read(lambda t: t.elements.get(["b"]))
    await put(index, element("b", {side: "/else"}, id=found[0].id))
    assert await links("/b") == []


async def test_an_index_is_added_listed_kept_and_dropped(engine: Factory, tmp_path: Path) -> None:
    index = await engine(tmp_path)
    always = await index.read(lambda t: t.elements.indexed())
    assert {"_id", "#parent", "src_id", "tgt_id", "time", "origin"} <= set(always)
    for path in ("A", "a", "deep.it's", "a", "time"):
        await index.run(lambda t, path=path: t.elements.add_index(path))  # type: ignore[misc]
    await index.close()
    index = await engine(tmp_path)
    listed = await index.read(lambda t: t.elements.indexed())
    assert listed == sorted({*always, "A", "a", "deep.it's"})
    assert await index.run(lambda t: t.elements.drop_index("a")) is True
    assert await index.run(lambda t: t.elements.drop_index("a")) is False
    assert await index.run(lambda t: t.elements.drop_index("time")) is False
    assert await index.read(lambda t: t.elements.indexed()) == sorted({*always, "A", "deep.it's"})
    await index.close()


@pytest.mark.parametrize("path", ["", "a.", ".a", "a..b", "a\0", "\ud800", "digest", "synced_paris"])
async def test_what_is_no_key_gets_no_index(index: Index, path: str) -> None:
    with pytest.raises(BadRequest):
        await index.run(lambda t: t.elements.add_index(path))


async def test_an_added_index_is_undone_with_its_unit(index: Index) -> None:
    def unit(tx: Transaction) -> None:
        tx.elements.add_index("n")
        assert "n" in tx.elements.indexed()
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        await index.run(unit)
    assert "n" not in await index.read(lambda t: t.elements.indexed())
    await put(index, element("a", {"n": 1}))
    assert await keys(index, Equals("n", 1)) == ["a"]
    assert "n" not in await index.run(lambda t: t.elements.indexed())


@pytest.mark.parametrize("body", [{"a\0": 1}, {"a": {"b\0c": 1}}, {"a": [{"\0": None}]}])
async def test_a_key_with_a_nul_is_refused(index: Index, body: Body) -> None:
    with pytest.raises(BadRequest, match="NUL"):
        await put(index, element("x"), element("y", body))
    assert await keys(index) == []
    await put(index, element("x", {"a": "\0"}))


async def test_a_broken_expression_is_a_bad_request(index: Index) -> None:
    await put(index, element("a", {"n": "x"}))
    with pytest.raises(BadRequest):
        await keys(index, Matches("n", "("))


async def test_a_search_that_takes_too_long_is_ended(index: Index) -> None:
    await put(index, *(element(f"/{n}", {"n": "x" * 50}) for n in range(3_000)))
    search = Search(And((Matches("n", "x.*y"), Matches("n", "(x+)+y"))))

    def unit(tx: Transaction) -> None:
        while True:
            tx.elements.find(search, True)

    with pytest.raises(TooCostly):
        await index.read(unit, scan=True, seconds=0.05)
    assert await keys(index, Equals("_id", "/5")) == ["/5"]


async def test_a_search_sees_one_state_while_others_write(index: Index) -> None:
    """Two documents are always written together; no search sees one of them only, by whatever index."""
    await index.run(lambda t: t.elements.add_index("n"))
    one, other = await put(index, element("a", {"n": 0, "m": 0}), element("b", {"n": 0, "m": 0}))
    stop = False

    async def write() -> int:
        turns = 0
        while not stop:
            turns += 1
            body = {"n": turns % 7, "m": turns % 7, "time": turns}
            await put(index, replace(one, body=body), replace(other, body=body))
            if turns % 50 == 0:
                await index.run(lambda t: t.elements.drop_index("n"))
                await index.run(lambda t: t.elements.add_index("n"))
        return turns

    async def look(scan: bool) -> int:
        seen = 0
        for turn in range(300):
            where = (Equals("n", turn % 7), Equals("m", turn % 7), Or((Matches("n", "x"), Compare("n", ">", turn % 7))))
            for one_where in where:
                search = Search(one_where, (("time", 1),))
                found = await index.read(lambda t, s=search: t.elements.find(s, True), scan=scan)  # type: ignore[misc]
                assert found in (Found([], 0), Found(["a", "b"], 2))
                seen += len(found.keys)
        return seen

    writing = asyncio.create_task(write())
    seen = await asyncio.gather(look(True), look(True), look(False))
    stop = True
    assert await writing > 10
    assert all(seen)


SITES = ("paris", "Rome", "it_is-3")
switches: st.SearchStrategy[Any] = st.sampled_from(
    (True, False, 1, 0, "true", " FALSE\n", "1", "0", "maybe", None, 2, [], {})
)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "sync_paris": switches,
        "sync_Rome": switches,
        "syncEverywhere": switches,
        "origin": st.sampled_from((*SITES, "PARIS", "elsewhere", 5)),
        "deletedEverywhere": st.sampled_from((5, 0, "", False, [], {}, [0], None, "x")),
        "a": st.sampled_from((1, "x", [1, "x"])),
    },
)
small = st.integers(0, 2)
rows = st.builds(
    Replica,
    st.integers(0, 5),
    st.integers(0, 2),
    gen=small,
    synced=small,
    syncing=small,
    error=small,
    error_text=st.sampled_from(("", "x", "5")),
    attempted=small,
    modified=st.sampled_from((0, 0, 0, 1)),
    deleted=st.sampled_from((0, 0, 0, 1)),
)


def test_states_of_sites_are_found_as_clients_see_them(bench: Bench) -> None:
    made = [bench.run(lambda tx, name=name: tx.sites.put(Site(name, name))) for name in SITES]  # type: ignore[misc]
    ids = [site.id for site in made]
    maps = [bench.run(lambda tx, n=n: tx.sites.put_mapping(Mapping(n, "file:///x/"))).id for n in ids]  # type: ignore[misc]
    globals_key = "rsyncGlobalParameters"
    paths = ("a", "_id", "digest", "time", "origin", "sync_paris")
    file = st.tuples(wishes, small, st.sampled_from((None, CONTENT)), st.sampled_from((0, *ids)))

    @LONG
    @given(
        st.lists(file, min_size=6, max_size=6),
        st.lists(rows, max_size=10),
        st.lists(searches(SITES, paths), min_size=10, max_size=10),
        st.sampled_from((True, False, None)),
        st.booleans(),
    )
    def attempt(
        files: list[Any], copies: list[Replica], asked: list[Search], everywhere: bool | None, counted: bool
    ) -> None:
        documents = [
            element(f"/{n}" if n < 5 else "doc", body, gen=gen, content=content, origin=origin)
            for n, (body, gen, content, origin) in enumerate(files)
        ]
        parameters = {} if everywhere is None else {"syncEverywhere": everywhere}
        there = bench.fill([*documents, element(globals_key, parameters)])

        def unit(tx: Transaction) -> None:
            numbered = {(r.element, r.site): r for r in copies if r.element < 5}
            tx.replicas.put([_placed(r, there, ids) for r in numbered.values()])
            tx.tasks.wish([Wish(maps[n % 3], there[n].key, "present", there[n].id, 1) for n in range(3)])
            tx.tasks.claim(maps[0], [there[0].key], tx.leases.open(maps[0], 1, 9, since=len(copies)).id)

        bench.run(unit)
        for search in asked:
            bench.agree(search, counted, everywhere is not False)

    attempt()


def _placed(row: Replica, there: Sequence[Element], ids: Sequence[int]) -> Replica:
    return replace(row, element=there[row.element].id, site=ids[row.site])
