"""A walk against what os.walk sees, in one process and in several."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.observe.folder import Entry, Folder, fingerprint, pack, unpack
from everysite.observe.walk import walk

numbers = st.integers(0, (1 << 63) - 1)
names = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name and b"/" not in name)
entries = st.lists(
    st.builds(Entry, names, numbers, numbers, st.integers(-(1 << 63), (1 << 63) - 1), numbers, numbers, numbers),
    unique_by=lambda entry: entry.name,
)


@given(entries)
def test_packed_entries_come_back(rows: list[Entry]) -> None:
    rows.sort()
    assert unpack(pack(rows)) == rows


@given(entries, entries)
def test_different_entries_have_different_fingerprints(one: list[Entry], other: list[Entry]) -> None:
    assert (fingerprint(pack(one)) == fingerprint(pack(other))) == (one == other)


def test_the_highest_bit_of_an_inode_survives() -> None:
    entry = Entry(b"a", 0o100644, 1, 2, 3, (1 << 64) - 5, (1 << 63) | 7)
    found = unpack(pack([entry]))[0]
    assert found.inode & (1 << 64) - 1 == entry.inode
    assert (found.owner >> 32 & 0xFFFFFFFF, found.owner & 0xFFFFFFFF) == (1 << 31, 7)


def make_tree(root: Path, folders: int = 90) -> None:
    for number in range(folders):
        folder = root / f"d{number % 9}" / f"s{number}"
        folder.mkdir(parents=True)
        for file in range(3):
            (folder / f"f{file}").write_bytes(b"x" * file)
    (root / "d0" / "link").symlink_to(root / "d1")
    (root / os.fsdecode(b"caf\xe9\n")).write_bytes(b"")
    (root / "empty").mkdir()


def seen(root: Path, processes: int) -> dict[bytes, Folder]:
    return {folder.path: folder for folder in walk(os.fsencode(root), processes)}


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_walk_sees_every_folder_and_file_once(tmp_path: Path, processes: int) -> None:
    make_tree(tmp_path)
    found = list(walk(os.fsencode(tmp_path), processes))
    expected = {}
    for path, folders, files in os.walk(os.fsencode(tmp_path)):
        links = [name for name in folders if os.path.islink(path + b"/" + name)]
        relative = os.path.relpath(path, os.fsencode(tmp_path)).removeprefix(b".")
        expected[relative] = (sorted(set(folders) - set(links)), sorted(files + links))
    assert len(found) == len(expected)
    for folder in found:
        rows = unpack(folder.packed or b"")
        files = [row.name for row in rows if row.mode & 0o170000 != 0o040000]
        assert (folder.subfolders, files) == expected[folder.path]
        assert folder.files == len(files)
        assert not folder.errors


def test_processes_agree(tmp_path: Path) -> None:
    make_tree(tmp_path)
    assert seen(tmp_path, 1) == seen(tmp_path, 2)


def test_what_is_known_comes_without_entries_until_it_changes(tmp_path: Path) -> None:
    make_tree(tmp_path, 12)
    known = {path: folder.fingerprint for path, folder in seen(tmp_path, 1).items()}
    (tmp_path / "d1" / "s1" / "f0").write_bytes(b"other")
    changed = [folder.path for folder in walk(os.fsencode(tmp_path), 1, None, known) if folder.packed is not None]
    assert changed == [b"d1/s1"]


def test_stages_and_what_is_skipped_are_not_seen(tmp_path: Path) -> None:
    (tmp_path / ".everysite-0123456789abcdef.part").mkdir()
    (tmp_path / ".everysite-notes").write_text("a file like any other")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "a").write_text("")
    folders = list(walk(os.fsencode(tmp_path), 1, lambda path, folder: folder and path == b"cache"))
    assert [(folder.path, folder.subfolders) for folder in folders] == [(b"", [])]
    assert [row.name for row in unpack(folders[0].packed or b"")] == [b".everysite-notes"]


def test_an_unreadable_folder_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path, 9)
    refused = os.fsencode(tmp_path / "d3")
    real = os.open

    def deny(path: bytes, flags: int, *args: int) -> int:
        if path == refused:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *args)

    monkeypatch.setattr(os, "open", deny)  # root may read everything, so the refusal has to come from here
    found = seen(tmp_path, 1)
    assert found[b"d3"].errors == [(b"d3", 13)]
    assert not found[b"d3"].fingerprint
    assert b"d4/s4" in found


def test_a_root_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(walk(os.fsencode(tmp_path / "nothing"), 1))


def test_a_walk_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    make_tree(tmp_path)
    others = children()  # a database that other tests need
    running = walk(os.fsencode(tmp_path), 2)
    for _ in range(70):
        next(running)
    assert children() > others
    del running
    assert children() == others


def children() -> set[int]:
    """Processes of ours, those that nobody waited for included."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(number) for number in (task / "children").read_text().split()}
    return found
