"""A walk in another process says what a walk here says, and leaves no process behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from everysite.observe.apart import walk_apart
from everysite.observe.walk import walk


def make(root: Path) -> bytes:
    for number in range(150):
        folder = root / f"d{number // 10}" / f"s{number % 10}"
        folder.mkdir(parents=True)
        (folder / "file").write_text(str(number))
    return os.fsencode(root)


@pytest.mark.parametrize("processes", [1, 2])
def test_it_sees_what_a_walk_here_sees(tmp_path: Path, processes: int) -> None:
    root = make(tmp_path)
    assert sorted(walk_apart(root, processes, {})) == sorted(walk(root))


def test_what_is_known_comes_without_entries(tmp_path: Path) -> None:
    root = make(tmp_path)
    known = {folder.path: folder.fingerprint for folder in walk(root)}
    (tmp_path / "d3" / "s3" / "file").write_text("changed")
    assert [f.path for f in walk_apart(root, 2, known) if f.packed is not None] == [b"d3/s3"]


def test_a_missing_root_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(walk_apart(os.fsencode(tmp_path / "gone"), 2, {}))


def test_a_child_that_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(RuntimeError, match="died"):
        list(walk_apart(make(tmp_path), 2, {}))


def test_who_stops_early_leaves_no_process(tmp_path: Path) -> None:
    folders = walk_apart(make(tmp_path), 2, {})
    next(folders)
    folders.close()  # type: ignore[attr-defined]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [child for child in children if b"observe.apart" in Path(f"/proc/{child}/cmdline").read_bytes()]
