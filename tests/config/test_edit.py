"""Changing one key leaves the rest of the file as it was."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.config import load, write
from everysite.config.edit import edited
from everysite.errors import BadRequest, Unreadable

MINE = """\
# our tracker
[server]   # doors
host = "127.0.0.1"
port = 8090  # as ever
trusted_proxies = [
    "10.0.0.1",  # the first
    "10.0.0.2",
]

# agents
[agent]
workers = 3
"""


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("server.port", 9000, "port = 8090  # as ever\n", "port = 9000  # as ever\n"),
        ("server.host", "a#b", 'host = "127.0.0.1"\n', 'host = "a#b"\n'),
        ("agent.workers", 4, "workers = 3\n", "workers = 4\n"),
        ("agent.read_back", True, "workers = 3\n", "workers = 3\nread_back = true\n"),
        ("server.behind_proxy", True, "]\n\n# agents\n", "]\n\n# agents\nbehind_proxy = true\n"),
        ("api.open_mode", True, "workers = 3\n", "workers = 3\n\n[api]\nopen_mode = true\n"),
        ("agent.probe_seconds", (1.0, 2.5), "workers = 3\n", "workers = 3\nprobe_seconds = [1.0, 2.5]\n"),
    ],
)
def test_only_the_one_line_changes(key: str, value: Any, old: str, new: str) -> None:
    assert old in MINE
    assert edited(MINE, key, value) == MINE.replace(old, new)


def test_a_list_of_several_lines_is_replaced_whole() -> None:
    new = edited(MINE, "server.trusted_proxies", ("::1",))
    assert 'port = 8090  # as ever\ntrusted_proxies = ["::1"]\n\n# agents\n' in new


def test_a_file_without_a_last_line_end_grows() -> None:
    assert edited("[agent]\nworkers = 1", "agent.read_back", False) == "[agent]\nworkers = 1\nread_back = false\n"


@pytest.mark.parametrize(
    "text", ["server = {port = 1}\n", "server.port = 1\n", '["server"]\nport = 1\n', "server = 3\n"]
)
def test_spellings_it_does_not_edit_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="set it by hand"):
        edited(text, "server.port", 2)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["", MINE, "[server]\nhost = 'x' # y\n"]))
def test_any_text_comes_back_as_it_was_set(value: str, before: str) -> None:
    after = tomllib.loads(edited(before, "server.host", value))
    wanted = tomllib.loads(before)
    wanted.setdefault("server", {})["host"] = value
    assert after == wanted


def test_set_then_load(tmp_path: Path) -> None:
    home = tmp_path / "new"
    write(home, "server.port", "9001")
    write(home, "agent.probe_seconds", "1, 7")
    write(home, "server.port", "9002")
    settings = load(home, {})
    assert (settings.server.port, settings.agent.probe_seconds) == (9002, (1.0, 7.0))
    assert os.listdir(home) == ["everysite.toml"]
    assert stat.S_IMODE(home.joinpath("everysite.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("server.prot", "1", "did you mean server.port"),
        ("server.port", "many", "server.port cannot be 'many'"),
        ("agent.workers", 0, "agent.workers cannot be 0"),
        ("api.create_returns", "foo", "api.create_returns cannot be 'foo'; it is one of ids, objects"),
    ],
)
def test_what_is_wrong_changes_nothing(tmp_path: Path, key: str, value: Any, said: str) -> None:
    tmp_path.joinpath("everysite.toml").write_text(MINE)
    with pytest.raises(BadRequest, match=said):
        write(tmp_path, key, value)
    assert tmp_path.joinpath("everysite.toml").read_text() == MINE
    assert os.listdir(tmp_path) == ["everysite.toml"]


def test_a_broken_file_is_not_made_worse(tmp_path: Path) -> None:
    for broken in (b"[server\n", b"[server]\nhost = '\xff'\n"):
        tmp_path.joinpath("everysite.toml").write_bytes(broken)
        with pytest.raises(BadRequest, match="is not TOML"):
            write(tmp_path, "server.port", 1)
        assert tmp_path.joinpath("everysite.toml").read_bytes() == broken


def test_a_link_to_the_file_stays_a_link_and_the_mode_stays(tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text(MINE)
    real.chmod(0o640)
    home = tmp_path / "home"
    home.mkdir()
    home.joinpath("everysite.toml").symlink_to(real)
    write(home, "server.port", 1)
    assert home.joinpath("everysite.toml").is_symlink()
    assert "port = 1  # as ever" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_home_that_is_no_folder_is_told(tmp_path: Path) -> None:
    tmp_path.joinpath("home").touch()
    with pytest.raises(Unreadable, match="cannot be changed"):
        write(tmp_path / "home", "server.port", 1)
