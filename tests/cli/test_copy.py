"""`everysite copy` as a command: words, exit codes, what is printed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.cli.processes import Everysite
from tests.small_disk import mounted


@pytest.fixture
def everysite(tmp_path: Path) -> Everysite:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / "one").write_text("1")
    (source / "two").write_text("22")
    os.utime(source / "two", ns=(1, 1_500_000_000_000_000_000))
    return Everysite(tmp_path)


def copy(everysite: Everysite, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return everysite.process("copy", "--state", "state", *words, stdin=stdin)


def test_a_slash_decides_what_is_copied(everysite: Everysite) -> None:
    assert copy(everysite, "source/", "contents").returncode == 0
    assert (everysite.folder / "contents" / "two").read_text() == "22"
    (everysite.folder / "into").mkdir()
    assert copy(everysite, "source", "into").returncode == 0
    assert (everysite.folder / "into" / "source" / "two").read_text() == "22"


def test_a_file_gets_a_name_or_goes_into_a_folder(everysite: Everysite) -> None:
    (everysite.folder / "into").mkdir()
    assert copy(everysite, "source/two", "into/named").returncode == 0
    done = copy(everysite, "source/two", "into")
    assert done.stdout.startswith("1 of 1 files copied, 2 B")
    assert sorted(os.listdir(everysite.folder / "into")) == ["named", "two"]
    assert (everysite.folder / "into" / "two").stat().st_mtime_ns == 1_500_000_000_000_000_000
    assert copy(everysite, "source/two", "into").stdout.startswith("0 of 1 files copied")
    wrong = copy(everysite, "source/two", "source/two")
    assert (wrong.returncode, "same file" in wrong.stderr) == (2, True)
    assert copy(everysite, "source/two", "missing/folder/two").returncode == 3


def test_programs_get_json(everysite: Everysite) -> None:
    os.mkfifo(everysite.folder / "source" / "pipe")
    done = copy(everysite, "--json", "source/", "target")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["note", "summary"]
    assert lines[0]["path"] == "pipe"
    assert lines[1] | {"seconds": 0} == {
        "event": "summary",
        "files": 3,
        "bytes": 3,
        "copied": 2,
        "copied_bytes": 3,
        "deleted": 0,
        "renamed": 0,
        "failed": 0,
        "left_out": 1,
        "stopped": False,
        "seconds": 0,
    }


def test_names_come_from_a_list(everysite: Everysite) -> None:
    (everysite.folder / "target").mkdir()
    done = copy(everysite, "--files-from", "-", "--from0", "source/", "target", stdin="d/one\0missing\0")
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert [path.name for path in (everysite.folder / "target").rglob("*")] == ["d", "one"]
    assert copy(everysite, "--files-from", "no-list", "source/", "target").returncode == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["source/"], 2, "DST"),
        (["missing/", "target"], 2, "missing does not exist"),
        (["source/", "source"], 2, "same folder"),
        (["source/", "source/inside"], 2, "inside the source"),
        (["source/", "not/there/target"], 3, "make it, or mount it"),
        (["--bwlimit", "fast", "source/", "target"], 2, "800K"),
        (["--include", "*.exr", "source/", "target"], 2, "--exclude"),
        (["--processes", "0", "source/", "target"], 2, "at least 1"),
        (["--files-from", "-", "source/two", "target"], 2, "the source is a file"),
    ],
)
def test_wrong_words_change_nothing(everysite: Everysite, words: list[str], code: int, said: str) -> None:
    done = copy(everysite, *words)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(os.listdir(everysite.folder)) == ["source"]


def test_a_full_target_ends_with_3(everysite: Everysite) -> None:
    (everysite.folder / "source" / "d" / "large").write_bytes(os.urandom(3 << 20))
    with mounted(everysite.folder / "disk", 1):
        done = copy(everysite, "source/", "disk/target")
        assert done.returncode == 3
        assert "no space left" in done.stderr
        assert not [name for _, _, names in os.walk(everysite.folder / "disk") for name in names if "part" in name]


def test_two_runs_into_one_target_do_not_meet(everysite: Everysite, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    from everysite.transfer import tree_locks

    monkeypatch.setattr(tree_locks, "_PATIENCE", 0.0)
    (everysite.folder / "target").mkdir()
    held = os.open(everysite.folder / "target", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    done = everysite("copy", "--state", "state", "source/", "target")
    os.close(held)
    assert done.returncode == 4
    assert "another copy" in done.stderr
