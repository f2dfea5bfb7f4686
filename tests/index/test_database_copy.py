"""A whole index from engine to engine: nothing is missing or different, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from tests.index.engines import open_sqlite, server

from everysite.assemble import copy_database
from everysite.errors import BadRequest, Conflict, NotFound, Refused
from everysite.index import database_copy, postgres, sqlite
from everysite.index.contract import Account, AuditRow, Event, Index, Token, Transaction
from everysite.index.copied_tables import COPIED, Sum
from everysite.index.database_copy import Copied
from everysite.index.tables import TABLES
from everysite.model.clock import Version
from everysite.model.element import Content, Element, Tombstone
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Site
from everysite.model.task import Wish

pytestmark = pytest.mark.anyio
Said = Callable[[str, int], None]


def copied(source: str, target: str, said: Said = lambda what, rows: None, wait_s: float = 0) -> list[Copied]:
    return copy_database(source, target, contextlib.nullcontext, said, wait_s)


def empty_url() -> str:
    return server().url(server().database())


def opened(database: str) -> Index:
    return postgres.open(database) if database.startswith("postgresql") else sqlite.open(database)


def fill(t: Transaction) -> None:
    site = t.sites.put(Site("Paris", "@paris"))
    mapping = t.sites.put_mapping(Mapping(site.id, "file:///data/", ""))
    odd = {
        "#parent": "/a",
        "time": 5,
        "text": "nul \0 end \U0010ffff",
        "n": 1.0,
        "deep": {"b": [1, None]},
        "src_id": None,
    }
    content = Content(3, 1, 0o644, b"d" * 32)
    elements = t.elements.put(
        [Element(f"/{n}", odd, Version(1, n), content=content, late={"x": Version(2, 0)}) for n in range(1_200)]
    )
    t.elements.bury([Tombstone("/7", Version(3, 0)), Tombstone("/8", Version(3, 0))])
    t.replicas.put([Replica(e.id, site.id, synced=5, seen=b"s") for e in elements[10:600]])
    t.tasks.wish([Wish(mapping.id, f"/{n}", "present", n + 1, 1, content) for n in range(700)])
    t.history.add([Event(f"/{n}", 1, "made", text="x") for n in range(30)])
    t.access.set_credential("me", "hash")
    t.access.put_account(Account("me", "@me", "admin"))
    t.access.add_token(Token(b"h", "me"))
    t.audit.add([AuditRow(1, "me", "made", "x")])
    t.set_meta("epoch", "e1")
    t.elements.add_index("deep.b")


@pytest.fixture
async def source(tmp_path: Path) -> str:
    index = await open_sqlite(tmp_path)
    await index.run(fill)
    await index.close()
    return str(tmp_path / "index.db")


def as_file(database: str, folder: Path) -> str:
    if not database.startswith("postgresql"):
        return database
    copied(database, str(folder / "as a file.db"))
    return str(folder / "as a file.db")


def rows_of(path: str) -> dict[str, Any]:
    import apsw

    db = apsw.Connection(path)
    found: dict[str, Any] = {
        name: sorted(map(repr, db.execute(f"SELECT {columns} FROM {name}"))) for name, columns in TABLES.items()
    }
    found["indexes"] = sorted(row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'"))
    found["ranked"] = db.execute("SELECT parent, src_id, tgt_id, time, origin_name FROM element ORDER BY id").fetchall()
    db.close()
    return found


async def test_there_and_back_everything_is_the_same(source: str, tmp_path: Path) -> None:
    url, back = empty_url(), str(tmp_path / "back.db")
    there = copied(source, url)
    assert copied(url, back) == there
    assert rows_of(back) == rows_of(source)
    assert [one.table for one in there] == list(TABLES)
    assert {one.table: one.rows for one in there}["element"] == 1_198
    for database in (url, back):
        index = opened(database)
        assert await index.check() == []
        assert await index.read(lambda t: t.meta("epoch")) == "e1"
        assert "deep.b" in await index.read(lambda t: t.elements.indexed())
        new = await index.run(lambda t: t.elements.put([Element("/new", {})]))
        assert new[0].id == 1_201
        await index.close()
    assert not list(tmp_path.glob("*.copying*"))


@pytest.mark.parametrize("back", [False, True])
async def test_what_is_written_meanwhile_is_there(source: str, tmp_path: Path, back: bool) -> None:
    """By a tracker that is stopped when the copy has caught up; deletions, renames and rows without a number too."""
    target = empty_url()
    if back:
        copied(source, target)
        source, target = target, str(tmp_path / "to.db")
    index = opened(source)
    loop, waiting, done = asyncio.get_running_loop(), threading.Event(), threading.Event()
    counter = 0

    def write(t: Transaction) -> None:
        nonlocal counter
        counter += 1
        [last] = t.elements.get(["/1199"])
        assert last is not None
        again = msgspec.structs.replace(last, body={"again": counter})
        t.elements.put([Element(f"/during/{counter}", {"n": counter}), again])
        t.elements.bury([Tombstone(f"/{counter + 20}", Version(9, counter))])
        t.tasks.done(1, [f"/{counter}"])
        t.replicas.put([Replica(counter + 50, 1, synced=counter)])

    def said(what: str, rows: int) -> None:
        if not rows:
            waiting.set()
        if not done.is_set():  # during the copy, between two of its pages
            asyncio.run_coroutine_threadsafe(index.run(write), loop).result()

    copying = asyncio.create_task(asyncio.to_thread(copied, source, target, said, 60))
    await asyncio.to_thread(waiting.wait, 20)
    await index.run(write)
    done.set()
    await index.close()
    await copying
    assert counter > 5
    assert rows_of(as_file(target, tmp_path)) == rows_of(as_file(source, tmp_path))


async def test_nobody_gets_at_a_database_that_is_not_whole(source: str, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(what: str, rows: int) -> None:
        raise Stop

    url, file = empty_url(), str(tmp_path / "to.db")
    for target in (url, file):
        with pytest.raises(Stop):
            copied(source, target, stop)
    with pytest.raises(Refused, match="unfinished copy"):
        postgres.open(url)
    assert not os.path.exists(file)
    heard: list[tuple[str, int]] = []
    for target in (url, file):
        heard.clear()
        copied(source, target, lambda what, rows: heard.append((what, rows)))
        assert sum(rows for what, rows in heard if what == "element") == 1_198 - database_copy.PAGE


_KILLED = """
import contextlib, os, signal, sys
from everysite.assemble import copy_database
left = int(sys.argv[3])
def said(what, rows):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
copy_database(sys.argv[1], sys.argv[2], contextlib.nullcontext, said, 0)
"""


def in_a_process(*words: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", _KILLED, *map(str, words)]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("back", [False, True])
async def test_killed_anywhere_it_goes_on(source: str, tmp_path: Path, back: bool, long: bool) -> None:
    first, target = source, empty_url()
    if back:
        copied(source, target)
        first, target = target, str(tmp_path / "back.db")
    for pages in range(1, 16) if long else (2, 5, 9):
        one = await asyncio.to_thread(in_a_process, first, target, pages)
        assert one.returncode == -signal.SIGKILL, one.stderr
    copied(first, target)
    whole = target
    if not back:
        whole = str(tmp_path / "whole.db")
        copied(target, whole)
    assert rows_of(whole) == rows_of(source)


async def test_what_changed_or_went_between_two_calls_is_found(source: str, tmp_path: Path) -> None:
    """Also what no number tells of: a table edited behind our back, in what was copied already."""
    url = empty_url()

    def stop(what: str, rows: int) -> None:
        if "verifying" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copied(source, url, stop)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("""UPDATE element SET body = '{"wrong": 1}' WHERE id = 600""")
        db.execute("DELETE FROM replica WHERE element < 40")
    index = sqlite.open(source)
    await index.run(lambda t: t.elements.bury([Tombstone("/900", Version(9, 9))]))
    await index.run(lambda t: t.elements.put([Element("/7", {"back": 1})]))
    await index.close()
    copied(source, url)
    back = str(tmp_path / "back.db")
    copied(url, back)
    assert rows_of(back) == rows_of(source)


async def test_a_difference_that_stays_is_told(source: str) -> None:
    """A database that does not keep what it was given."""
    url = empty_url()
    postgres.migrated(url)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.text = 1; RETURN NEW; END'")
        db.execute("CREATE TRIGGER lose BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION lose()")
    with pytest.raises(Refused, match="table event"):
        copied(source, url)
    with pytest.raises(Refused, match="unfinished copy"):
        postgres.open(url)


async def test_what_is_refused(source: str, tmp_path: Path) -> None:
    url = empty_url()
    with pytest.raises(BadRequest, match="itself"):
        copied(source, str(tmp_path / "." / "index.db"))
    with pytest.raises(NotFound):
        copied(str(tmp_path / "none.db"), url)
    copied(source, url)
    with pytest.raises(BadRequest, match="itself"):
        copied(url, url + "&connect_timeout=3")
    with pytest.raises(Refused, match="not empty"):
        copied(source, url)
    (tmp_path / "there.db").write_bytes(b"something")
    with pytest.raises(Refused, match="there already"):
        copied(source, str(tmp_path / "there.db"))
    foreign = empty_url()
    with psycopg.connect(foreign, autocommit=True) as db:
        db.execute("CREATE TABLE element (name text)")
    with pytest.raises(Refused, match="another program"):
        copied(source, foreign)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE everysite_schema SET number = 99")
    with pytest.raises(Refused, match="schema 99"):
        copied(url, str(tmp_path / "x.db"))


async def test_what_postgresql_has_no_room_for_is_told(tmp_path: Path) -> None:
    """Compression makes room for much, so the long identifier is none that can be compressed."""
    index = await open_sqlite(tmp_path)
    await index.run(lambda t: t.elements.put([Element("/" + secrets.token_hex(6_000), {})]))
    await index.close()
    with pytest.raises(Refused, match="too large for PostgreSQL"):
        copied(str(tmp_path / "index.db"), empty_url())


async def test_copies_of_two_histories_are_not_mixed(source: str, tmp_path: Path) -> None:
    url = empty_url()

    def stop(what: str, rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copied(source, url, stop)
    index = sqlite.open(source)
    await index.run(lambda t: t.set_meta("epoch", "e2"))
    await index.close()
    with pytest.raises(Refused, match="another index"):
        copied(source, url)


async def test_a_database_in_use_is_waited_for(source: str, tmp_path: Path) -> None:
    url = empty_url()
    copied(source, url)
    for database, target in ((url, str(tmp_path / "a.db")), (source, str(tmp_path / "b.db"))):
        index = opened(database)
        await index.run(lambda t: t.set_meta("x", "1"))
        with pytest.raises(Conflict, match="in use"):
            await asyncio.to_thread(copied, database, target)
        assert await index.run(lambda t: t.elements.count()) == 1_198  # it goes on
        await index.close()
        copied(database, target)


def test_a_sum_heeds_no_order_and_every_value() -> None:
    one, other, third = Sum(), Sum(), Sum()
    one.add([(1, "a", None), (2, b"a", "")])
    other.add([(2, b"a", ""), (1, "a", None)])
    third.add([(2, "a", ""), (1, "a", None)])
    assert one.digest == other.digest != third.digest
    twice = Sum()
    twice.add([(1,), (1,)])
    assert twice.digest != Sum().digest


def test_every_table_has_its_key() -> None:
    assert {table.name for table in COPIED} == set(TABLES)
    assert all(set(columns) <= set(table.columns) for table in COPIED for columns in table.unique)
