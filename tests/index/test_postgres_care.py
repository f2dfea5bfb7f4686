"""What only PostgreSQL can do to us: other people's databases, its limits, being ended and started again."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.index.engines import database_url, open_sqlite, server
from tests.index.queries import NUMBERS, TEXTS
from tests.postgres import Server

from everysite.decide.query import Contains, Equals, Search
from everysite.errors import BadRequest, Conflict, Refused, SiteUnreachable
from everysite.index import postgres, sqlite
from everysite.index.contract import Event, Index, Token, Transaction
from everysite.index.postgres_paths import LONGEST, number_text, ranked, ranked_sql
from everysite.index.postgres_text import body_bytes, body_text, loaded, stored
from everysite.model.clock import Version
from everysite.model.element import Content, Element, Tombstone
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Site
from everysite.model.task import Wish

pytestmark = pytest.mark.anyio
odd = st.text(st.sampled_from("a\0\U0010ffff01\\u\"'{}%?"), max_size=12)


@given(odd)
def test_every_text_comes_back(text: str) -> None:
    assert loaded(stored(text).encode()) == text
    assert "\0" not in stored(text)


@given(st.dictionaries(odd, odd, max_size=3))
def test_every_body_comes_back(body: dict[str, str]) -> None:
    import msgspec

    text = msgspec.json.encode(body)
    kept = stored(body_text(text)).encode()
    assert b"\0" not in kept
    assert body_bytes(kept) == text


def test_what_is_ranked_here_and_there_is_the_same() -> None:
    """The function in the database and the one in Python, for values of all kinds; numbers in their order."""
    import msgspec

    many: list[Any] = [
        *TEXTS,
        *NUMBERS,
        2**63 - 1,
        -(2**63),
        2**62 + 1,
        1e22,
        5e-324,
        1.7e308,
        True,
        False,
        None,
        {},
        [],
        "x" * 2_601,
    ]
    many += ["ä" * 1_300, "ä" * 1_301, "\U0010ffff", "\U0010ffff0", "a\0"]
    with psycopg.connect(server().url(server().database(_migrated())), autocommit=True) as db:
        for value in many:
            body = stored(body_text(msgspec.json.encode({"a.b": value})))
            [(found,)] = db.execute("SELECT everysite_ranked(%s::json, %s)", (body, "a.b")).fetchall()
            assert found == stored(ranked(value)), value
    numbers = sorted(number for number in many if isinstance(number, int | float) and not isinstance(number, bool))
    assert [number_text(number) for number in numbers] == sorted(number_text(number) for number in numbers)


def _migrated() -> str:
    name = server().database()
    postgres.migrated(server().url(name))
    return name


async def test_texts_with_a_nul_are_kept_everywhere(tmp_path: Path) -> None:
    index = postgres.open(database_url(tmp_path))
    await index.run(lambda t: t.history.add([Event("/a", 1, "x\0y", 0, "\U0010ffff", "\0")]))
    [event] = await index.read(lambda t: t.history.of("/a"))
    assert (event.what, event.who, event.text) == ("x\0y", "\U0010ffff", "\0")
    await index.close()


async def test_long_texts_are_found_and_long_keys_refused(tmp_path: Path) -> None:
    index = postgres.open(database_url(tmp_path))
    long = "word " * 2_000
    await index.run(lambda t: t.elements.add_index("text"))
    await index.run(
        lambda t: t.elements.put([Element("/a", {"text": long, "time": long}), Element("/b", {"text": "b"})])
    )
    for where in (Equals("text", long), Contains("text", "WORD word"), Equals("time", long)):
        assert (await index.read(lambda t, w=where: t.elements.find(Search(w)))).keys == ["/a"]  # type: ignore[misc]
    with pytest.raises(BadRequest, match="2600 bytes"):
        await index.run(lambda t: t.elements.put([Element("/" + "k" * LONGEST, {})]))
    with pytest.raises(BadRequest, match="too long"):
        await index.run(lambda t: t.tasks.wish([Wish(1, _random(9_000), "present")]))
    assert await index.run(lambda t: t.elements.count()) == 2
    await index.close()


@pytest.mark.parametrize("path", ["status", "deep.a", "it's"])
async def test_an_added_index_is_the_way_to_its_rows(tmp_path: Path, path: str) -> None:
    """An expression that differs from that of the index in its collation alone is never found there."""
    url = database_url(tmp_path)
    index = postgres.open(url)
    await index.run(lambda t: t.elements.add_index(path))
    await index.run(lambda t: t.elements.put([Element(f"/{n}", {"n": n}) for n in range(2_000)]))
    await index.close()
    with psycopg.connect(url) as db:
        value = ranked_sql(path)
        for where in (f"{value} = '2x'", f"{value} > '2x' AND {value} < '2y'"):
            plan = db.execute(f"EXPLAIN SELECT key FROM element WHERE {where} ORDER BY id LIMIT 9".encode()).fetchall()
            assert "path_" in str(plan)


def _random(size: int) -> str:
    import random

    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-", k=size))


def test_databases_that_are_not_ours_are_left_alone() -> None:
    url = server().url(server().database())
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE element (x int)")
    with pytest.raises(Refused, match="another program"):
        postgres.open(url)
    url = server().url(_migrated())
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE everysite_schema SET number = 999")
    with pytest.raises(Refused, match="999"):
        postgres.open(url)


def test_what_cannot_be_reached_is_said_without_secrets() -> None:
    with pytest.raises(SiteUnreachable) as caught:
        postgres.open("postgresql://me:sesame@127.0.0.1:1/x")
    assert "sesame" not in str(caught.value)
    assert "127.0.0.1:1/x" in str(caught.value)
    with pytest.raises(SiteUnreachable, match="createdb"):
        postgres.open(server().url("nobody_made_me"))
    with psycopg.connect(server().url("postgres"), autocommit=True) as db:
        db.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(Refused, match="UTF8"):
        postgres.open(server().url("latin"))


def everything(t: Transaction) -> Any:
    """What is in an index, as its contract shows it."""
    elements = t.elements.where([], 1_000)
    return (
        elements,
        t.elements.stones(["/gone"]),
        t.replicas.of([e.id for e in elements]),
        [msgspec_free(site) for site in t.sites.all()],
        t.sites.mappings(),
        t.tasks.under(1, ""),
        t.history.of("/a"),
        t.access.tokens(),
        t.changes(0),
        t.elements.indexed(),
        t.meta("fact"),
    )


def msgspec_free(site: Site) -> tuple[str, str, bool, int]:
    return site.name, site.element, site.paused, site.id


def fill(t: Transaction) -> None:
    body = {
        "text": "ä\0\U0010ffff",
        "n": 2**53 + 1,
        "x": 0.1,
        "deep": {"a": [1, None, True]},
        "#parent": "/p",
        "time": 5,
    }
    content = Content(10, -5, 0o640, bytes(range(32)))
    [a, _, _] = t.elements.put(
        [
            Element("/a", body, Version(7, 3), {"text": Version(9, 1)}, 4, content, 1),
            *(Element(key, {"src_id": "/a"}) for key in ("/b", "/gone")),
        ]
    )
    t.elements.bury([Tombstone("/gone", Version(9, 9), content, "/b")])
    site = t.sites.put(Site("paris", "54", True))
    t.sites.put_mapping(Mapping(site.id, "file:///x/"))
    t.replicas.put([Replica(a.id, site.id, 1, 2, error_text="n\0", seen=b"\0\xff")])
    t.tasks.wish([Wish(1, "/a", "present", a.id, 1, content)])
    t.history.add([Event("/a", 1, "what")])
    t.access.add_token(Token(b"\0h", "me"))
    t.elements.add_index("deep.a")
    t.set_meta("fact", "\0")


async def test_a_backup_is_a_file_that_both_engines_are_restored_from(tmp_path: Path) -> None:
    index = postgres.open(database_url(tmp_path))
    await index.run(fill)
    before = await index.read(everything)
    await index.backup(str(tmp_path / "index.db"))
    await index.close()
    assert sqlite.inspect(str(tmp_path / "index.db")) == []
    file = await open_sqlite(tmp_path)
    assert await file.read(everything) == before
    await file.close()
    other = server().url(server().database())
    backup = (tmp_path / "index.db").read_bytes()
    stage, kept = str(tmp_path / "stage"), str(tmp_path / "kept")
    assert not postgres.restore(io.BytesIO(backup), "it", other, stage, kept, "new")
    assert postgres.inspect(other) == []
    index = postgres.open(other)
    assert await index.read(everything) == before
    assert await index.read(lambda t: t.meta("epoch")) == "new"
    (made,) = await index.run(lambda t: t.elements.put([Element("/later", {})]))
    assert made.change > before[-3][-1].number
    await index.close()
    assert postgres.restore(io.BytesIO(backup), "it", other, stage, kept, "newer")
    assert not Path(stage).exists()
    assert sqlite.inspect(kept) == []


async def test_no_backup_is_no_restore(tmp_path: Path) -> None:
    url = database_url(tmp_path)
    index = postgres.open(url)
    await index.run(fill)
    with pytest.raises(Conflict, match="stop all"):
        postgres.restore(io.BytesIO(b""), "it", url, str(tmp_path / "stage"), str(tmp_path / "kept"), "new")
    await index.close()
    for bad in (b"", b"nonsense" * 1_000):
        with pytest.raises(Refused):
            postgres.restore(io.BytesIO(bad), "it", url, str(tmp_path / "stage"), str(tmp_path / "kept"), "new")
    index = postgres.open(url)
    assert await index.read(lambda t: t.elements.count()) == 2
    await index.close()


async def test_what_contradicts_itself_is_named(tmp_path: Path) -> None:
    url = database_url(tmp_path)
    index = postgres.open(url)
    await index.run(fill)
    assert await index.check() == []
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE element SET parent = '2/q' WHERE key = '/a'")
        db.execute("UPDATE replica SET site = 99")
    assert await index.check() == [
        "1 copies recorded at sites that are not there",
        "1 elements whose keys an index finds otherwise than their bodies say",
    ]
    await index.close()


async def test_the_end_of_the_database_is_outlived(long: bool) -> None:
    """Killed again and again under load: what was acknowledged is there, nothing is done twice, reads go on."""
    own = Server()
    index: Index = postgres.open(own.url(own.database()))
    acknowledged: list[int] = []
    done = asyncio.Event()

    def one(t: Transaction) -> int:
        number = int(t.meta("n") or 0) + 1
        t.set_meta("n", str(number))
        t.elements.put([Element(f"/{number}", {})])
        return number

    async def write() -> None:
        while not done.is_set():
            acknowledged.append(await index.run(one))
            await index.read(lambda t: t.meta("n"))

    writing = [asyncio.create_task(write()) for _ in range(4)]
    for _ in range(8 if long else 3):
        await asyncio.sleep(0.4)
        await asyncio.to_thread(own.kill)
        await asyncio.to_thread(own.start)
    done.set()
    await asyncio.gather(*writing)
    assert len(acknowledged) == len(set(acknowledged)) > 20
    there = await index.read(lambda t: t.elements.count(), scan=True)
    assert sorted(acknowledged) == list(range(1, there + 1))
    await index.close()
    own.end()


async def test_who_stalls_in_a_unit_loses_only_his_turn(tmp_path: Path) -> None:
    """A connection that is ended in the middle of a unit: the unit is carried out again."""
    url = database_url(tmp_path)
    index = postgres.open(url)
    tries: list[int] = []

    def unit(t: Transaction) -> int:
        tries.append(1)
        t.set_meta("n", str(int(t.meta("n") or 0) + 1))
        if len(tries) == 1:
            with psycopg.connect(url, autocommit=True) as db:
                db.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        return int(t.meta("n") or 0)

    assert await index.run(unit) == 1
    assert len(tries) == 2
    await index.close()
