"""How SQLite carries searches out: by which index, at every bound, with any path."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.index.engines import Factory, open_sqlite
from tests.index.oracle import Bench, element
from tests.index.queries import bodies, searches
from tests.index.test_find import identifiers

from everysite.decide.query import (
    EVERYTHING,
    And,
    ChangedSince,
    Compare,
    Contains,
    Equals,
    Matches,
    OneOf,
    Predicate,
    Search,
)
from everysite.index import sqlite, sqlite_find, sqlite_way
from everysite.index.conditions import findable
from everysite.index.sqlite import SqliteIndex
from everysite.index.sqlite_paths import ranked, ranked_sql
from everysite.model.element import Body

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine() -> Factory:
    """This engine alone, under `bench` too."""
    return open_sqlite


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[SqliteIndex]:
    index = sqlite.open(str(tmp_path / "index.db"))
    yield index
    await index.close()


def test_every_bound_is_crossed_without_a_trace(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same documents and queries as ever, with all bounds so low that each way is taken."""
    monkeypatch.setattr(sqlite_way, "_BOUNDS", (2, 4))
    monkeypatch.setattr(sqlite_find, "_EARLY", 3)
    monkeypatch.setattr(sqlite_find, "_PAGE", 2)
    monkeypatch.setattr(sqlite_find, "_CHUNK", 3)
    for path in ("a", "b", "a.b"):
        bench.run(lambda tx, path=path: tx.elements.add_index(path))  # type: ignore[misc]
    paths = ("a", "b", "a.b", "_id", "time", "origin", "#parent", "c")

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        identifiers,
        st.lists(bodies, min_size=10, max_size=10),
        st.lists(searches((), paths), min_size=10),
        st.booleans(),
    )
    def attempt(names: list[str], documents: list[Body], asked: list[Search], counted: bool) -> None:
        bench.fill([element(name, body) for name, body in zip(names, documents, strict=False)])
        for search in asked:
            bench.agree(search, counted)

    attempt()


@pytest.mark.parametrize("bound", ["_MOST_VALUES", "_LONGEST"])
def test_what_is_too_large_for_the_engine_is_looked_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(sqlite_find, bound, 0)
    bench.fill([element(str(n), {"a": n}) for n in range(5)])
    bench.agree(Search(Compare("a", ">", 2)), True)
    bench.agree(Search(And((Equals("src_id", "x"), Compare("a", ">", 2)))), True)


def test_a_deep_or_wide_query_is_no_trouble(bench: Bench) -> None:
    bench.fill([element(str(n), {"a": n}) for n in range(5)])
    deep: Predicate = Equals("a", 1)
    for _ in range(70):
        deep = And((deep, Equals("a", 1)))
    for where in (deep, And((Compare("a", ">", 0),) * 3_000), OneOf("a", tuple(range(2, 60_000)))):
        bench.agree(Search(where), True)


class Asked:
    """What the engine is asked while a search runs."""

    def __init__(self, tx: Any) -> None:
        self._db: apsw.Connection = tx.elements._db
        self.plans: list[str] = []

    def __enter__(self) -> Asked:
        self._db.set_exec_trace(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._db.set_exec_trace(None)

    def _note(self, cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        if not sql.startswith(("EXPLAIN", "PRAGMA")) and "element" in sql:
            self._db.set_exec_trace(None)
            self.plans += [str(row[3]) for row in self._db.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]
            self._db.set_exec_trace(self._note)
        return True


async def plans(index: SqliteIndex, search: Search, counted: bool = False) -> list[str]:
    def unit(tx: Any) -> list[str]:
        with Asked(tx) as asked:
            tx.elements.find(search, counted)
        return [step for step in asked.plans if "element" in step]

    return await index.read(unit)


ADDED = ("n", "deep.n", "it's", 'q"u')


@pytest.mark.parametrize(
    "where",
    [
        *(
            Equals(path, value)
            for path in (*ADDED, "time", "src_id", "tgt_id", "origin", "#parent")
            for value in (5, "x")
        ),
        *(Compare(path, ">=", value) for path in (*ADDED, "time", "origin") for value in (5, "x")),
        And((Compare("n", ">", 5), Compare("n", "<=", 9))),
        And((Compare("n", "<", "x"), And((Compare("n", ">", "b"), Equals("other", 1))))),
        OneOf("n", (1, "x")),
        OneOf("n", tuple(range(100))),
        ChangedSince(5),
        Equals("_id", "x"),
        And((Compare("_id", ">=", "/a/"), Compare("_id", "<", "/a0"))),
        Matches("_id", "^/a/.*x"),
        Matches("n", "^abc.*x"),
    ],
)
async def test_indexed_paths_are_sought(opened: SqliteIndex, where: Predicate) -> None:
    for path in ADDED:
        await opened.run(lambda tx, path=path: tx.elements.add_index(path))  # type: ignore[misc]
    await opened.run(lambda tx: tx.elements.put([element(str(n), {"n": n, "time": n}) for n in range(50)]))
    steps = await plans(opened, Search(where, (("other", 1),)), True)
    assert steps
    assert all("SEARCH element USING" in step for step in steps)


@pytest.mark.parametrize(("path", "direction"), [("time", -1), ("time", 1), ("n", 1), ("_id", -1)])
async def test_the_first_of_everything_are_walked_in_order(opened: SqliteIndex, path: str, direction: Any) -> None:
    await opened.run(lambda tx: tx.elements.add_index("n"))
    await opened.run(lambda tx: tx.elements.put([element(str(n), {"n": n, "time": n}) for n in range(50)]))
    steps = await plans(opened, Search(EVERYTHING, ((path, direction),), limit=5))
    assert any("SCAN element USING" in step and "INDEX" in step for step in steps)
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


async def test_the_condition_for_fewer_rows_leads(opened: SqliteIndex) -> None:
    for path in ("common", "rare"):
        await opened.run(lambda tx, path=path: tx.elements.add_index(path))  # type: ignore[misc]
    documents = [element(str(n), {"common": 1, "rare": n, "time": n}) for n in range(600)]
    await opened.run(lambda tx: tx.elements.put(documents))
    where = And((Equals("common", 1), ChangedSince(-1), Equals("rare", 7)))
    steps = await plans(opened, Search(where, (("time", -1),)), True)
    assert steps[-1] == f"SEARCH element USING INDEX path_{b'rare'.hex()} (<expr>=?)"


async def test_other_indexes_tell_of_the_rows(opened: SqliteIndex) -> None:
    for path in ("common", "rare"):
        await opened.run(lambda tx, path=path: tx.elements.add_index(path))  # type: ignore[misc]
    documents = [element(str(n), {"common": n % 2, "rare": n % 200, "list": [n]}) for n in range(2_000)]
    await opened.run(lambda tx: tx.elements.put(documents))
    for rest in (Equals("list", [7]), Equals("list", 7), Equals("list", {})):
        search = Search(And((Equals("rare", 7), Equals("common", 1), rest)))
        found = await opened.read(lambda tx, search=search: tx.elements.find(search, True))  # type: ignore[misc]
        assert found.keys == ([] if rest.value == {} else ["7"])
    steps = await plans(opened, Search(And((Equals("rare", 7), Equals("common", 1)))), True)
    assert f"SEARCH element USING INDEX path_{b'rare'.hex()} (<expr>=?)" in steps
    asked = await opened.read(lambda tx: _told(tx, Search(And((Equals("rare", 7), Equals("common", 1))))))
    assert f"SEARCH other USING COVERING INDEX path_{b'common'.hex()} (<expr>=? AND rowid=?)" in asked


def _told(tx: Any, search: Search) -> list[str]:
    with Asked(tx) as asked:
        tx.elements.find(search)
    return asked.plans


async def test_a_limit_stops_early(opened: SqliteIndex) -> None:
    """Steps of the engine, not time: with a hundred times the rows it takes about as many."""

    async def steps(where: Predicate) -> int:
        def unit(tx: Any) -> int:
            taken = 0

            def count() -> bool:
                nonlocal taken
                taken += 1
                return False

            tx.elements._db.set_progress_handler(count, 1)
            try:
                assert len(tx.elements.find(Search(where, limit=2)).keys) == 2
            finally:
                tx.elements._db.set_progress_handler(None)
            return taken

        return await opened.run(unit)

    wheres = (EVERYTHING, Equals("a", "x"), Compare("a", ">", "w"), Matches("a", "x$"), Contains("_id", "1"))
    await opened.run(lambda tx: tx.elements.put([element(f"1{n}", {"a": "x"}) for n in range(100)]))
    before = [await steps(where) for where in wheres]
    await opened.run(lambda tx: tx.elements.put([element(f"1x{n}", {"a": "x"}) for n in range(10_000)]))
    after = [await steps(where) for where in wheres]
    assert all(many < 2 * few for many, few in zip(after, before, strict=True))


@given(st.text(min_size=1, max_size=12), st.sampled_from((1, "x", None, True)))
@settings(max_examples=300, deadline=None)
def test_a_path_is_never_syntax(path: str, value: Any) -> None:
    """Every key, quotes and all, is read where it lies, as the Python side ranks it."""
    if not findable(path) or "." in path:
        return
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE element (body TEXT); CREATE TABLE other (x)")
    body = sqlite_body({path: value, "decoy": 2})
    db.execute("INSERT INTO element VALUES (?)", (body,))
    db.execute(f"CREATE INDEX one ON element ({ranked_sql(path)})")
    assert db.execute(f"SELECT {ranked_sql(path)} FROM element").fetchall() == [(ranked(value),)]
    assert db.execute("SELECT count(*) FROM other").fetchall() == [(0,)]


def sqlite_body(body: Body) -> str:
    return msgspec.json.encode(body).decode()


async def test_odd_paths_can_be_indexed_and_searched(opened: SqliteIndex) -> None:
    for path in ("');DROP TABLE element;--", '"', "'", "\\", 'a\\"b', "$[0]", "é\x01", "A", "a"):
        await opened.run(lambda tx, path=path: tx.elements.add_index(path))  # type: ignore[misc]
        await opened.run(lambda tx, path=path: tx.elements.put([element(path, {path: 7})]))  # type: ignore[misc]
        found = await opened.read(lambda tx, path=path: tx.elements.find(Search(Equals(path, 7))))  # type: ignore[misc]
        assert found.keys == [path]


async def test_an_index_of_the_first_schema_is_brought_here(tmp_path: Path) -> None:
    path = str(tmp_path / "old.db")
    first = resources.files("everysite.index") / "migrations" / "sqlite" / "0001_tables.sql"
    values: list[Any] = ["x", 5, 0.5, 2**63, True, False, None, {"a": 1}, [1], {}]
    with sqlite3.connect(path) as db:
        db.executescript(first.read_text())
        db.execute("PRAGMA user_version = 1")
        db.execute(f"PRAGMA application_id = {0x65737974}")
        for n, value in enumerate(values, 1):
            body = sqlite_body({"#parent": value, "src_id": value, "tgt_id": value, "time": value, "origin": value})
            db.execute(
                "INSERT INTO element VALUES (?, ?, NULL, 1, 0, 0, 0, 0, 0, NULL, 0, ?, NULL, ?)", (n, str(n), n, body)
            )
        db.execute("INSERT INTO element VALUES (99, 'none', NULL, 1, 0, 0, 0, 0, 0, NULL, 0, 99, NULL, '{}')")
        db.execute("INSERT INTO number VALUES ('element', 99), ('change', 99)")
    db.close()
    index = sqlite.open(path)

    def stored(tx: Any) -> list[Any]:
        return list(
            tx.elements._db.execute("SELECT parent, src_id, tgt_id, time, origin_name FROM element ORDER BY id")
        )

    assert await index.read(stored) == [*((ranked(value),) * 5 for value in values), (None,) * 5]
    await index.run(lambda tx: tx.elements.put([element("new", {"time": 5})]))
    found = await index.read(lambda tx: tx.elements.find(Search(Equals("time", 5))))
    assert found.keys == ["2", "new"]
    await index.close()
