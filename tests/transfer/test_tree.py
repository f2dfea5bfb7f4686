"""Copies of folders: equal at the end, cheap the second time, and careful with what can go wrong."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.small_disk import mounted
from tests.transfer.trees import Copy, content

from everysite.errors import BadRequest, SiteUnreachable, TargetFull
from everysite.observe.patterns import ignoring
from everysite.transfer import tree_files, tree_place, tree_start
from everysite.transfer.tree_job import Options


@pytest.fixture(params=[1, 2])
def copy(tmp_path: Path, request: pytest.FixtureRequest) -> Copy:
    return Copy(tmp_path, request.param)


def fill(copy: Copy, folders: int = 30) -> None:
    for number in range(folders):
        for file in range(4):
            copy.write(f"d{number % 5}/s{number:02}/f{file}", f"{number} {file}" * file)
    copy.write("large.bin", os.urandom(3 << 20))
    copy.write(os.fsdecode(b"d0/caf\xe9\n"), "no UTF-8")
    copy.write("d0/" + "n" * 255, "long")
    copy.write("d1/Twin", "1")
    copy.write("d1/twin", "2")
    copy.write("d1/run.sh", "#!/bin/sh").chmod(0o4751)
    copy.write("d1/secret", "s").chmod(0o400)
    (copy.source / "empty" / "inside").mkdir(parents=True)
    (copy.source / "empty").chmod(0o2711)
    (copy.source / "d0" / "link").symlink_to("../nowhere")
    (copy.source / "folder-link").symlink_to("d1")
    os.utime(copy.source / "d2", ns=(1, 1_000_000_000_123_456_789))


def test_a_first_copy_is_equal_and_a_second_moves_nothing(copy: Copy) -> None:
    fill(copy)
    first = copy()
    assert copy.equal()
    assert not first.failed
    assert first.copied == first.files == 120 + 9
    copied = content(copy.target)
    inodes = {path: os.lstat(os.fsencode(copy.target) + b"/" + path).st_ino for path in copied}
    second = copy()
    assert (second.copied, second.deleted, second.files) == (0, 0, first.files)
    assert inodes == {path: os.lstat(os.fsencode(copy.target) + b"/" + path).st_ino for path in copied}


def test_without_its_manifest_equal_files_are_left_alone(copy: Copy) -> None:
    fill(copy)
    copy()
    copy.state = copy.state.with_name("another")
    assert copy().copied == 0
    assert copy.equal()


def test_changes_of_every_kind_arrive(copy: Copy) -> None:
    fill(copy)
    copy()
    copy.write("d0/s00/f1", "longer than before")
    copy.write("d0/new", "new")
    copy.write("new/folder/of/files", "deep")
    (copy.source / "d3" / "s03" / "f2").unlink()
    (copy.source / "d1" / "secret").chmod(0o644)
    (copy.source / "d2").chmod(0o700)
    (copy.source / "folder-link").unlink()
    (copy.source / "folder-link").symlink_to("d2")
    summary = copy()
    assert copy.equal()
    assert summary.copied == 4
    assert summary.deleted == 1
    assert copy().copied == 0


def test_files_and_folders_change_places(copy: Copy) -> None:
    copy.write("a/b/c", "1")
    copy.write("file", "2")
    copy.write("other/file", "3")
    (copy.source / "link").symlink_to("a")
    copy()
    os.rename(copy.source / "file", copy.source / "was-file")
    copy.write("file/is/a/folder/now", "4")
    os.rename(copy.source / "a" / "b" / "c", copy.source / "c")
    (copy.source / "a" / "b").rmdir()
    (copy.source / "a").rmdir()
    copy.write("a", "a file now")
    (copy.source / "link").unlink()
    copy.write("link/in/place/of/a/link", "5")
    copy()
    assert copy.equal()


def test_a_link_at_the_target_is_never_followed(copy: Copy, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f0").write_text("mine")
    copy.write("d/f0", "theirs")
    copy.write("d/sub/f", "theirs")
    copy.target.mkdir()
    (copy.target / "d").symlink_to(outside)
    copy()
    assert copy.equal()
    (copy.target / "d" / "f0").unlink()
    (copy.target / "d" / "f0").symlink_to(outside / "f0")
    copy()
    assert copy.equal()
    assert (outside / "f0").read_text() == "mine"


def test_a_renamed_folder_is_renamed(copy: Copy) -> None:
    fill(copy)
    copy()
    inode = (copy.target / "d4" / "s04" / "f3").stat().st_ino
    (copy.source / "d4").rename(copy.source / "moved")
    (copy.source / "large.bin").rename(copy.source / "moved" / "larger.bin")
    summary = copy()
    assert copy.equal()
    assert (summary.copied, summary.renamed) == (0, 2)
    assert (copy.target / "moved" / "s04" / "f3").stat().st_ino == inode
    assert copy().copied == 0


def test_without_delete_what_is_extra_stays_until_it_is_asked_for(copy: Copy) -> None:
    fill(copy, 10)
    copy()
    (copy.target / "extra").write_text("theirs")
    (copy.target / "d1" / "s01" / "extra").write_text("theirs")
    (copy.source / "d0").rename(copy.source / "renamed")
    summary = copy(delete=False)
    assert (summary.deleted, summary.renamed) == (0, 0)
    assert (copy.target / "d0" / "s00" / "f1").exists()
    assert (copy.target / "extra").exists()
    assert copy(delete=False).copied == 0
    assert copy().deleted == 3
    assert copy.equal()


def test_names_added_or_removed_at_the_target_are_noticed(copy: Copy) -> None:
    fill(copy, 10)
    copy()
    (copy.target / "d1" / "s01" / "f1").unlink()
    (copy.target / "d2" / "s02" / "f1").rename(copy.target / "d2" / "s02" / "f9")
    copy()
    assert copy.equal()


def test_check_finds_what_was_written_to_at_the_target(copy: Copy) -> None:
    fill(copy, 10)
    copy()
    (copy.target / "d1" / "s01" / "f2").write_text("somebody else")
    assert copy().copied == 0  # documented: only --check reads the target's files
    assert copy(check=True).copied == 1
    assert copy.equal()


def test_a_file_that_kept_its_size_and_time_but_not_its_bytes(copy: Copy) -> None:
    path = copy.write("d/file", "one")
    copy.write("d/other", "one")
    copy()
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (copy.source / "d" / "other").chmod(0o600)
    summary = copy()
    assert copy.equal()
    assert summary.copied == 1, "the other one was touched, but its bytes are the same"


def test_a_file_written_twice_within_a_tick_is_looked_at_again(copy: Copy) -> None:
    path = copy.source / "file"
    path.write_text("one")
    copy()
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    copy()
    assert (copy.target / "file").read_text() == "two"


def test_a_file_that_changes_while_it_is_read_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(tmp_path)
    copy.write("d/still", "1")
    path = copy.write("d/busy", "old")
    copy()
    path.write_text("new")
    real = tree_files._moments
    monkeypatch.setattr(tree_files, "_moments", lambda found: (*real(found)[:2], time.monotonic_ns()))
    path.write_text("newer")
    monkeypatch.setattr(os, "readv", grow(path, os.readv))
    summary = copy()
    assert summary.failed == 1
    assert copy.failed[0][0] == "d/busy"
    assert "changed while it was read" in copy.failed[0][1]
    assert (copy.target / "d" / "busy").read_text() == "old"
    assert sorted(os.listdir(copy.target / "d")) == ["busy", "still"]
    monkeypatch.undo()
    assert copy().copied == 1
    assert copy.equal()


def grow(path: Path, real: Callable[[int, list[bytearray]], int]) -> Callable[[int, list[bytearray]], int]:
    """readv(2) with a writer that comes in between."""

    def readv(fd: int, buffers: list[bytearray]) -> int:
        count = real(fd, buffers)
        with path.open("a") as file:
            file.write("more")
        return count

    return readv


def test_a_file_that_vanishes_or_may_not_be_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(tmp_path)
    fill(copy, 10)
    real = os.open

    def refuse(path: object, *args: int, **more: int) -> int:
        if path == b"f1":
            raise PermissionError(13, "Permission denied")
        if path == b"f2":
            raise FileNotFoundError(2, "No such file or directory")
        return real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)  # root may read everything, so the refusal has to come from here
    summary = copy()
    assert summary.failed == 20
    assert summary.copied == summary.files == 20 + 9
    assert any("access denied" in reason for _, reason in copy.failed)
    monkeypatch.undo()
    assert copy().copied == 20
    assert copy.equal()


def test_nothing_is_deleted_after_a_folder_that_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Copy(tmp_path)
    fill(copy, 10)
    copy()
    (copy.source / "d1" / "s01" / "f1").unlink()
    real = os.open

    def refuse(path: object, *args: int, **more: int) -> int:
        if path == os.fsencode(copy.source / "d3"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    summary = copy()
    assert (summary.failed, summary.deleted) == (1, 0)
    assert (copy.target / "d1" / "s01" / "f1").exists()
    monkeypatch.undo()
    assert copy().deleted == 1
    assert copy.equal()


def test_specials_are_left_out_and_said(copy: Copy) -> None:
    copy.write("d/file")
    os.mkfifo(copy.source / "d" / "pipe")
    folder = os.open(copy.source / "d", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{folder}/s")  # a socket's path has at most 107 bytes
    os.close(folder)
    summary = copy()
    assert sorted(copy.notes) == ["d/pipe", "d/s"]
    assert (summary.copied, summary.failed, summary.left_out) == (1, 0, 2)


def test_a_full_target_is_said_and_left_clean(copy: Copy, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 2) as disk:
        copy.target = disk / "target"
        for number in range(12):
            copy.write(f"d{number}/file", os.urandom(400_000))
        with pytest.raises(TargetFull, match="no space left"):
            copy()
        assert not [path for path in content(copy.target) if b".everysite-" in path]
        whole = content(copy.source)
        for path, what in content(copy.target).items():
            assert stat.S_ISDIR(what[0]) or what[3] == whole[path][3]
        for number in range(12):  # all of them: which ones had arrived by then depends on the workers
            (copy.source / f"d{number}" / "file").write_bytes(b"small now")
        assert not copy().failed
        assert copy.equal()


def test_what_was_written_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(tmp_path)
    fill(copy, 5)
    assert not copy(read_back=True).failed
    copy.write("d0/s00/f1", "changed")
    monkeypatch.setattr(tree_place, "_digest_again", lambda name, folder: b"a disk that forgets")
    summary = copy(read_back=True)
    assert summary.failed == 1
    assert "not what was written" in copy.failed[0][1]
    monkeypatch.undo()
    assert copy(read_back=True).copied == 1
    assert copy.equal()


def test_stages_of_a_killed_run_are_removed(copy: Copy) -> None:
    fill(copy, 10)
    copy()
    (copy.target / ".everysite-0123456789abcdef.part").mkdir()
    (copy.target / ".everysite-0123456789abcdef.part" / "f").write_text("torn")
    (copy.target / "d0" / "s00" / ".everysite-0123456789abcdef.part").write_text("torn")
    copy(delete=False)
    assert copy.equal()


def test_a_dry_run_says_and_changes_nothing(copy: Copy) -> None:
    fill(copy, 10)
    copy(dry_run=True)
    assert not copy.target.exists()
    assert ("copy", "d0/s00/f1") in copy.would
    copy()
    (copy.source / "d0" / "s00" / "f1").unlink()
    copy.write("d0/s00/f2", "changed")
    before = content(copy.target)
    copy(dry_run=True)
    # "read": files made a moment before the first copy are looked at again
    assert sorted(would for would in copy.would if would[0] != "read") == [
        ("copy", "d0/s00/f2"),
        ("delete", "d0/s00/f1"),
    ]
    assert content(copy.target) == before


def test_left_out_names_are_neither_copied_nor_deleted(copy: Copy) -> None:
    fill(copy, 10)
    copy.target.mkdir()
    (copy.target / "notes.tmp").write_text("theirs")
    copy.write("cache/a")
    copy.write("x.tmp")
    copy.write("keep.tmp")
    copy(skip=ignoring(["*.tmp", "cache/", "!keep.tmp"]))
    assert (copy.target / "notes.tmp").exists()
    assert (copy.target / "keep.tmp").exists()
    assert not (copy.target / "x.tmp").exists()
    assert not (copy.target / "cache").exists()


def test_only_named_paths_are_looked_at(copy: Copy) -> None:
    fill(copy, 20)
    copy()
    copy.write("d0/s00/f1", "changed")
    copy.write("d0/s00/f2", "changed too")
    copy.write("new/deep/file", "new")
    (copy.source / "d1" / "s01" / "f1").unlink()
    summary = copy([b"d0/s00/f1", b"new/deep/file", b"./d1/s01/f1", b"d2"])
    assert (summary.copied, summary.deleted) == (2, 1)
    assert (copy.target / "d0" / "s00" / "f1").read_text() == "changed"
    assert (copy.target / "d0" / "s00" / "f2").read_text() != "changed too"
    assert (copy.target / "new" / "deep").stat().st_mtime_ns == (copy.source / "new" / "deep").stat().st_mtime_ns
    assert copy().copied == 1
    assert copy.equal()


def test_named_paths_that_cannot_be_are_told(copy: Copy) -> None:
    fill(copy, 5)
    copy()
    summary = copy([b"../outside", b"/etc/passwd", b"gone", b"gone/folder/file", b"d0/s00/f1"], delete=False)
    assert summary.failed == 4
    assert {path for path, _ in copy.failed} == {"../outside", "/etc/passwd", "gone", "gone/folder/file"}


def test_paths_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.write("inside/file")
    for source, target, wrong in (
        ("source", "source", "same folder"),
        ("source", "source/inside", "inside the source"),
        ("missing", "target", "does not exist"),
        ("source/inside/file", "target", "is no folder"),
        ("source/inside", "source", "inside the target"),
    ):
        copy.source, copy.target = tmp_path / source, tmp_path / target
        before = content(tmp_path)
        with pytest.raises(BadRequest, match=wrong):
            copy()
        assert content(tmp_path) == before
    copy.source, copy.target = tmp_path / "source", tmp_path / "not" / "there"
    with pytest.raises(SiteUnreachable, match="does not exist"):
        copy()


def test_the_state_may_lie_inside_either_side(copy: Copy) -> None:
    fill(copy, 5)
    copy.state = copy.source / "state"
    copy()
    assert copy().copied == 0
    assert not (copy.target / "state").exists()
    copy.state = copy.target / "state"
    copy()
    assert copy().copied == 0
    assert list((copy.target / "state").iterdir())


def test_a_slow_copy_keeps_to_its_rate(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.write("a", os.urandom(200_000))
    began = time.monotonic()
    copy(bytes_per_second=400_000)
    assert time.monotonic() - began > 0.4
    assert copy.equal()


def test_a_stopped_copy_leaves_no_stage_and_goes_on(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    fill(copy, 40)
    asked = iter([False] * 25)
    places = [os.fsencode(path) for path in (copy.source, copy.target, copy.state)]
    summary = tree_start.copy_tree(
        places[0], places[1], places[2], Options(processes=1), lambda event: None, lambda: next(asked, True)
    )
    assert summary.stopped
    assert 0 < len(content(copy.target)) < len(content(copy.source))
    assert not [path for path in content(copy.target) if b".everysite-" in path]
    copy()
    assert copy.equal()
