"""The folders of held trees: a row a folder, named below its parent.

Owns: paths to ids and back, moving and merging. Must not know: SQL, what files are in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from everysite.errors import BadRequest
from everysite.index.contract import HeldFolder
from everysite.index.numbers import Numbers


class FolderRows(Protocol):
    """The table `held_folder` of an engine, and what of `held_file` has to follow it."""

    def all(self, mapping: int) -> list[tuple[int, int, bytes, int, bytes]]:
        """(id, parent, name, inode, fingerprint) of each."""

    def row(self, number: int) -> tuple[int, int, bytes]:
        """(parent, inode, fingerprint)"""

    def child(self, mapping: int, parent: int, name: bytes) -> int | None: ...

    def children(self, mapping: int, parent: int) -> list[tuple[int, bytes]]: ...

    def add(self, number: int, mapping: int, parent: int, name: bytes) -> None: ...

    def scanned(self, number: int, inode: int, fingerprint: bytes) -> None: ...

    def place(self, number: int, parent: int, name: bytes) -> None: ...

    def set_aside(self, number: int) -> None:
        """Under no parent at all."""

    def merge_files(self, number: int, into: int) -> None:
        """The files of one take the place of those of the same name in the other."""

    def remove(self, number: int) -> None: ...

    def remove_below(self, mapping: int, number: int) -> None:
        """With itself, and all files."""

    def path_of(self, number: int) -> bytes: ...

    def forget_fingerprints(self, folders: Iterable[int]) -> None: ...


class FolderTree:
    """Paths are relative bytes, b'' the root, whose parent is 0. An id is never given to a second folder."""

    def __init__(self, rows: FolderRows, counters: Numbers) -> None:
        self._rows = rows
        self._numbers = counters

    def all(self, mapping: int) -> list[HeldFolder]:
        """Sorted by path."""
        rows = {row[0]: row for row in self._rows.all(mapping)}
        paths: dict[int, bytes] = {0: b""}
        folders = [HeldFolder(_path(row[0], rows, paths), row[3], row[4], row[0], row[1]) for row in rows.values()]
        return sorted(folders, key=lambda folder: folder.path)

    def get(self, mapping: int, path: bytes) -> HeldFolder | None:
        number = self.find(mapping, path)
        if number is None:
            return None
        parent, inode, fingerprint = self._rows.row(number)
        return HeldFolder(path, inode, fingerprint, number, parent)

    def put(self, mapping: int, folder: HeldFolder) -> HeldFolder:
        number = self.make(mapping, folder.path)
        self._rows.scanned(number, folder.inode, folder.fingerprint)
        return HeldFolder(folder.path, folder.inode, folder.fingerprint, number, self._rows.row(number)[0])

    def find(self, mapping: int, path: bytes) -> int | None:
        return self._walk(mapping, path, {}, make=False)

    def make(self, mapping: int, path: bytes) -> int:
        """The folder's id; it and its parents are made when missing."""
        return self.make_all(mapping, [path])[path]

    def make_all(self, mapping: int, paths: Iterable[bytes]) -> dict[bytes, int]:
        known: dict[bytes, int] = {}
        for path in paths:
            self._walk(mapping, path, known, make=True)
        return known

    def find_all(self, mapping: int, paths: Iterable[bytes]) -> dict[bytes, int]:
        """Ids of those that exist."""
        known: dict[bytes, int] = {}
        found = {path: self._walk(mapping, path, known, make=False) for path in set(paths)}
        return {path: number for path, number in found.items() if number is not None}

    def _walk(self, mapping: int, path: bytes, known: dict[bytes, int], make: bool) -> int | None:
        """Down from the root; `known` are folders met before, whose rows need not be asked for again."""
        if path in known:
            return known[path]
        number, here = 0, b""
        for name in _names(path):
            here = here + b"/" + name if here else name
            below = known.get(here) or self._rows.child(mapping, number, name)
            if below is None and not make:
                return None
            number = known[here] = below or self._add(mapping, number, name)
        return number

    def move(self, mapping: int, path: bytes, to: bytes) -> None:
        number = self.find(mapping, path)
        if number is None or path == to:
            return
        if not path or not to or to.startswith(path + b"/"):
            raise BadRequest(f"{path!r} cannot be moved to {to!r}; choose a place outside of it that is not the root")
        # Set aside first: with a/b -> a the folder merges with its own parent, where a child may have its name.
        old_parent = self._rows.row(number)[0]
        self._rows.set_aside(number)
        parent, _, name = to.rpartition(b"/")
        self._place(mapping, number, self.make(mapping, parent), name)
        self._rows.forget_fingerprints([old_parent])

    def remove(self, mapping: int, path: bytes) -> None:
        number = self.find(mapping, path)
        if number is None:
            return
        parent = self._rows.row(number)[0]
        self._rows.remove_below(mapping, number)
        self._rows.forget_fingerprints([parent])

    def _place(self, mapping: int, number: int, parent: int, name: bytes) -> None:
        """Put a folder under a parent; one already there takes over what is in it."""
        there = self._rows.child(mapping, parent, name)
        if there is None:
            self._rows.place(number, parent, name)
        else:
            self._merge(mapping, number, there)
        self._rows.forget_fingerprints([parent])

    def _merge(self, mapping: int, number: int, into: int) -> None:
        for child, name in self._rows.children(mapping, number):
            self._place(mapping, child, into, name)
        self._rows.merge_files(number, into)
        self._rows.remove(number)
        self._rows.forget_fingerprints([into])

    def _add(self, mapping: int, parent: int, name: bytes) -> int:
        number = self._numbers.take("folder")
        self._rows.add(number, mapping, parent, name)
        return number


def _names(path: bytes) -> list[bytes]:
    """The root is named b'' below 0."""
    return [b"", *path.split(b"/")] if path else [b""]


def _path(number: int, rows: dict[int, Any], paths: dict[int, bytes]) -> bytes:
    """Without recursion: trees may be deep."""
    chain = []
    while number not in paths:
        chain.append(number)
        number = rows[number][1]
    for number in reversed(chain):
        _, parent, name, *_ = rows[number]
        paths[number] = paths[parent] + b"/" + name if paths[parent] else name
    return paths[number]
