"""Sites of this machine and joined ones, through the verbs alone: `up`, `site add`, `join`, `agent`."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.processes import Up
from tests.system.agents import Agent, until

SCAN_SOON = ["--set", "sleepBetweenScans=0.3"]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with Up(tmp_path) as running:
        yield running


def test_two_sites_of_this_machine(up: Up, tmp_path: Path) -> None:
    """No agent is started by hand; a file published by hand and one found by a scan both arrive."""
    for name in ("london", "rome"):
        (tmp_path / name).mkdir()
        done = up.everysite("site", "add", name, str(tmp_path / name), *SCAN_SOON)
        assert done.returncode == 0, done.stderr
    (tmp_path / "london" / "found.txt").write_text("found")
    until((tmp_path / "rome" / "found.txt").exists, up.log.read_text)
    (tmp_path / "rome" / "said.txt").write_text("said")
    done = up.everysite("publish", "rome/said.txt", "--origin", "rome", "--wait", "--timeout", "30")
    assert done.returncode in (0, 1), done.stderr  # 1: the scan was faster
    until((tmp_path / "london" / "said.txt").exists, up.log.read_text)
    assert up.everysite("why", "/found.txt", "rome").returncode == 0
    assert [site["agent"] for site in up.everysite.json("site", "list")] == ["on", "on"]


def test_the_local_agent_ends_with_a_killed_up_and_comes_back(up: Up, tmp_path: Path) -> None:
    (tmp_path / "london").mkdir()
    up.everysite("site", "add", "london", str(tmp_path / "london"), *SCAN_SOON)
    until(lambda: up.everysite.json("site", "list")[0]["agent"] == "on", up.log.read_text)
    up.process.kill()
    up.process.wait()
    up.start()
    (tmp_path / "london" / "later.txt").write_text("later")
    until(lambda: up.everysite.json("status")["sites"][0]["files"] == 1, up.log.read_text)


def test_join_serve_end_and_serve_again(up: Up, tmp_path: Path) -> None:
    (tmp_path / "london").mkdir()
    (tmp_path / "rome").mkdir()
    up.everysite("site", "add", "london", str(tmp_path / "london"), *SCAN_SOON)
    (tmp_path / "london" / "one.txt").write_text("one")
    answer = up.everysite.json("site", "add", "rome")
    state = tmp_path / "state"
    joined = Agent(
        tmp_path, "join", answer["url"], "-", str(tmp_path / "rome"), "--state", str(state), stdin=answer["token"]
    )
    until((tmp_path / "rome" / "one.txt").exists, joined.log.read_text)
    assert stat.S_IMODE((state / "agent.json").stat().st_mode) == 0o600
    second = Agent(tmp_path, "agent", "--state", str(state))
    assert second.process.wait(30) == 4
    assert "running" in second.log.read_text()
    assert joined.stop() == 0, joined.log.read_text()
    (tmp_path / "london" / "two.txt").write_text("two")
    again = Agent(tmp_path, "agent", "--state", str(state))
    until((tmp_path / "rome" / "two.txt").exists, again.log.read_text)
    assert again.stop(signal.SIGINT) == 0, again.log.read_text()
    assert json.loads((state / "agent.json").read_bytes())["token"] not in joined.log.read_text()


def test_bad_joins_leave_nothing(up: Up, tmp_path: Path) -> None:
    everysite = up.everysite
    answer = everysite.json("site", "add", "rome")
    url, token = answer["url"], answer["token"]
    (tmp_path / "rome").mkdir()
    (tmp_path / "london").mkdir()
    everysite("site", "add", "london", str(tmp_path / "london"))
    until(lambda: everysite.json("site", "show", "london")["agent"] == "on", up.log.read_text)
    user = everysite("token", "add", "mine").stdout.strip()
    cases: list[tuple[list[str], int, str]] = [
        ([url, token, "nowhere"], 4, "mkdir"),
        ([url, token[:-9], "rome"], 2, "cut or mistyped"),
        ([url, "nonsense", "rome"], 4, "sign in"),
        ([url, user, "rome"], 4, "user"),
        (["ftp://x", token, "rome"], 2, "ftp://x"),
        (["http://127.0.0.1:1", token, "rome"], 3, "127.0.0.1:1"),
        ([url, token, "london"], 4, "london"),
        ([url, token, "rome", "--state", "rome/state"], 2, "apart"),
        ([url, token], 2, "FOLDER"),
    ]
    for words, code, said in cases:
        done = everysite.process("join", *words)  # with a timeout, should one of them begin to serve
        assert (done.returncode, done.stdout) == (code, ""), (words, done)
        assert said in done.stderr.lower() or said in done.stderr, (words, done.stderr)
        assert done.stderr.count("\n") == 1
    assert not os.listdir(tmp_path / "rome")
    assert not (tmp_path / "data").exists()
    for words, code, said in [
        (["agent"], 2, "--state"),
        (["agent", "--local"], 2, "--tracker"),
        (["agent", "--state", "nowhere"], 4, "everysite join"),
    ]:
        done = everysite(*words)
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr
