"""Backup while a tracker works, restore into a home, check of both: as an admin meets them."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw
import pytest
from tests.cli.processes import PASSWORD, Everysite, Up, environment


class Writer:
    """Creates elements one after another and remembers which were acknowledged."""

    def __init__(self, up: Up, name: str) -> None:
        self._up, self._name = up, name
        self._token = json.loads((up.home / "run" / "tracker.json").read_bytes())["token"]
        self._stopped = threading.Event()
        self.acknowledged: list[str] = []
        self.thread = threading.Thread(target=self._work)

    def __enter__(self) -> Writer:
        self.thread.start()
        until = time.monotonic() + 20
        while len(self.acknowledged) < 20:
            assert time.monotonic() < until
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.thread.join(20)

    def _work(self) -> None:
        parts = urlsplit(self._up.url)
        line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        head = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        for n in itertools.count():
            if self._stopped.is_set():
                break
            key = f"/{self._name}/{n}"
            line.request("POST", "/api/create", json.dumps({"_id": key, "text": "x" * 500}), head)
            answer = line.getresponse()
            answer.read()
            assert answer.status == 201
            self.acknowledged.append(key)
        line.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with Up(tmp_path_factory.mktemp("backup"), EVERYSITE_ADMIN_PASSWORD=PASSWORD) as running:
        yield running


def opened(file: Path) -> apsw.Connection:
    """Read beside everything of ours, leaving nothing."""
    address = f"file:{file}?mode=ro" + ("" if Path(f"{file}-wal").exists() else "&immutable=1")
    return apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def keys(file: Path) -> set[str]:
    db = opened(file)
    try:
        return {row[0] for row in db.execute("SELECT key FROM element")}
    finally:
        db.close()


def meta(file: Path, key: str) -> str | None:
    db = opened(file)
    try:
        return next((row[0] for row in db.execute("SELECT value FROM meta WHERE key = ?", (key,))), None)
    finally:
        db.close()


def test_what_was_acknowledged_before_is_in_it(up: Up, tmp_path: Path) -> None:
    with Writer(up, "before") as writer:
        first = len(writer.acknowledged)
        for n in range(5):
            before = set(writer.acknowledged)
            file = tmp_path / f"{n}.db"
            told = up.everysite.json("backup", str(file))
            after = set(writer.acknowledged)
            assert told == {"file": str(file), "bytes": file.stat().st_size}
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            found = {key for key in keys(file) if key.startswith("/before/")}
            assert before <= found <= after | {f"/before/{len(after)}"}
            assert up.everysite.json("check", str(file)) == {"sound": True, "problems": []}
        assert len(writer.acknowledged) > first + 5, "writing went on meanwhile"
    assert sorted(os.listdir(tmp_path)) == [f"{n}.db" for n in range(5)]
    assert not list((up.home / "run").glob(".everysite-backup-*")), "no copy is left on the tracker's disk"


def test_a_backup_goes_through_a_pipe(up: Up, tmp_path: Path) -> None:
    env = environment(tmp_path, EVERYSITE_HOME=str(up.home))
    there = environment(tmp_path, EVERYSITE_HOME=str(tmp_path / "there"))
    command = [sys.executable, "-m", "everysite"]
    with subprocess.Popen([*command, "backup", "-"], stdout=subprocess.PIPE, env=env) as taking:
        done = subprocess.run(
            [*command, "restore", "-"], stdin=taking.stdout, env=there, capture_output=True, text=True, check=False
        )
    assert (taking.returncode, done.returncode) == (0, 0), done.stderr
    assert keys(tmp_path / "there" / "everysite.db") >= {"rsyncGlobalParameters", "@admin"}


def test_a_whole_tracker_comes_back(tmp_path: Path) -> None:
    """Users, tokens and elements are those of the backup; what came later is kept beside it; the feed begins anew."""
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        everysite = up.everysite
        everysite("user", "add", "ann", environ={"EVERYSITE_USER_PASSWORD": "one"})
        token = everysite("token", "add", "farm").stdout.strip()
        everysite("create", "/then")
        backup = tmp_path / "all.db"
        assert everysite("backup", str(backup)).returncode == 0
        everysite("create", "/later")
        running = everysite("restore", str(backup))
        assert running.returncode == 4
        assert f"process {up.process.pid} " in running.stderr
        up.process.kill()
        up.process.wait()
        database = up.home / "everysite.db"
        assert (up.home / "everysite.db-wal").stat().st_size, "the killed one left a log"
        done = everysite.json("restore", str(backup))
        assert done["restored"] == str(database)
        assert "/later" in keys(Path(done["kept"]))
        assert not (up.home / "everysite.db-wal").exists()
        assert everysite.json("check") == {"sound": True, "problems": []}
        assert meta(database, "epoch") not in (None, meta(backup, "epoch"), meta(Path(done["kept"]), "epoch"))
        up.start()
        assert everysite("read", "/then").returncode == 0
        assert everysite("read", "/later").returncode == 44
        assert everysite.json("check") == {"sound": True, "problems": []}
        environ = {"EVERYSITE_TRACKER": up.url, "EVERYSITE_TOKEN": token}
        assert everysite("status", environ=environ).returncode == 0
        assert everysite("sign-in", up.url, "--user", "ann", environ={"EVERYSITE_PASSWORD": "one"}).returncode == 0
        assert everysite("create", "/new").returncode == 0


def test_agents_tell_again_what_the_tracker_has_forgotten(tmp_path: Path) -> None:
    """Files that came, changed and went after the backup: nobody scans them as new, since they are held already."""
    london, rome = tmp_path / "london", tmp_path / "rome"
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        everysite = up.everysite
        for folder in (london, rome):
            folder.mkdir()
            added = everysite("site", "add", folder.name, str(folder), "--set", "sleepBetweenScans=0.3")
            assert added.returncode == 0, added.stderr
        (london / "a").write_text("before")
        (london / "gone").write_text("before")
        wait_until(lambda: (rome / "a").exists() and (rome / "gone").exists())
        wait_until(lambda: json.loads(everysite("read", "/a").stdout).get("synced_rome"))
        assert everysite("backup", str(tmp_path / "b.db")).returncode == 0
        (london / "a").write_text("changed")
        (rome / "b").write_text("new")
        (london / "gone").unlink()
        wait_until(lambda: (london / "b").exists() and (rome / "a").read_text() == "changed")
        wait_until(lambda: "deleted_london" in everysite("read", "/gone").stdout)
        up.stop()
        assert everysite("restore", str(tmp_path / "b.db")).returncode == 0
        up.start()
        wait_until(lambda: everysite("read", "/b").returncode == 0)
        wait_until(lambda: json.loads(everysite("read", "/a").stdout)["file_size"] == len("changed"))
        wait_until(lambda: "deleted_london" in everysite("read", "/gone").stdout)
        wait_until(lambda: everysite.json("why", "/a", "rome")["state"] == "current")
        assert (london / "a").read_text() == (rome / "a").read_text() == "changed"
        assert (rome / "gone").read_text() == "before", "a deletion stays where it was made"
        assert all(site["conflicts"] == 0 for site in everysite.json("status")["sites"])
        assert everysite("check").returncode == 0


def wait_until(met: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_only_a_whole_admin_takes_it(up: Up, tmp_path: Path) -> None:
    everysite = up.everysite
    everysite("user", "add", "ed", "--class", "editor", environ={"EVERYSITE_USER_PASSWORD": "one"})
    token = everysite("token", "add", "ed", "--user", "ed").stdout.strip()
    for shown, code in ((token, 4), ("a.b.c", 4)):
        environ = {"EVERYSITE_TRACKER": up.url, "EVERYSITE_TOKEN": shown}
        done = everysite("backup", str(tmp_path / "b.db"), environ=environ)
        assert done.returncode == code, done.stderr
        assert everysite("check", environ=environ).returncode == code
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["backup"], 2, "FILE"),
        (["backup", "."], 2, "no file"),
        (["backup", "/dev/null"], 2, "no file"),
        (["backup", "no/such/folder.db"], 4, "mkdir"),
        (["restore", "none.db", "--home", "other"], 4, "none.db"),
        (["restore", "text", "--home", "other"], 4, "text"),
        (["check", "none.db"], 4, "none.db"),
        (["check", "text", "--home", "other"], 2, "FILE"),
        (["check", "--home", "other"], 4, "other"),
    ],
)
def test_bad_words_leave_nothing(up: Up, tmp_path: Path, words: list[str], code: int, said: str) -> None:
    (tmp_path / "text").write_text("no database" * 1000)
    done = Everysite(tmp_path, up.home)(*words)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not {path.name for path in tmp_path.iterdir()} - {"text", "other"}
    assert not list(tmp_path.glob("other/everysite.db*"))


def test_a_restore_of_what_is_no_backup_is_refused(up: Up, tmp_path: Path) -> None:
    """Of the home itself, of a file in use, of a newer program: each with its way out."""
    everysite = Everysite(tmp_path)
    assert up.everysite("backup", str(tmp_path / "b.db")).returncode == 0
    assert everysite("restore", "b.db").returncode == 0
    before = keys(everysite.home / "everysite.db")
    itself = everysite("restore", "home/everysite.db")
    assert (itself.returncode, "itself" in itself.stderr) == (2, True)
    in_use = everysite("restore", str(up.home / "everysite.db"))
    assert (in_use.returncode, "in use" in in_use.stderr) == (2, True)
    db = apsw.Connection(str(tmp_path / "b.db"))
    newer = int(db.pragma("user_version")) + 1
    db.pragma("user_version", newer)
    db.close()
    refused = everysite("restore", "b.db")
    assert refused.returncode == 4
    assert f"schema {newer}" in refused.stderr
    assert "install the version of everysite that wrote it" in refused.stderr
    assert everysite("check", "b.db").returncode == 4
    assert keys(everysite.home / "everysite.db") == before
    assert len(list(everysite.home.glob("everysite.db*"))) == 1


def test_up_refuses_a_newer_schema_with_the_way_out(up: Up, tmp_path: Path) -> None:
    """Decisions C 11."""
    everysite = Everysite(tmp_path)
    assert up.everysite("backup", str(tmp_path / "b.db")).returncode == 0
    assert everysite("restore", "b.db").returncode == 0
    database = everysite.home / "everysite.db"
    db = apsw.Connection(str(database))
    db.pragma("user_version", 999)
    db.close()
    before = database.read_bytes()
    done = everysite.process("up", "--port", "0")
    assert done.returncode == 4
    assert "schema 999" in done.stderr
    assert "install the version of everysite that wrote it, or restore a backup" in done.stderr
    assert database.read_bytes() == before
    assert everysite("restore", "b.db").returncode == 0, "and that way is open"
    assert everysite("check").returncode == 0


def test_damage_is_found_running_and_not(tmp_path: Path) -> None:
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        up.everysite("create", "/a")
        up.stop()
        db = apsw.Connection(str(up.home / "everysite.db"))
        db.execute("UPDATE element SET body = '[]' WHERE key = '/a'")
        db.close()
        stopped = up.everysite("check")
        assert stopped.returncode == 1
        assert "1 elements whose body is no JSON object" in stopped.stderr
        assert "everysite restore FILE" in stopped.stderr
        up.start()
        running = up.everysite("check", "--json")
        assert running.returncode == 1
        assert json.loads(running.stdout) == {"sound": False, "problems": ["1 elements whose body is no JSON object"]}


def test_a_backup_that_is_cut_leaves_the_former_one(up: Up, tmp_path: Path) -> None:
    """The command is killed while it writes, then the line is cut by a tracker that dies."""
    up.everysite("create", "--lines", "--file", str(_many(tmp_path)))
    file = tmp_path / "b" / "b.db"
    file.parent.mkdir()
    file.write_bytes(b"the former one")
    command = [sys.executable, "-m", "everysite", "backup", str(file)]
    env = environment(tmp_path, EVERYSITE_HOME=str(up.home))
    cut = 0
    for _ in range(12):
        with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as taking:
            time.sleep(random.uniform(0.05, 0.6))
            taking.send_signal(signal.SIGINT)
        cut += taking.returncode != 0
        if taking.returncode:
            assert file.read_bytes() == b"the former one" or keys(file)
        assert [path.name for path in file.parent.iterdir()] == ["b.db"]
    assert cut, "at least one was interrupted"
    until = time.monotonic() + 10
    while left := list((up.home / "run").glob(".everysite-backup-*")):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def _many(folder: Path) -> Path:
    file = folder / "many"
    file.write_text("".join(json.dumps({"_id": f"/many/{n}", "text": "x" * 2000}) + "\n" for n in range(5000)))
    return file


def test_a_restore_that_is_killed_leaves_a_usable_home(up: Up, tmp_path: Path, long: bool) -> None:
    """At a random moment, again and again; every step one by one is in tests/index/test_sqlite_care.py."""
    up.everysite("create", "--lines", "--file", str(_many(tmp_path)))
    assert up.everysite("backup", str(tmp_path / "b.db")).returncode == 0
    everysite = Everysite(tmp_path)
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as own:
        own.everysite("create", "/own")
        own.process.kill()
        own.process.wait()
    env = environment(tmp_path, EVERYSITE_HOME=str(everysite.home))
    command = [sys.executable, "-m", "everysite", "restore", str(tmp_path / "b.db")]
    seen: dict[bool, int] = {True: 0, False: 0}
    for _ in range(60 if long else 10):
        with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as restoring:
            time.sleep(random.uniform(0.1, 1.2))
            restoring.kill()
        assert everysite.json("check") == {"sound": True, "problems": []}
        found = keys(everysite.home / "everysite.db")
        restored = "/many/4999" in found
        assert restored == ("/own" not in found)
        seen[restored] += 1
    done = everysite.json("restore", str(tmp_path / "b.db"))
    assert Path(done["kept"]).exists()
    assert not list(everysite.home.glob("*.restoring*"))
    with Up(tmp_path) as again:
        assert _read(again, "/many/4999")["_id"] == "/many/4999"


def _read(up: Up, key: str) -> Any:
    return json.loads(up.everysite("read", key).stdout)
