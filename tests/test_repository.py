"""Rules for the repository that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import everysite

ROOT = Path(__file__).resolve().parent.parent
LINES = 350
"""Most lines of a module; more is usually two ideas."""


def tracked() -> list[Path]:
    """The files that belong to the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


FILES = tracked()
MODULES = [path for path in FILES if path.suffix == ".py"]
OURS = [path for path in MODULES if path.is_relative_to(ROOT / "src")]
TEXTS = [path for path in FILES if path.suffix not in (".lock", ".png", ".ico")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_opens_by_saying_what_it_owns() -> None:
    assert OURS
    assert not [name(path) for path in OURS if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))]


def test_no_module_is_two_ideas() -> None:
    long = {name(path) for path in OURS if len(path.read_text().splitlines()) > LINES}
    assert not long


def test_no_shapeless_modules() -> None:
    shapeless = {"utils", "util", "helpers", "manager", "base", "common", "misc"}
    assert not [name(path) for path in OURS if path.stem in shapeless]


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b|pytest\.(mark\.)?(skip|skipif|xfail)\b")
    here = Path(__file__)
    assert not [name(path) for path in MODULES if path != here and later.search(path.read_text())]


def test_nothing_dangerous_is_called() -> None:
    calls = re.compile(r"\bshell=True|\bimport pickle|\bpickle\.|\beval\(|\bos\.system\(|\bverify=False")
    assert not [name(path) for path in OURS if calls.search(path.read_text())]


def test_no_path_of_somebodys_machine() -> None:
    homes = re.compile(r"(?<![\w.~/}$-])/(home|Users|root|work)/[a-z0-9_.-]+/")
    here = Path(__file__)
    assert not [name(path) for path in TEXTS if path != here and homes.search(path.read_text(errors="replace"))]


def test_only_files_that_belong_here() -> None:
    forbidden = {
        ".pyc",
        ".pyo",
        ".so",
        ".db",
        ".sqlite",
        ".log",
        ".part",
        ".pem",
        ".key",
        ".whl",
        ".zip",
        ".gz",
        ".orig",
        ".rej",
    }
    assert not [name(path) for path in FILES if path.suffix in forbidden or "__pycache__" in path.parts]
    assert not [name(path) for path in FILES if path.stat().st_size > 1_000_000]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_locks_name_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text()
    lines = text.splitlines()
    assert not [line for line in lines if "://" in line or "/" in line.partition("#")[0] or line.startswith("-")]
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    assert not [
        entry.split()[0]
        for entry in entries
        if not re.match(r"[\w.-]+==\S+.*--hash=sha256:[0-9a-f]{64}", entry, re.DOTALL)
    ]


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"]
    for lock, wanted in (
        ("requirements.lock", asked),
        ("requirements-dev.lock", asked + project["dependency-groups"]["dev"]),
    ):
        held = set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
        assert {re.split(r"[\[>=<;! ]", each)[0] for each in wanted} <= held, f"type ./run lock to remake {lock}"


def test_the_dev_lock_holds_the_same_versions() -> None:
    core, dev = (
        set(re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in ("requirements.lock", "requirements-dev.lock")
    )
    assert core <= dev


def test_run_is_plain_sh() -> None:
    run = ROOT / "run"
    assert run.read_text().startswith("#!/bin/sh\n")
    assert run.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", run], check=False).returncode == 0
    bashisms = re.compile(
        r"\[\[|\bfunction \w|<<<|<\(|^\s*(local|source) |\$'|\+=|&>|\bpushd\b|\$\{\w+(//|\^|,,)|\bpipefail\b"
    )
    code = [line for line in run.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in code if bashisms.search(line)]


def test_run_explains_itself_without_installing_anything(tmp_path: Path) -> None:
    place = tmp_path / "a checkout with spaces"
    place.mkdir()
    (place / "run").write_bytes((ROOT / "run").read_bytes())
    done = subprocess.run(["sh", place / "run", "help"], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0
    for verb in ("demo", "up", "test", "check", "bench", "docs"):
        assert f"./run {verb}" in done.stdout
    assert [path.name for path in place.iterdir()] == ["run"]


def test_a_change_has_a_note_for_the_person_who_upgrades() -> None:
    notes = [path for path in FILES if path.parent.name == "changelog.d" and path.name != "README.md"]
    assert notes
    assert not [
        name(note) for note in notes if not re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|removed)\.md", note.name)
    ]


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", everysite.__version__)
