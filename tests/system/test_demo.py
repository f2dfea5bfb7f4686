"""`everysite demo` from outside: its promise is checked by walking the three trees ourselves."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.processes import environment

SITES = ("paris", "montreal", "tokyo")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environ = environment(folder, TMPDIR=str(folder / "tmp"))
    (folder / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "everysite", "demo", *words]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ
    )


def finish(demo: subprocess.Popen[str], timeout: float = 110) -> str:
    """All it said; killed when it takes too long."""
    try:
        said, _ = demo.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        demo.terminate()
        said, _ = demo.communicate(timeout=30)
    return said


def tree(root: Path) -> dict[bytes, str]:
    """SHA-256 by name: another digest and another walk than the demo's own."""
    found: dict[bytes, str] = {}
    for folder, folders, names in os.walk(os.fsencode(root)):
        folders[:] = [name for name in folders if not name.startswith(b".everysite")]
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, os.fsencode(root))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def ours(folder: Path) -> list[int]:
    """Processes that still use this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in words and b"everysite" in words:
                found.append(int(entry.name))
    return found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A tree with odd names, an empty file, a large one, a link and a folder without files."""
    root = tmp_path / "tree"
    for number in range(60):
        path = root / f"shots-{number % 5}" / "deep" / f"{number:03}.exr"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 100))
    (root / "large.bin").write_bytes(os.urandom(9_000_000))
    with open(os.path.join(os.fsencode(root), b"odd \xff\nname"), "wb") as file:
        file.write(b"odd")
    (root / "nothing-in-it").mkdir()
    (root / "link").symlink_to("large.bin")
    return root


def test_a_small_tree_reaches_all_sites(tmp_path: Path, small: Path) -> None:
    before = tree(small)
    home = tmp_path / "home"
    demo = start(tmp_path, "--tree", str(small), "--home", str(home))
    said = finish(demo)
    assert demo.returncode == 0, said
    trees = [tree(home / "sites" / site) for site in SITES]
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) > len(before)
    assert all(f"{site} " in said for site in SITES)
    assert said.count("yes, every byte") == 3
    assert tree(small) == before  # what was shown is a copy
    assert not ours(tmp_path)


@pytest.mark.timeout(240)
def test_the_default_tree_reaches_all_sites(tmp_path: Path) -> None:
    home = tmp_path / "home"
    demo = start(tmp_path, "--home", str(home))
    said = finish(demo, 200)
    assert demo.returncode == 0, said
    trees = [tree(home / "sites" / site) for site in SITES]
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) > 1000
    assert not ours(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, small: Path, number: int) -> None:
    demo = start(tmp_path, "--tree", str(small))
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("3."):
            break
    demo.send_signal(number)
    said = finish(demo, 30)
    assert demo.returncode == 130, said
    assert "Traceback" not in said
    assert not list((tmp_path / "tmp").iterdir())
    assert not ours(tmp_path)


def test_a_part_that_dies_is_named_with_its_last_words(tmp_path: Path, small: Path) -> None:
    demo = start(tmp_path, "--tree", str(small), "--home", str(tmp_path / "home"))
    until = time.monotonic() + 60
    while not (victims := [p for p in ours(tmp_path / "home" / "sites" / "tokyo") if p != demo.pid]):
        assert time.monotonic() < until
        assert demo.poll() is None, finish(demo)
        time.sleep(0.02)
    os.kill(victims[0], signal.SIGKILL)
    said = finish(demo)
    assert demo.returncode == 1, said
    assert "the process of tokyo ended with -9" in said
    assert "the log of tokyo ends with" in said
    assert not ours(tmp_path)


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--tree", "{}/nowhere"], "nowhere is no folder", 4),
        (["--tree", "{}/tree", "--home", "{}/tree/home"], "inside", 4),
        (["--tree", "{}/tree", "--home", "{}"], "not empty", 4),
        (["--tree", "{}/tree/nothing-in-it"], "no regular files", 4),
        (["--speed", "high"], "--speed", 2),
    ],
)
def test_bad_words_start_nothing(tmp_path: Path, small: Path, words: list[str], said: str, code: int) -> None:
    before = tree(small)
    demo = start(tmp_path, *(word.replace("{}", str(tmp_path)) for word in words))
    shown = finish(demo)
    assert demo.returncode == code, shown
    assert said in shown
    assert "Traceback" not in shown
    assert tree(small) == before
    assert not (small / "home").exists()
    assert not list((tmp_path / "tmp").iterdir())
    assert not ours(tmp_path)
