"""Searches, on every engine: equal to the exact rule over the same documents.

Owns: what `find`, `links` and added indexes promise. Must not know: SQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.index.engines import ENGINES
from tests.index.queries import bodies, searches

from everysite.decide.at_site import stands
from everysite.decide.query import (
    EVERYTHING,
    AtSite,
    Found,
    Predicate,
    Search,
)
from everysite.decide.query_match import matches, sort_value
from everysite.index.contract import Index, Transaction
from everysite.model.clock import Version
from everysite.model.element import Body, Content, Element, Tombstone
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Site
from everysite.model.task import Wish
from everysite.tracker.states import compose

pytestmark = pytest.mark.anyio
T = TypeVar("T")
CONTENT = Content(10, 0, 0o640, bytes(range(32)))
LONG = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def element(key: str, body: Body | None = None, **more: Any) -> Element:
    return Element(key, body or {}, Version(1, 0), **more)


async def put(index: Index, *elements: Element) -> list[Element]:
    return await index.run(lambda t: t.elements.put(elements))


async def keys(
    index: Index, where: Predicate = EVERYTHING, *sort: tuple[str, Literal[1, -1]], **part: int
) -> list[str]:
    search = Search(where, sort, **part)
    return (await index.read(lambda t: t.elements.find(search))).keys


def expected(tx: Transaction, search: Search, counted: bool, everywhere: bool = True) -> Found:
    """The exact rule, over all documents as clients see them."""
    elements = tx.elements.where([], 1_000_000)
    seen: Sequence[Body | None] = compose(tx, elements)
    rows = tx.replicas.of([e.id for e in elements])
    sites = {site.folded: site for site in tx.sites.all()}
    found = []
    for one, body in zip(elements, seen, strict=True):
        assert body is not None

        def at_site(question: AtSite, one: Element = one) -> bool:
            site = sites.get(question.site.lower())
            return site is not None and stands(question.state, one, site, rows.get(one.id, []), everywhere)

        if matches(search.where, body, at_site):
            found.append(body)
    for path, direction in reversed(search.sort):
        found.sort(key=lambda body, p=path, d=direction: sort_value(body, p, d), reverse=direction == -1)  # type: ignore[misc]
    there = [str(body["_id"]) for body in found]
    return Found(there[search.skip :][: search.limit or None], len(there) if counted else None)


class Bench:
    """An index for many examples, emptied between them."""

    def __init__(self, runner: asyncio.Runner, index: Index) -> None:
        self._runner = runner
        self._index = index

    def run(self, unit: Callable[[Transaction], T]) -> T:
        return self._runner.run(self._index.run(unit))

    def read(self, unit: Callable[[Transaction], T]) -> T:
        return self._runner.run(self._index.read(unit))

    def fill(self, documents: Sequence[Element]) -> list[Element]:
        def unit(tx: Transaction) -> list[Element]:
            tx.elements.bury([Tombstone(e.key, Version(1, 0)) for e in tx.elements.where([], 1_000_000)])
            return tx.elements.put(documents)

        return self.run(unit)

    def agree(self, search: Search, counted: bool, everywhere: bool = True) -> None:
        def unit(tx: Transaction) -> None:
            assert tx.elements.find(search, counted) == expected(tx, search, counted, everywhere)

        self.read(unit)


@pytest.fixture(params=list(ENGINES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with asyncio.Runner() as runner:
        opening: Coroutine[Any, Any, Index] = ENGINES[request.param](tmp_path)  # type: ignore[assignment]
        index = runner.run(opening)
        yield Bench(runner, index)
        runner.run(index.close())


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


SITES = ("paris", "Rome", "it_is-3")
switches = st.sampled_from((True, False, 1, 0, "true", " FALSE\n", "1", "0", "maybe", None, 2, [], {}))
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
    from msgspec.structs import replace

    return replace(row, element=there[row.element].id, site=ids[row.site])
