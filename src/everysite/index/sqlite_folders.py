"""The folders of held trees in SQLite: a row a folder, named below its parent.

Owns: the table `held_folder`: paths to ids and back, moving and merging. Must not know: what files are in them, but for
the table's name, when folders go or merge.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

from everysite.errors import BadRequest
from everysite.index.contract import HeldFolder
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_rows import numbers, query

_BELOW = """WITH RECURSIVE below (id) AS (VALUES (?1)
    UNION ALL SELECT f.id FROM below CROSS JOIN held_folder AS f WHERE f.mapping = ?2 AND f.parent = below.id)"""


class SqliteFolders:
    """Paths are relative bytes, b'' the root, whose parent is 0. An id is never given to a second folder."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def all(self, mapping: int) -> list[HeldFolder]:
        """Sorted by path."""
        sql = "SELECT id, parent, name, inode, fingerprint FROM held_folder WHERE mapping = ?"
        rows = {row[0]: row for row in self._db.execute(sql, (mapping,))}
        paths: dict[int, bytes] = {0: b""}
        folders = [HeldFolder(_path(row[0], rows, paths), row[3], row[4], row[0], row[1]) for row in rows.values()]
        return sorted(folders, key=lambda folder: folder.path)

    def get(self, mapping: int, path: bytes) -> HeldFolder | None:
        number = self.find(mapping, path)
        if number is None:
            return None
        parent, inode, fingerprint = self._row(number)
        return HeldFolder(path, inode, fingerprint, number, parent)

    def put(self, mapping: int, folder: HeldFolder) -> HeldFolder:
        number = self.make(mapping, folder.path)
        sql = "UPDATE held_folder SET inode = ?, fingerprint = ? WHERE id = ?"
        self._db.execute(sql, (folder.inode, folder.fingerprint, number))
        return HeldFolder(folder.path, folder.inode, folder.fingerprint, number, self._row(number)[0])

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
            below = known.get(here) or self._child(mapping, number, name)
            if below is None and not make:
                return None
            number = known[here] = below or self._add(mapping, number, name)
        return number

    def path_of(self, number: int) -> bytes:
        sql = """WITH RECURSIVE up (id, parent, name, depth) AS (
            SELECT id, parent, name, 0 FROM held_folder WHERE id = ?
            UNION ALL SELECT f.id, f.parent, f.name, depth + 1 FROM up CROSS JOIN held_folder AS f ON f.id = up.parent)
            SELECT name FROM up WHERE parent <> 0 ORDER BY depth DESC"""
        return b"/".join(row[0] for row in self._db.execute(sql, (number,)))

    def forget_fingerprints(self, folders: Iterable[int]) -> None:
        """What is in these folders is no longer what was scanned."""
        sql = (
            "UPDATE held_folder SET fingerprint = x'' WHERE id IN (SELECT value FROM carray(?)) AND fingerprint <> x''"
        )
        self._db.execute(sql, numbers(folders))

    def move(self, mapping: int, path: bytes, to: bytes) -> None:
        number = self.find(mapping, path)
        if number is None or path == to:
            return
        if not path or not to or to.startswith(path + b"/"):
            raise BadRequest(f"{path!r} cannot be moved to {to!r}; choose a place outside of it that is not the root")
        # Set aside first: with a/b -> a the folder merges with its own parent, where a child may have its name.
        old_parent = self._row(number)[0]
        self._db.execute("UPDATE held_folder SET parent = -id WHERE id = ?", (number,))
        parent, _, name = to.rpartition(b"/")
        self._place(mapping, number, self.make(mapping, parent), name)
        self.forget_fingerprints([old_parent])

    def remove(self, mapping: int, path: bytes) -> None:
        number = self.find(mapping, path)
        if number is None:
            return
        parent = self._row(number)[0]
        self._db.execute(f"{_BELOW} DELETE FROM held_file WHERE folder IN below", (number, mapping))
        self._db.execute(f"{_BELOW} DELETE FROM held_folder WHERE id IN below", (number, mapping))
        self.forget_fingerprints([parent])

    def _place(self, mapping: int, number: int, parent: int, name: bytes) -> None:
        """Put a folder under a parent; one already there takes over what is in it."""
        there = self._child(mapping, parent, name)
        if there is None:
            self._db.execute("UPDATE held_folder SET parent = ?, name = ? WHERE id = ?", (parent, name, number))
        else:
            self._merge(mapping, number, there)
        self.forget_fingerprints([parent])

    def _merge(self, mapping: int, number: int, into: int) -> None:
        sql = "SELECT id, name FROM held_folder WHERE mapping = ? AND parent = ?"
        for child, name in list(query(self._db, sql, (mapping, number))):
            self._place(mapping, child, into, name)
        self._db.execute("UPDATE OR REPLACE held_file SET folder = ? WHERE folder = ?", (into, number))
        self._db.execute("DELETE FROM held_folder WHERE id = ?", (number,))
        self.forget_fingerprints([into])

    def _child(self, mapping: int, parent: int, name: bytes) -> int | None:
        sql = "SELECT id FROM held_folder WHERE mapping = ? AND parent = ? AND name = ?"
        return next((int(row[0]) for row in self._db.execute(sql, (mapping, parent, name))), None)

    def _add(self, mapping: int, parent: int, name: bytes) -> int:
        number = self._numbers.take("folder")
        sql = "INSERT INTO held_folder (id, mapping, parent, name, inode, fingerprint) VALUES (?, ?, ?, ?, 0, x'')"
        self._db.execute(sql, (number, mapping, parent, name))
        return number

    def _row(self, number: int) -> tuple[int, int, bytes]:
        row: Any = next(self._db.execute("SELECT parent, inode, fingerprint FROM held_folder WHERE id = ?", (number,)))
        parent, inode, fingerprint = row
        return parent, inode, fingerprint


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
