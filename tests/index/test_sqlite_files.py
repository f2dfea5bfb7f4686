"""The file of the SQLite engine: made, refused, reopened, shared by accident, copied while in use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from everysite.errors import Refused, SiteUnreachable
from everysite.index import sqlite, sqlite_schema
from everysite.index.contract import Account, Transaction
from everysite.index.sqlite_schema import migrations
from everysite.model.element import Element

pytestmark = pytest.mark.anyio

NEWEST = migrations()[-1][0]


def pragma(path: Path, name: str) -> object:
    db = apsw.Connection(str(path))
    value = db.pragma(name)
    db.close()
    return value


def add_one(t: Transaction) -> int:
    number = int(t.meta("n") or 0) + 1
    t.set_meta("n", str(number))
    t.elements.put([Element(f"/{number}", {"n": number})])
    return number


async def test_an_empty_file_becomes_an_index(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.touch()
    await sqlite.open(str(path)).close()
    assert pragma(path, "user_version") == NEWEST
    assert pragma(path, "application_id") == 0x65737974
    assert pragma(path, "page_size") == 8192
    assert pragma(path, "journal_mode") == "wal"
    assert list(tmp_path.iterdir()) == [path], "closing empties and removes the log"


async def test_migration_numbers_have_no_gap() -> None:
    assert [number for number, _ in migrations()] == list(range(1, NEWEST + 1))


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    await sqlite.open(str(path)).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", NEWEST + 3)
    db.close()
    before = path.read_bytes()
    with pytest.raises(Refused, match=rf"(?s)schema {NEWEST + 3}.*up to {NEWEST}.*install"):
        sqlite.open(str(path))
    assert path.read_bytes() == before


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (x);")
    (tmp_path / "0002_b.sql").write_text("CREATE TABLE b (x); CREATE TABLE a (y);")
    monkeypatch.setattr("everysite.index.sqlite_schema._FOLDER", str(tmp_path))
    path = tmp_path / "index.db"
    with pytest.raises(SiteUnreachable):
        sqlite.open(str(path))
    db = apsw.Connection(str(path))
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("a",)]
    assert db.pragma("user_version") == 1
    db.close()


async def test_users_of_an_older_schema_have_accounts(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    db = apsw.Connection(str(path))
    folder = Path(sqlite_schema._FOLDER)
    db.execute((folder / "0001_tables.sql").read_text()).fetchall()
    for number, (key, body) in enumerate(
        [
            ("@anna", '{"username":"anna","class":"admin","email":"A@x.example"}'),
            ("@bert", '{"username":"bert","disable":true}'),
            ("@carl", '{"username":"carl","disable":false,"email":null}'),
            ("@note", '{"text":"no user"}'),
            ("anna", '{"username":"anna"}'),
        ],
        1,
    ):
        row = (number, key, 1, 0, 0, 0, number, body)
        columns = "id, key, ms, counter, gen, origin, change, body"
        db.execute(f"INSERT INTO element ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.execute("INSERT INTO token VALUES (1, x'00', 'anna', 'user', '', 0, 1, 1, 'old')")
    db.pragma("application_id", sqlite_schema.APPLICATION)
    db.pragma("user_version", 1)
    db.close()
    index = sqlite.open(str(path))
    assert await index.read(lambda t: t.access.accounts()) == [
        Account("anna", "@anna", "admin", "a@x.example"),
        Account("bert", "@bert", disabled=True),
        Account("carl", "@carl"),
    ]
    [token] = await index.read(lambda t: t.access.tokens())
    assert (token.label, token.rank, token.read_only, token.prefix) == ("old", "", False, "")
    await index.close()


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(Refused, match="another program"):
        sqlite.open(str(path))


async def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(SiteUnreachable, match="damaged"):
        sqlite.open(str(path))
    assert path.read_bytes().startswith(b"not a database")


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SiteUnreachable, match=r"none/index\.db"):
        sqlite.open(str(tmp_path / "none" / "index.db"))


async def test_two_on_one_file_lose_and_damage_nothing(tmp_path: Path) -> None:
    """The lock of the home forbids it; should it happen all the same, they take turns."""
    path = str(tmp_path / "index.db")
    one, two = sqlite.open(path), sqlite.open(path)
    got = await asyncio.gather(*((one, two)[n % 2].run(add_one) for n in range(60)))
    assert sorted(got) == list(range(1, 61))
    elements = await one.read(lambda t: t.elements.where([]))
    assert len({e.id for e in elements}) == len({e.change for e in elements}) == 60
    await one.close()
    assert await two.run(add_one) == 61
    await two.close()
    assert pragma(Path(path), "integrity_check") == "ok"


async def test_a_backup_taken_while_writing_is_one_consistent_state(tmp_path: Path) -> None:
    index = sqlite.open(str(tmp_path / "index.db"))
    done = asyncio.Event()

    async def write() -> int:
        last = 0
        while not done.is_set():
            last = await index.run(add_one)
        return last

    writing = asyncio.create_task(write())
    copies = []
    for n in range(5):
        copies.append(tmp_path / f"copy-{n}.db")
        await index.backup(str(copies[-1]))
    done.set()
    last = await writing
    await index.close()
    assert sorted(tmp_path.iterdir()) == sorted([*copies, tmp_path / "index.db"])
    counts = [await _count(path) for path in copies]
    assert counts == sorted(counts)
    assert counts[-1] <= last


async def _count(path: Path) -> int:
    assert pragma(path, "integrity_check") == "ok"
    copy = sqlite.open(str(path))
    number, elements = await copy.read(lambda t: (int(t.meta("n") or 0), t.elements.where([], 1_000_000)), scan=True)
    assert [e.body["n"] for e in elements] == list(range(1, number + 1))
    assert await copy.run(add_one) == number + 1
    await copy.close()
    return number


async def test_a_backup_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    index = sqlite.open(str(tmp_path / "index.db"))
    with pytest.raises(SiteUnreachable, match=r"none/copy\.db"):
        await index.backup(str(tmp_path / "none" / "copy.db"))
    await index.close()


async def test_the_log_does_not_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = sqlite.open(str(path))
    body = {"text": "x" * 10_000}
    for n in range(60):
        made = [Element(f"/{n}/{i}", body) for i in range(100)]
        await index.run(lambda t, made=made: t.elements.put(made), "bulk")  # type: ignore[misc]
    written = path.stat().st_size
    log = path.with_name("index.db-wal").stat().st_size
    assert written > 8 << 20, "the checkpoint thread copied while units ran"
    assert log < 200 << 20
    await index.close()
