"""Held trees against a dict: puts, moves and removals of files and folders in any order."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from tests.index.engines import ENGINES
from tests.index.machine import IndexMachine, drive

from everysite.errors import BadRequest
from everysite.index.contract import HeldFile, HeldFolder

PARTS = st.lists(st.sampled_from([b"a", b"b", b"\xff"]), max_size=3)
FOLDERS = PARTS.map(b"/".join)
LEAVES = st.sampled_from([b"x", b"y", b"a"])
DIGESTS = st.integers(0, 3).map(lambda n: bytes([n]) * 32)


class HeldMachine(IndexMachine):
    """The model: digests by path, and the set of folders."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[bytes, bytes] = {}
        self.folders: set[bytes] = set()

    def _grow(self, folder: bytes) -> None:
        self.folders.add(folder)
        while folder:
            folder = folder.rpartition(b"/")[0]
            self.folders.add(folder)

    @rule(files=st.lists(st.tuples(FOLDERS, LEAVES, DIGESTS), max_size=4))
    def put(self, files: list[tuple[bytes, bytes, bytes]]) -> None:
        rows = [(folder, HeldFile(leaf, 1, 2, 3, 4, 5, digest)) for folder, leaf, digest in files]
        self.run(lambda t: t.held.put(1, rows))
        for folder, leaf, digest in files:
            self._grow(folder)
            self.files[_join(folder, leaf)] = digest

    @rule(folder=FOLDERS)
    def put_folder(self, folder: bytes) -> None:
        self.run(lambda t: t.held.put_folder(1, HeldFolder(folder, 7, b"print")))
        self._grow(folder)

    @rule(folder=FOLDERS, leaves=st.lists(LEAVES, max_size=2))
    def remove(self, folder: bytes, leaves: list[bytes]) -> None:
        names = [_join(folder, leaf) for leaf in leaves]
        self.run(lambda t: t.held.remove(1, names))
        for name in names:
            self.files.pop(name, None)

    @rule(folder=FOLDERS)
    def remove_folder(self, folder: bytes) -> None:
        self.run(lambda t: t.held.remove_folder(1, folder))
        if folder not in self.folders:
            return
        self.folders = {path for path in self.folders if not _within(path, folder)}
        self.files = {path: digest for path, digest in self.files.items() if not _below(path, folder)}

    @rule(folder=FOLDERS, to=FOLDERS)
    def move_folder(self, folder: bytes, to: bytes) -> None:
        if folder in self.folders and folder != to and (not folder or not to or _within(to, folder)):
            with pytest.raises(BadRequest):
                self.run(lambda t: t.held.move_folder(1, folder, to))
            return
        self.run(lambda t: t.held.move_folder(1, folder, to))
        if folder not in self.folders or folder == to:
            return
        moved = {path: digest for path, digest in self.files.items() if _below(path, folder)}
        below = {path for path in self.folders if _within(path, folder)}
        self.folders -= below
        self._grow(to)
        self.folders |= {to + path[len(folder) :] for path in below}
        self.files = {path: digest for path, digest in self.files.items() if path not in moved}
        self.files |= {to + path[len(folder) :]: digest for path, digest in moved.items()}

    @invariant()
    def trees_agree(self) -> None:
        folders = self.read(lambda t: t.held.folders(1))
        assert [folder.path for folder in folders] == sorted(self.folders)
        found = {}
        for folder in folders:
            assert self.read(lambda t, f=folder: t.held.folder(1, f.path)) == folder  # type: ignore[misc]
            for file in self.read(lambda t, f=folder: t.held.files(f.id)):  # type: ignore[misc]
                found[_join(folder.path, file.name)] = file.digest
        assert found == self.files

    @invariant()
    def digests_are_found(self) -> None:
        wanted = [bytes([n]) * 32 for n in range(4)]
        got = self.read(lambda t: t.held.with_digest(1, wanted))
        assert set(got) == set(self.files.values())
        assert all(self.files[path] == digest for digest, path in got.items())


def _join(folder: bytes, leaf: bytes) -> bytes:
    return folder + b"/" + leaf if folder else leaf


def _below(path: bytes, folder: bytes) -> bool:
    """A file may have the name of a folder; a store would not allow it, the table need not care."""
    return not folder or path.startswith(folder + b"/")


def _within(path: bytes, folder: bytes) -> bool:
    return not folder or path == folder or path.startswith(folder + b"/")


@pytest.mark.parametrize("engine", ENGINES)
def test_held_trees_agree_with_a_dict(engine: str) -> None:
    drive(HeldMachine, engine)
