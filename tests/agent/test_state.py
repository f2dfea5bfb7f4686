"""The state folder keeps one identity and one process; the host identity tells machines apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from everysite.agent import host
from everysite.agent.state import StateFolder
from everysite.errors import Conflict


def test_the_identity_outlives_the_process(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "a") as first:
        holder = first.holder
    with StateFolder(tmp_path / "a") as again:
        assert again.holder == holder
    with StateFolder(tmp_path / "b") as other:
        assert other.holder != holder


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    with StateFolder(tmp_path), pytest.raises(Conflict, match="running with this state folder"):
        StateFolder(tmp_path)
    StateFolder(tmp_path).close()


def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state") as state:
        assert state.path.stat().st_mode & 0o077 == 0


def test_an_empty_identity_left_by_a_power_cut_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "agent-id").touch()
    with StateFolder(tmp_path) as state:
        assert len(state.holder) == 32


def test_two_processes_of_one_machine_have_one_host_identity() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from everysite.agent.host import host_identity; print(host_identity())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == host.host_identity()


def test_another_mount_namespace_is_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    here = host.host_identity()
    monkeypatch.setattr(host, "_link", lambda path: "mnt:[1]")
    assert host.host_identity() != here


def test_a_system_without_proc_has_an_identity_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_read", lambda path: "")
    assert len(host.host_identity()) == 32
