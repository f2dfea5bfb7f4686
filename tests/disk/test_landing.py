"""Landing: staged beside the target, nothing visible before publish, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.reading import hash_file, read_small
from everysite.disk.stages import is_stage, stage_of
from everysite.disk.system import HERE, PORTABLE, System
from everysite.errors import Conflict, NotFound, PathRefused, SiteUnreachable, TargetFull, Unreadable


@pytest.fixture(params=[HERE, PORTABLE], ids=["here", "portable"])
def system(request: pytest.FixtureRequest) -> System:
    chosen: System = request.param
    return chosen


def land(root: Path, system: System) -> Landing:
    return Landing(Root(os.fsencode(root), system), token=b"t")


def test_bytes_wait_under_the_announced_stage_name(tmp_path: Path, system: System) -> None:
    landing = land(tmp_path, system)
    landing.put(b"a/b/c", b"new", 1_000_000_007, 0o640)
    assert not (tmp_path / "a/b/c").exists()
    assert (tmp_path / os.fsdecode(stage_of(b"a/b/c", b"t"))).read_bytes() == b"new"
    landing.sync()
    found = landing.publish(b"a/b/c")
    landing.settle()
    landing.close()
    assert (found.st_mtime_ns, found.st_mode & 0o7777, found.st_size) == (1_000_000_007, 0o640, 3)
    assert os.listdir(tmp_path / "a/b") == ["c"]


def test_mode_is_kept_whatever_the_umask_and_set_id_bits_never_travel(tmp_path: Path, system: System) -> None:
    old = os.umask(0o077)
    try:
        landing = land(tmp_path, system)
        landing.put(b"open", b"", 0, 0o666)
        landing.put(b"setuid", b"", 0, 0o4755)
        modes = [landing.publish(n).st_mode & 0o7777 for n in (b"open", b"setuid")]
        landing.close()
    finally:
        os.umask(old)
    assert modes == [0o666, 0o755]


def test_close_removes_what_was_not_published(tmp_path: Path, system: System) -> None:
    landing = land(tmp_path, system)
    landing.put(b"a", b"1", 0, 0o644)
    os.close(landing.create(b"b"))
    landing.close()
    assert os.listdir(tmp_path) == []


def test_expected_target_guards_what_is_there(tmp_path: Path, system: System) -> None:
    (tmp_path / "there").write_bytes(b"mine")
    mine = (tmp_path / "there").stat()
    landing = land(tmp_path, system)
    landing.put(b"there", b"theirs", 5, 0o644)
    with pytest.raises(Conflict):
        landing.publish(b"there", None)
    with pytest.raises(Conflict):
        landing.publish(b"there", (4, mine.st_mtime_ns + 1))
    assert (tmp_path / "there").read_bytes() == b"mine"
    landing.publish(b"there", (4, mine.st_mtime_ns))
    landing.put(b"gone", b"x", 5, 0o644)
    with pytest.raises(Conflict):
        landing.publish(b"gone", (1, 1))
    landing.close()
    assert (tmp_path / "there").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["there"]


@pytest.mark.parametrize(
    "name", [b"../x", b"/etc/x", b"a/../../x", b"", b".", b"a//b", b"a/./b", b"a\0b", b"a/", b"x" * 256]
)
def test_names_that_lead_outside_or_nowhere_are_refused(tmp_path: Path, system: System, name: bytes) -> None:
    landing = land(tmp_path, system)
    with pytest.raises(PathRefused):
        landing.put(name, b"x", 0, 0o644)
    landing.close()
    assert not (tmp_path.parent / "x").exists()


def test_links_out_of_the_root_are_not_followed(tmp_path: Path, system: System) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "secret").write_bytes(b"s")
    (root / "door").symlink_to(outside)
    (root / "leaf").symlink_to(outside / "secret")
    landing = land(root, system)
    with pytest.raises(PathRefused):
        landing.put(b"door/new", b"x", 0, 0o644)
    with pytest.raises(NotFound):
        read_small(*landing.root.split(b"leaf"))
    landing.put(b"leaf", b"mine", 0, 0o644)
    landing.publish(b"leaf")
    landing.close()
    assert (outside / "secret").read_bytes() == b"s" and os.listdir(outside) == ["secret"]
    assert not (root / "leaf").is_symlink() and (root / "leaf").read_bytes() == b"mine"


def test_reserved_names_missing_roots_and_files_in_the_way(tmp_path: Path, system: System) -> None:
    with pytest.raises(SiteUnreachable, match="mount it or correct its url"):
        Root(os.fsencode(tmp_path / "nowhere"), system)
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dir").mkdir()
    landing = land(tmp_path, system)
    with pytest.raises(PathRefused):
        landing.put(stage_of(b"x", b"t"), b"", 0, 0o644)
    with pytest.raises(Conflict):
        landing.put(b"file/below", b"", 0, 0o644)
    landing.put(b"dir", b"", 0, 0o644)
    with pytest.raises(Unreadable):
        landing.publish(b"dir")
    landing.close()
    assert sorted(os.listdir(tmp_path)) == ["dir", "file"] and os.listdir(tmp_path / "dir") == []


def test_more_folders_than_are_kept_open(tmp_path: Path, system: System) -> None:
    landing = land(tmp_path, system)
    names = [b"d%03d/%s/f" % (i, b"x" * 200) for i in range(300)]
    for name in names:
        landing.put(name, name, 0, 0o644)
    landing.sync()
    for name in names:
        landing.publish(name)
    landing.settle()
    fds = len(os.listdir("/proc/self/fd"))
    landing.close()
    assert fds < 300 and all(hash_file(Root(os.fsencode(tmp_path), system), n) for n in names)


def test_stage_names_are_told_from_others() -> None:
    assert is_stage(stage_of(b"x", b"t")) and stage_of(b"d/x", b"t").startswith(b"d/.everysite-")
    assert not is_stage(b".everysite-xyz.part") and not is_stage(b".everysite-0123456789abcdef.part~")


def test_faults_are_named_for_what_to_do_about_them() -> None:
    assert isinstance(explain(OSError(28, "No space"), b"/a", "writing"), TargetFull)
    assert isinstance(explain(OSError(5, "I/O error"), b"/a", "writing"), SiteUnreachable)
    assert "/a" in str(explain(OSError(13, "denied"), b"/a", "reading"))


def test_everything_imports_and_works_without_the_linux_calls(tmp_path: Path) -> None:
    script = (
        "import sys, os; sys.modules['fcntl'] = None; sys.platform = 'win32'\n"
        "for gone in ('copy_file_range', 'O_NOFOLLOW', 'O_NONBLOCK', 'O_CLOEXEC', 'O_DIRECTORY', 'posix_fadvise'):\n"
        "    delattr(os, gone)\n"
        "from everysite.disk import system, landing, folders\n"
        "assert system.HERE is system.PORTABLE\n"
        "one = landing.Landing(folders.Root(os.fsencode(sys.argv[1])))\n"
        "one.put(b'a/b', b'x', 7, 0o600); one.sync(); one.publish(b'a/b', None); one.settle(); one.close()\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env={"PYTHONPATH": "src"}, timeout=60)
    assert (tmp_path / "a/b").read_bytes() == b"x"
