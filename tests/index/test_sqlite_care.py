"""Finding damage in a database, and putting a backup in its place, killed at every step."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from everysite.errors import EverysiteError, Refused, SiteUnreachable
from everysite.index import sqlite, sqlite_restore
from everysite.index.contract import Transaction
from everysite.index.sqlite_schema import migrations
from everysite.model.element import Element
from everysite.model.replica import Replica
from everysite.model.site import Mapping, Site
from everysite.model.task import Wish

pytestmark = pytest.mark.anyio


def fill(t: Transaction) -> None:
    """A site with a file, a copy of it and a task."""
    site = t.sites.put(Site("rome", "@rome"))
    mapping = t.sites.put_mapping(Mapping(site.id, "file:///rome/", "/"))
    [made] = t.elements.put([Element("/a", {"n": 1})])
    t.replicas.put([Replica(made.id, site.id, gen=1)])
    t.tasks.wish([Wish(mapping.id, "/a", "present", made.id, 1)])


async def make(path: Path, *keys: str) -> Path:
    """An index with `fill` and these elements besides."""
    index = sqlite.open(str(path))
    await index.run(fill)
    await index.run(lambda t: t.elements.put([Element(key, {"text": key * 100}) for key in keys]))
    await index.close()
    return path


async def keys(path: Path) -> set[str]:
    index = sqlite.open(str(path))
    try:
        return {e.key for e in await index.read(lambda t: t.elements.where([], 100_000))}
    finally:
        await index.close()


async def meta(path: Path, key: str) -> str | None:
    index = sqlite.open(str(path))
    try:
        return await index.read(lambda t: t.meta(key))
    finally:
        await index.close()


def alter(path: Path, sql: str) -> None:
    db = apsw.Connection(str(path))
    db.execute(sql)
    db.close()


def run(program: str, *words: object) -> int:
    """A process of its own; its exit code, negative for a signal."""
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True).returncode


# --- check ----------------------------------------------------------------------------------------------------------


async def test_a_sound_index_is_sound_open_and_closed(tmp_path: Path) -> None:
    path = await make(tmp_path / "index.db", "/b")
    assert sqlite.inspect(str(path)) == []
    index = sqlite.open(str(path))
    assert await index.check() == []
    await index.close()
    assert list(tmp_path.iterdir()) == [path], "a look leaves nothing beside it"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE replica SET element = 77", "1 copies recorded of elements that are not there"),
        ("UPDATE replica SET site = 77", "1 copies recorded at sites that are not there"),
        ("UPDATE element SET id = 900 WHERE key = '/b'", "1 elements whose number was never given out"),
        ("UPDATE element SET body = '{' WHERE key = '/b'", "1 elements whose body is no JSON object"),
        ("UPDATE element SET body = '[1]' WHERE key = '/b'", "1 elements whose body is no JSON object"),
        ("UPDATE replica SET change = (SELECT change FROM element WHERE key = '/b')", "1 change numbers given twice"),
        ("UPDATE replica SET change = 900", "1 change numbers that were never given out"),
        ("UPDATE task SET element = 900", "1 tasks of elements whose number was never given out"),
        ("UPDATE task SET mapping = 900", "1 tasks of mappings that are not there"),
        ("UPDATE task SET lease = 900", "1 tasks under a lease that is not there"),
        ("UPDATE mapping SET site = 900", "1 mappings of sites that are not there"),
        ("INSERT INTO lease VALUES (1, 900, 1, 1, 1)", "1 leases of mappings that are not there"),
        ("INSERT INTO event VALUES (900, '/a', 1, 'x', 0, '', '')", "1 events whose number was never given out"),
        ("INSERT INTO held_file VALUES (9, x'61', 1, 1, 1, 1, 1, x'')", "1 files held in folders that are not there"),
        ("INSERT INTO tombstone (key, ms, counter, change) VALUES ('/b', 1, 1, 0)", "1 keys both present and deleted"),
    ],
)
async def test_what_contradicts_itself_is_named(tmp_path: Path, sql: str, said: str) -> None:
    path = await make(tmp_path / "index.db", "/b")
    alter(path, sql)
    assert sqlite.inspect(str(path)) == [said]
    index = sqlite.open(str(path))
    assert await index.check() == [said]
    await index.close()


async def test_damaged_bytes_are_found(tmp_path: Path) -> None:
    path = await make(tmp_path / "index.db", *(f"/{n}" for n in range(500)))
    whole = path.read_bytes()
    path.write_bytes(whole[:40_960] + b"\xff" * 8_192 + whole[49_152:])
    assert "damaged" in sqlite.inspect(str(path))[0]
    path.write_bytes(b"no database" * 100)
    assert "damaged" in sqlite.inspect(str(path))[0]


async def test_a_newer_schema_is_not_judged(tmp_path: Path) -> None:
    path = await make(tmp_path / "index.db")
    alter(path, f"PRAGMA user_version = {migrations()[-1][0] + 1}")
    with pytest.raises(Refused, match="install"):
        sqlite.inspect(str(path))


# --- restore --------------------------------------------------------------------------------------------------------


def restore(backup: Path, home: Path, epoch: str = "new") -> bool:
    with backup.open("rb") as source:
        return sqlite.restore(source, str(backup), str(home / "index.db"), str(home / "index.db.before"), epoch)


async def test_a_backup_takes_the_place_and_the_old_one_is_kept(tmp_path: Path) -> None:
    backup = await make(tmp_path / "backup", "/then")
    await make(tmp_path / "index.db", "/now")
    assert restore(backup, tmp_path)
    assert await keys(tmp_path / "index.db") == {"/a", "/then"}
    assert await keys(tmp_path / "index.db.before") == {"/a", "/now"}
    assert await meta(tmp_path / "index.db", "epoch") == "new"
    assert (tmp_path / "index.db").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "index.db", "index.db.before"]


async def test_into_an_empty_home(tmp_path: Path) -> None:
    backup = await make(tmp_path / "backup", "/then")
    assert not restore(backup, tmp_path)
    assert await keys(tmp_path / "index.db") == {"/a", "/then"}


async def test_no_number_is_given_twice_and_nobody_holds_anything(tmp_path: Path) -> None:
    """Agents and readers of the feed that saw what came after the backup must not mistake the new for it."""
    backup = await make(tmp_path / "backup")
    restore(backup, tmp_path)
    index = sqlite.open(str(tmp_path / "index.db"))
    [made] = await index.run(lambda t: t.elements.put([Element("/b", {})]))
    assert made.id > 1 << 32
    assert made.change > 1 << 32
    assert await index.check() == []
    await index.close()


async def test_the_log_of_a_killed_tracker_is_folded_into_the_old_one(tmp_path: Path) -> None:
    """Played into the restored one, it would damage it."""
    text = (
        "import asyncio, os, sys\n"
        "from everysite.index import sqlite\n"
        "from everysite.model.element import Element\n"
        "async def main():\n"
        "    index = sqlite.open(sys.argv[1])\n"
        "    await index.run(lambda t: t.elements.put([Element('/late', {'n': 1})]))\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    backup = await make(tmp_path / "backup", "/then")
    await make(tmp_path / "index.db", "/now")
    run(text, tmp_path / "index.db")
    assert (tmp_path / "index.db-wal").stat().st_size > 0
    assert restore(backup, tmp_path)
    assert sqlite.inspect(str(tmp_path / "index.db")) == []
    assert await keys(tmp_path / "index.db") == {"/a", "/then"}
    assert await keys(tmp_path / "index.db.before") == {"/a", "/now", "/late"}


async def test_a_damaged_database_can_be_replaced(tmp_path: Path) -> None:
    backup = await make(tmp_path / "backup", "/then")
    (tmp_path / "index.db").write_bytes(b"no database" * 100)
    (tmp_path / "index.db-wal").write_bytes(b"its log")
    assert restore(backup, tmp_path)
    assert await keys(tmp_path / "index.db") == {"/a", "/then"}
    assert (tmp_path / "index.db.before").read_bytes().startswith(b"no database")
    assert (tmp_path / "index.db.before-wal").read_bytes() == b"its log"


async def newer(path: Path) -> None:
    alter(path, f"PRAGMA user_version = {migrations()[-1][0] + 1}")


async def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8192])


async def foreign(path: Path) -> None:
    path.unlink()
    alter(path, "CREATE TABLE t (x)")
    alter(path, "PRAGMA user_version = 1")


async def empty(path: Path) -> None:
    path.write_bytes(b"")


async def text(path: Path) -> None:
    path.write_bytes(b"no database" * 100)


async def contradicting(path: Path) -> None:
    alter(path, "UPDATE replica SET element = 7777")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (newer, "install the version"),
        (cut, "damaged"),
        (foreign, "another program"),
        (empty, "no backup"),
        (text, "damaged or no backup"),
        (contradicting, "damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_no_good_backup_changes_nothing(tmp_path: Path, spoil: object, said: str) -> None:
    backup = await make(tmp_path / "backup", *(f"/{n}" for n in range(300)))
    await spoil(backup)  # type: ignore[operator]
    await make(tmp_path / "index.db", "/now")
    before = (tmp_path / "index.db").read_bytes()
    with pytest.raises((Refused, SiteUnreachable), match=said) as refused:
        restore(backup, tmp_path)
    assert str(backup) in str(refused.value)
    assert (tmp_path / "index.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "index.db"]


KILLED = """
import os, sys
from everysite.index import sqlite
left = int(sys.argv[4])
def counted(call):
    def instead(*args, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return call(*args, **more)
    return instead
for name in ("open", "unlink", "link", "replace", "fsync", "close"):
    setattr(os, name, counted(getattr(os, name)))
with open(sys.argv[1], "rb") as source:
    sqlite.restore(source, "backup", sys.argv[2], sys.argv[3], "new")
"""
"""Dies before the n-th of the calls that change what is on the disk."""


async def test_killed_at_any_step_the_home_has_one_of_the_two(tmp_path: Path) -> None:
    backup = await make(tmp_path / "backup", "/then")
    steps, seen = 0, set[str]()
    while True:
        home = tmp_path / str(steps)
        home.mkdir()
        target, kept = home / "index.db", home / "index.db.before"
        await make(target, "/now")
        code = run(KILLED, backup, target, kept, steps)
        found = await keys(target)
        assert found in ({"/a", "/now"}, {"/a", "/then"})
        assert sqlite.inspect(str(target)) == []
        seen |= found
        if code == 0:
            break
        assert code == -9
        if found == {"/a", "/now"}:
            assert restore(backup, home), "the next try succeeds"
            assert await keys(target) == {"/a", "/then"}
        assert await keys(kept) == {"/a", "/now"}
        steps += 1
    assert steps >= 10, "there were that many places to die at"
    assert seen == {"/a", "/now", "/then"}


async def test_no_room_is_said_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup = await make(tmp_path / "backup", "/then")
    await make(tmp_path / "index.db", "/now")
    full = Path("/dev/full")
    monkeypatch.setattr(sqlite_restore, "_receive", lambda source, stage: full.write_bytes(source.read()))
    with pytest.raises(EverysiteError, match="no room"):
        sqlite.restore(io.BytesIO(backup.read_bytes()), "x", str(tmp_path / "index.db"), str(tmp_path / "k"), "new")
    assert await keys(tmp_path / "index.db") == {"/a", "/now"}
    assert sorted(os.listdir(tmp_path)) == ["backup", "index.db"]
