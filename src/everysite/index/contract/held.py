"""What an agent knows of its own disk.

Owns: Held. Must not know: SQL, the disk itself, the tracker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class HeldFolder(msgspec.Struct, frozen=True):
    """A folder of a tree as last scanned. `path` is relative bytes (b'' the root); `fingerprint` stands for its packed entries."""

    path: bytes
    inode: int
    fingerprint: bytes = b""
    id: int = 0
    parent: int = 0


class HeldFile(msgspec.Struct, frozen=True):
    """A file really on the disk: leaf `name`, and the stat its digest was computed under."""

    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int
    digest: bytes


class Held(Protocol):
    """An agent's own table of what is on its disk, by mapping and folder."""

    def folders(self, mapping: int) -> list[HeldFolder]: ...

    def folder(self, mapping: int, path: bytes) -> HeldFolder | None: ...

    def put_folder(self, mapping: int, folder: HeldFolder) -> HeldFolder:
        """Insert (with missing parents) or update inode and fingerprint, by path."""

    def move_folder(self, mapping: int, path: bytes, to: bytes) -> None:
        """The folder with everything below it has another path now; one row changes. One already at `to` is merged.
        Raises BadRequest for the root, or a place inside the folder itself."""

    def remove_folder(self, mapping: int, path: bytes) -> None:
        """With everything below."""

    def files(self, folder: int) -> list[HeldFile]:
        """Sorted by name bytes."""

    def get(self, mapping: int, names: Sequence[bytes]) -> list[HeldFile | None]:
        """By relative path."""

    def put(self, mapping: int, files: Sequence[tuple[bytes, HeldFile]]) -> None:
        """Insert or replace by folder path and leaf name; each comes with its folder's path. Clears the folders' fingerprints."""

    def remove(self, mapping: int, names: Sequence[bytes]) -> None:
        """By relative path. Clears the folders' fingerprints."""

    def with_digest(self, mapping: int, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """digest -> relative path of one file that has it, for those that are held."""

    def stage(self, mapping: int, names: Sequence[bytes]) -> None:
        """Journal: stage files with these relative paths may exist from now on."""

    def unstage(self, mapping: int, names: Sequence[bytes]) -> None: ...

    def staged(self, mapping: int) -> list[bytes]: ...
