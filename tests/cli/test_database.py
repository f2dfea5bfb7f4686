"""everysite database copy, as an admin meets it: homes, words for databases, waiting for a tracker, no password in sight."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.index.engines import server

from everysite.assemble import open_index, open_tracker
from everysite.cli import main
from everysite.cli.home_lock import HomeLock
from everysite.config import Settings, load
from everysite.model.element import Element
from everysite.tracker.contract import CHANGES
from everysite.tracker.feed_messages import ChangesAsked
from everysite.tracker.operation import Caller

pytestmark = pytest.mark.anyio
ADMIN = Caller("admin", "admin")


async def ran(home: Path, url: str = "") -> Settings:
    """A tracker ran there and left something behind."""
    settings = load(home, {"EVERYSITE_INDEX__URL": url} if url else {})
    (home / "run").mkdir(parents=True, exist_ok=True)
    async with open_tracker(settings):
        pass
    index = open_index(settings)
    await index.run(lambda t: t.elements.put([Element("/a", {"x": 1})]))
    await index.close()
    with HomeLock(home):
        pass
    return settings


async def epoch(settings: Settings) -> str | None:
    index = open_index(settings)
    found: str | None = await index.read(lambda t: t.meta("epoch"))
    await index.close()
    return found


async def test_a_tracker_moves_to_postgresql_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = server().url(server().database())
    settings = await ran(tmp_path / "home")
    async with open_tracker(settings) as service:
        before = await service.call(ADMIN, CHANGES, ChangesAsked("0"))
        cursor, rest = before.changes[0].cursor, [entry.id for entry in before.changes[1:]]
        assert "/a" in rest
    assert main(["database", "copy", "home", url, "--home", str(settings.home)]) == 0
    said = capsys.readouterr().out
    assert "element" in said
    there = load(settings.home, {"EVERYSITE_INDEX__URL": url})
    async with open_tracker(there) as service:
        after = await service.call(ADMIN, CHANGES, ChangesAsked(cursor))  # of the feed as it was
        assert [entry.id for entry in after.changes] == rest
    assert await epoch(there) == await epoch(settings)
    target = tmp_path / "new folder" / "everysite.db"
    words = ["database", "copy", url, f"sqlite://{target}".replace(" ", "%20"), "--json", "--home", str(settings.home)]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["verified"] is True
    rows = {table["table"]: table["rows"] for table in answer["tables"]}
    assert rows["element"] >= 1
    assert rows["number"] > 1
    assert main(["check", str(target)]) == 0


async def test_a_running_tracker_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A home of its own is found by the file alone. Nothing is lost by giving up: the next call goes on."""
    settings = await ran(tmp_path)
    words = ["database", "copy", f"sqlite://{settings.database}", server().url(server().database())]
    with HomeLock(tmp_path):
        assert main([*words, "--wait", "0"]) == 4
        assert "a tracker runs with the home" in capsys.readouterr().err
    assert await asyncio.to_thread(_waits_and_ends, tmp_path, words) == 0


def _waits_and_ends(home: Path, words: list[str]) -> int:
    """As a process, which takes the home when it is free."""
    argv = [sys.executable, "-m", "everysite.cli", *words]
    with contextlib.ExitStack() as stack:
        stack.enter_context(held := HomeLock(home))
        running = stack.enter_context(
            subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        )
        assert running.stderr is not None
        assert "caught up" in running.stderr.readline()
        assert running.poll() is None
        held.__exit__(None, None, None)
        return running.wait(60)


def test_a_password_is_refused_and_never_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = f"sqlite://{tmp_path}/x.db"
    for url in ("postgresql://me:sesame@127.0.0.1:1/x", "postgresql://me@127.0.0.1:1/x?password=sesame"):
        assert main(["database", "copy", file, url]) == 2
        assert main(["database", "copy", url, file]) == 2
        said = capsys.readouterr()
        assert "PGPASSWORD" in said.err
        assert "sesame" not in said.err + said.out


async def test_a_password_from_the_environment_is_never_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = await ran(tmp_path)
    monkeypatch.setenv("EVERYSITE_INDEX__URL", "postgresql://me:sesame@127.0.0.1:1/x")
    assert main(["database", "copy", f"sqlite://{settings.database}", "home", "--home", str(tmp_path)]) == 3
    said = capsys.readouterr()
    assert "127.0.0.1:1" in said.err
    assert "sesame" not in said.err + said.out


@pytest.mark.parametrize("word", ["x.db", "sqlite:///", "mysql://host/x", "http://["])
def test_what_names_no_database(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["database", "copy", word, "home"]) == 2
    assert "sqlite:///PATH" in capsys.readouterr().err
