"""An upgrade as an admin meets it: an agent of another version, a database of another schema, the way back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import apsw
import pytest
from tests.cli.processes import PASSWORD, Everysite, Up, environment


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with Up(tmp_path_factory.mktemp("upgrade"), EVERYSITE_ADMIN_PASSWORD=PASSWORD) as running:
        assert running.everysite("site", "add", "paris", "--set", "enableDiscovery=true").returncode == 0
        yield running


def agent(up: Up, verb: str, message: dict[str, Any], token: str) -> Any:
    """What an agent posts, as another version writes it."""
    head = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = Request(f"{up.url}/api/agent/{verb}", json.dumps(message).encode(), head, method="POST")
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def agent_token(up: Up) -> str:
    from everysite.client import decode_join

    return decode_join(up.everysite.json("site", "token", "paris")["token"]).token


def test_an_agent_of_the_next_version_is_served(up: Up) -> None:
    """It sends fields that are not known here, everywhere."""
    token, more = agent_token(up), {"later": {"x": [1, None]}}
    welcome = agent(
        up, "hello", {"site": "paris", "host": "h", "version": "99.1.0", "url": "file:///nowhere/paris/", **more}, token
    )
    [mapping] = [each["id"] for each in welcome["mappings"]]
    held = agent(up, "hold", {"mapping": mapping, "holder": "them", **more}, token)
    content = {"size": 1, "mtime_ns": 1, "mode": 0o644, "digest": "A" * 43 + "=", **more}
    seen = {"mapping": mapping, "epoch": held["epoch"], "seen": [{"key": "/new", "content": content, **more}], **more}
    assert agent(up, "announce", seen, token)["counts"]["new"] == 1
    claim = {"mapping": mapping, "epoch": held["epoch"], "limit": 10, **more}
    assert agent(up, "claim", claim, token)["jobs"] == []
    assert json.loads(up.everysite("read", "/new").stdout)["origin"] == "paris"


def test_an_agent_of_the_version_before_is_served(up: Up) -> None:
    """It sends only what every version sends."""
    token = agent_token(up)
    welcome = agent(up, "hello", {"site": "paris", "host": "h", "version": "0.0.9"}, token)
    [mapping] = [each["id"] for each in welcome["mappings"]]
    held = agent(up, "hold", {"mapping": mapping, "holder": "them"}, token)
    gone = {"mapping": mapping, "epoch": held["epoch"], "seen": [{"key": "/old"}]}
    assert "refused" in agent(up, "announce", gone, token)
    assert agent(up, "claim", {"mapping": mapping, "epoch": held["epoch"]}, token)["lease"] == 0
    assert agent(up, "let-go", {"mapping": mapping, "epoch": held["epoch"]}, token) == {}


def test_a_newer_database_is_refused_and_the_backup_is_the_way_back(tmp_path: Path) -> None:
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        up.everysite("create", "/before")
        assert up.everysite("backup", str(tmp_path / "before.db")).returncode == 0
    database = up.home / "everysite.db"
    newer = _pragma(database) + 1
    _pragma(database, newer)
    bytes_before = database.read_bytes()
    for words in (["up", "--port", "0"], ["check"]):
        command = [sys.executable, "-m", "everysite", *words, "--home", str(up.home)]
        done = subprocess.run(
            command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
        )
        assert (done.returncode, f"schema {newer}" in done.stderr) == (4, True), done
    assert database.read_bytes() == bytes_before
    everysite = Everysite(tmp_path)
    assert everysite("restore", "before.db").returncode == 0
    with Up(tmp_path) as again:
        assert again.everysite("read", "/before").returncode == 0


def _pragma(database: Path, value: int | None = None) -> int:
    db = apsw.Connection(str(database))
    try:
        if value is not None:
            db.pragma("user_version", value)
        return int(db.pragma("user_version"))
    finally:
        db.close()
