"""The folders of held trees in SQLite.

Owns: the table `held_folder`. Must not know: paths; of files only the table's name, when folders go or merge.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

from everysite.index.sqlite_rows import numbers, query

_BELOW = """WITH RECURSIVE below (id) AS (VALUES (?1)
    UNION ALL SELECT f.id FROM below CROSS JOIN held_folder AS f WHERE f.mapping = ?2 AND f.parent = below.id)"""


class SqliteFolders:
    """See folder_tree.FolderRows."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def all(self, mapping: int) -> list[tuple[int, int, bytes, int, bytes]]:
        sql = "SELECT id, parent, name, inode, fingerprint FROM held_folder WHERE mapping = ?"
        return list(self._db.execute(sql, (mapping,)))

    def row(self, number: int) -> tuple[int, int, bytes]:
        row: Any = next(self._db.execute("SELECT parent, inode, fingerprint FROM held_folder WHERE id = ?", (number,)))
        parent, inode, fingerprint = row
        return parent, inode, fingerprint

    def child(self, mapping: int, parent: int, name: bytes) -> int | None:
        sql = "SELECT id FROM held_folder WHERE mapping = ? AND parent = ? AND name = ?"
        return next((int(row[0]) for row in self._db.execute(sql, (mapping, parent, name))), None)

    def children(self, mapping: int, parent: int) -> list[tuple[int, bytes]]:
        sql = "SELECT id, name FROM held_folder WHERE mapping = ? AND parent = ?"
        return [(number, name) for number, name in query(self._db, sql, (mapping, parent))]

    def add(self, number: int, mapping: int, parent: int, name: bytes) -> None:
        sql = "INSERT INTO held_folder (id, mapping, parent, name, inode, fingerprint) VALUES (?, ?, ?, ?, 0, x'')"
        self._db.execute(sql, (number, mapping, parent, name))

    def scanned(self, number: int, inode: int, fingerprint: bytes) -> None:
        self._db.execute("UPDATE held_folder SET inode = ?, fingerprint = ? WHERE id = ?", (inode, fingerprint, number))

    def place(self, number: int, parent: int, name: bytes) -> None:
        self._db.execute("UPDATE held_folder SET parent = ?, name = ? WHERE id = ?", (parent, name, number))

    def set_aside(self, number: int) -> None:
        self._db.execute("UPDATE held_folder SET parent = -id WHERE id = ?", (number,))

    def merge_files(self, number: int, into: int) -> None:
        self._db.execute("UPDATE OR REPLACE held_file SET folder = ? WHERE folder = ?", (into, number))

    def remove(self, number: int) -> None:
        self._db.execute("DELETE FROM held_folder WHERE id = ?", (number,))

    def remove_below(self, mapping: int, number: int) -> None:
        self._db.execute(f"{_BELOW} DELETE FROM held_file WHERE folder IN below", (number, mapping))
        self._db.execute(f"{_BELOW} DELETE FROM held_folder WHERE id IN below", (number, mapping))

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
