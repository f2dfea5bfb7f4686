"""The folders of held trees in PostgreSQL.

Owns: the table `held_folder`. Must not know: paths; of files only the table's name, when folders go or merge.
"""

from __future__ import annotations

from collections.abc import Iterable

from everysite.index.postgres_session import Session
from everysite.index.postgres_text import array

_BELOW = """WITH RECURSIVE below (id) AS (SELECT %s::bigint
    UNION ALL SELECT f.id FROM below JOIN held_folder AS f ON f.mapping = %s AND f.parent = below.id)"""


class PostgresFolders:
    """See folder_tree.FolderRows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, mapping: int) -> list[tuple[int, int, bytes, int, bytes]]:
        sql = "SELECT id, parent, name, inode, fingerprint FROM held_folder WHERE mapping = %s"
        return [(number, *rest) for number, *rest in self._session.rows(sql, (mapping,))]

    def row(self, number: int) -> tuple[int, int, bytes]:
        sql = "SELECT parent, inode, fingerprint FROM held_folder WHERE id = %s"
        [(parent, inode, fingerprint)] = self._session.rows(sql, (number,))
        return parent, inode, fingerprint

    def child(self, mapping: int, parent: int, name: bytes) -> int | None:
        sql = "SELECT id FROM held_folder WHERE mapping = %s AND parent = %s AND name = %s"
        return next((int(row[0]) for row in self._session.rows(sql, (mapping, parent, name))), None)

    def children(self, mapping: int, parent: int) -> list[tuple[int, bytes]]:
        sql = "SELECT id, name FROM held_folder WHERE mapping = %s AND parent = %s"
        return [(number, name) for number, name in self._session.rows(sql, (mapping, parent))]

    def add(self, number: int, mapping: int, parent: int, name: bytes) -> None:
        sql = "INSERT INTO held_folder (id, mapping, parent, name, inode, fingerprint) VALUES (%s, %s, %s, %s, 0, '')"
        self._session.write(sql, (number, mapping, parent, name))

    def scanned(self, number: int, inode: int, fingerprint: bytes) -> None:
        sql = "UPDATE held_folder SET inode = %s, fingerprint = %s WHERE id = %s"
        self._session.write(sql, (inode, fingerprint, number))

    def place(self, number: int, parent: int, name: bytes) -> None:
        self._session.write("UPDATE held_folder SET parent = %s, name = %s WHERE id = %s", (parent, name, number))

    def set_aside(self, number: int) -> None:
        self._session.write("UPDATE held_folder SET parent = -id WHERE id = %s", (number,))

    def merge_files(self, number: int, into: int) -> None:
        sql = "DELETE FROM held_file WHERE folder = %s AND name IN (SELECT name FROM held_file WHERE folder = %s)"
        self._session.write(sql, (into, number))
        self._session.write("UPDATE held_file SET folder = %s WHERE folder = %s", (into, number))

    def remove(self, number: int) -> None:
        self._session.write("DELETE FROM held_folder WHERE id = %s", (number,))

    def remove_below(self, mapping: int, number: int) -> None:
        for table, column in (("held_file", "folder"), ("held_folder", "id")):
            sql = f"{_BELOW} DELETE FROM {table} WHERE {column} IN (SELECT id FROM below)"
            self._session.write(sql, (number, mapping))

    def path_of(self, number: int) -> bytes:
        sql = """WITH RECURSIVE up (id, parent, name, depth) AS (
            SELECT id, parent, name, 0 FROM held_folder WHERE id = %s
            UNION ALL SELECT f.id, f.parent, f.name, depth + 1 FROM up JOIN held_folder AS f ON f.id = up.parent)
            SELECT name FROM up WHERE parent <> 0 ORDER BY depth DESC"""
        return b"/".join(row[0] for row in self._session.rows(sql, (number,)))

    def forget_fingerprints(self, folders: Iterable[int]) -> None:
        sql = "UPDATE held_folder SET fingerprint = '' WHERE id = ANY(%s::bigint[]) AND fingerprint <> ''"
        self._session.write(sql, (array(folders),))
