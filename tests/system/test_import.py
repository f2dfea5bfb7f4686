"""A home that was filled from a dump, served: people sign in as before, and files stand as they stood."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tests.cli import dump_files
from tests.cli.processes import Everysite, Up
from tests.cli.test_import import DOCUMENTS, FILE, MIXED


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A tracker that was started for the first time after the import; without a password for a first admin."""
    folder = tmp_path_factory.mktemp("import")
    everysite = Everysite(folder)
    dump = dump_files.write(folder, "archive.gz", DOCUMENTS)
    done = everysite("import", "damas", str(dump))
    assert done.returncode == 0, done.stderr
    with Up(folder) as running:
        yield running


def ask(up: Up, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    head = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(f"{up.url}{path}", data, head, method=method), timeout=10) as answer:
            return answer.status, json.load(answer)
    except HTTPError as err:
        return err.code, err.read()


def sign_in(up: Up, name: str, password: str) -> tuple[int, Any]:
    return ask(up, "POST", "/api/signIn/", {"username": name, "password": password})


@pytest.mark.parametrize(("name", "password", "_id"), [("ann", "one", MIXED.lower()), ("bob", "two", "@bob")])
def test_people_sign_in_with_their_old_passwords(up: Up, name: str, password: str, _id: str) -> None:
    for _ in range(2):  # the second time against the hash that the first one left
        status, signed = sign_in(up, name, password)
        assert (status, signed["_id"]) == (200, _id)
        assert "password" not in json.dumps(signed)
        assert ask(up, "GET", "/api/verify/", token=signed["token"])[1]["username"] == name
    assert sign_in(up, name, "three")[0] == 401


def test_the_digest_itself_is_no_password(up: Up) -> None:
    assert sign_in(up, "ann", DOCUMENTS[2]["password"])[0] == 401


def test_the_old_admin_is_the_admin(up: Up) -> None:
    assert "password" not in up.log.read_text(), "no other admin was made"
    token = sign_in(up, "bob", "two")[1]["token"]
    assert sorted(user["username"] for user in ask(up, "GET", "/api/users", token=token)[1]["users"]) == ["ann", "bob"]


def test_identifiers_keep_their_form(up: Up) -> None:
    token = sign_in(up, "ann", "one")[1]["token"]
    key = "54ca1b2c3d4e5f60718293a5"
    assert ask(up, "POST", "/api/read/", key, token)[1]["comment"] == "looks é good"
    assert ask(up, "POST", "/api/graph/1/", [FILE], token)[1]
    found = ask(up, "POST", "/api/search_mongo/", {"query": {"#parent": FILE}}, token)[1]
    assert found == {"count": 1, "ids": [key]}
    linked = ask(up, "POST", "/api/search_mongo/", {"query": {"src_id": key, "tgt_id": FILE}}, token)[1]
    assert linked["ids"] == ["54ca1b2c3d4e5f60718293a6"]
    assert ask(up, "POST", "/api/read/", "tpl/{#}", token)[1]["a.b"] == 1


def test_files_stand_as_they_stood(up: Up) -> None:
    """Delivered after `time`: current; before: outdated. The tracker judges by rows, not by keys."""
    everysite = up.everysite
    file = json.loads(everysite("read", FILE).stdout)
    assert (file["author"], file["time"], file["synced_paris"]) == ("ann", 1_500_000_000_000, 1_500_000_000_001)
    sites = {site["name"]: site for site in everysite.json("status")["sites"]}
    assert set(sites) == {"paris", "rome"}
    token = sign_in(up, "ann", "one")[1]["token"]
    outdated = ask(up, "GET", "/api/sites/rome/outdated", token=token)[1]
    assert FILE in json.dumps(outdated, ensure_ascii=False)
    assert FILE not in json.dumps(ask(up, "GET", "/api/sites/paris/outdated", token=token)[1], ensure_ascii=False)
    assert json.loads(everysite("read", "rsyncGlobalParameters").stdout)["sleepBetweenScans"] == 30


def test_an_imported_site_goes_on_when_its_machine_joins(up: Up) -> None:
    """The file is at its origin: the agent there measures it, and nothing of the import is lost by that."""
    everysite = up.everysite
    folder = up.home.parent / "paris"
    target = folder / FILE.removeprefix("/")
    target.parent.mkdir(parents=True)
    target.write_bytes(b"twelve bytes")
    token = everysite.json("site", "token", "paris")["token"]
    state = up.home.parent / "state"
    command = [sys.executable, "-m", "everysite", "join", up.url, token, str(folder), "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent:
        try:
            _wait(lambda: "digest" in json.loads(everysite("read", FILE).stdout))
        finally:
            agent.terminate()
            agent.wait(15)
    file = json.loads(everysite("read", FILE).stdout)
    assert (file["comment"], file["sync_priority"], file["author"]) == ("first", -3, "ann")
    shutil.rmtree(folder)


def _wait(met: Any, seconds: float = 20) -> None:
    import time

    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until
        time.sleep(0.1)
