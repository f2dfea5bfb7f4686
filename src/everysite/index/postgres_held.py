"""What an agent holds on its disk, in PostgreSQL.

Owns: the tables `held_file` and `held_stage`. Must not know: threads, commits, the disk; how folders are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from everysite.index.contract import HeldFile, HeldFolder
from everysite.index.folder_tree import FolderTree
from everysite.index.numbers import Numbers
from everysite.index.postgres_folders import PostgresFolders
from everysite.index.postgres_rows import Row, Rows
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import array

_COLUMNS = "name, size, mtime_ns, ctime_ns, inode, mode, digest"
_SET = ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.split(", ")[1:])
_PUT = Rows(
    f"INSERT INTO held_file (folder, {_COLUMNS})",
    "bigint bytea bigint bigint bigint bigint bigint bytea",
    f"ON CONFLICT (folder, name) DO UPDATE SET {_SET}",
)
_STAGE = Rows("INSERT INTO held_stage (mapping, name)", "bigint bytea", "ON CONFLICT DO NOTHING")


class PostgresHeld:
    """See the contract's Held."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
        self._rows = PostgresFolders(session)
        self._folders = FolderTree(self._rows, counters)

    def folders(self, mapping: int) -> list[HeldFolder]:
        return self._folders.all(mapping)

    def folder(self, mapping: int, path: bytes) -> HeldFolder | None:
        return self._folders.get(mapping, path)

    def put_folder(self, mapping: int, folder: HeldFolder) -> HeldFolder:
        return self._folders.put(mapping, folder)

    def move_folder(self, mapping: int, path: bytes, to: bytes) -> None:
        self._folders.move(mapping, path, to)

    def remove_folder(self, mapping: int, path: bytes) -> None:
        self._folders.remove(mapping, path)

    def files(self, folder: int) -> list[HeldFile]:
        rows = self._session.rows(f"SELECT {_COLUMNS} FROM held_file WHERE folder = %s ORDER BY name", (folder,))
        return [HeldFile(*row) for row in rows]

    def get(self, mapping: int, names: Sequence[bytes]) -> list[HeldFile | None]:
        found: dict[bytes, HeldFile] = {}
        for path, number, leaves in self._by_folder(mapping, names):
            sql = f"SELECT {_COLUMNS} FROM held_file WHERE folder = %s AND name = ANY(%s::bytea[])"
            for row in self._session.rows(sql, (number, array(leaves))):
                found[_join(path, row[0])] = HeldFile(*row)
        return [found.get(name) for name in names]

    def put(self, mapping: int, files: Sequence[tuple[bytes, HeldFile]]) -> None:
        paths = {path for path, _ in files}
        numbers = self._folders.make_all(mapping, paths)
        rows: dict[tuple[int, bytes], Row] = {
            (numbers[path], f.name): (numbers[path], f.name, f.size, f.mtime_ns, f.ctime_ns, f.inode, f.mode, f.digest)
            for path, f in files
        }
        _PUT.write(self._session, list(rows.values()))
        self._rows.forget_fingerprints(numbers[path] for path in paths)

    def remove(self, mapping: int, names: Sequence[bytes]) -> None:
        touched = []
        for _, number, leaves in self._by_folder(mapping, names):
            sql = "DELETE FROM held_file WHERE folder = %s AND name = ANY(%s::bytea[])"
            self._session.write(sql, (number, array(leaves)))
            touched.append(number)
        self._rows.forget_fingerprints(touched)

    def with_digest(self, mapping: int, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        if not digests:
            return {}
        sql = """SELECT DISTINCT ON (f.digest) f.digest, f.folder, f.name
            FROM held_file AS f JOIN held_folder AS d ON d.id = f.folder
            WHERE d.mapping = %s AND f.digest = ANY(%s::bytea[]) ORDER BY f.digest, f.folder, f.name"""
        rows = self._session.rows(sql, (mapping, array(digests)))
        paths = {folder: self._rows.path_of(folder) for folder in {row[1] for row in rows}}
        return {digest: _join(paths[folder], name) for digest, folder, name in rows}

    def stage(self, mapping: int, names: Sequence[bytes]) -> None:
        _STAGE.write(self._session, [(mapping, name) for name in names])

    def unstage(self, mapping: int, names: Sequence[bytes]) -> None:
        if names:
            sql = "DELETE FROM held_stage WHERE mapping = %s AND name = ANY(%s::bytea[])"
            self._session.write(sql, (mapping, array(names)))

    def staged(self, mapping: int) -> list[bytes]:
        return [
            row[0]
            for row in self._session.rows("SELECT name FROM held_stage WHERE mapping = %s ORDER BY name", (mapping,))
        ]

    def _by_folder(self, mapping: int, names: Iterable[bytes]) -> list[tuple[bytes, int, list[bytes]]]:
        """(folder path, folder id, leaf names) for the folders that exist."""
        leaves: dict[bytes, list[bytes]] = {}
        for name in names:
            path, _, leaf = name.rpartition(b"/")
            leaves.setdefault(path, []).append(leaf)
        numbers = self._folders.find_all(mapping, leaves)
        return [(path, number, leaves[path]) for path, number in numbers.items()]


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
