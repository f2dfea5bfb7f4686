"""A folder as a walk sees it, and one byte string that stands for what is in it.

Owns: Folder, Entry, the packed form of a folder's entries and its fingerprint. Must not know: how a folder is read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import NamedTuple

from blake3 import blake3

Skip = Callable[[bytes, bool], bool]
"""Asked with a relative path and whether it is a folder; True leaves it out, a folder with all it holds."""

FIELDS = 6  # numbers kept of an entry, next to its name


class Entry(NamedTuple):
    """One name in a folder. Of a folder only the type, mode bits and inode count here: the rest is told by itself."""

    name: bytes
    mode: int  # type and permission bits
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    owner: int  # user id << 32 | group id


class Folder(NamedTuple):
    """One folder of a walked tree."""

    path: bytes  # relative to the root, b"" is the root
    inode: int
    mode: int
    owner: int  # user id << 32 | group id
    mtime_ns: int
    fingerprint: bytes  # 16 bytes over the packed entries; b"" where the folder could not be read
    packed: bytes | None  # see `unpack`; None where the fingerprint is the known one
    subfolders: list[bytes]  # names, sorted
    files: int  # entries that are no folders
    size: int  # bytes of the regular files
    errors: list[tuple[bytes, int]]  # (relative path, errno) of what could not be looked at


def pack(entries: Iterable[Entry]) -> bytes:
    """Entries, sorted by name, as one byte string: the same entries always give the same bytes."""
    names: list[bytes] = []
    numbers: list[int] = []
    for entry in entries:
        names.append(entry.name)
        numbers += entry[1:]
    return packed_of(names, numbers)


def packed_of(names: list[bytes], numbers: list[int]) -> bytes:
    # No file name contains NUL. The count comes first, since a folder without entries and one with an empty name differ.
    try:
        row = array("q", numbers)
    except OverflowError:  # inodes of some network file systems and huge user ids use the highest bit
        row = array("q", [n - (1 << 64) if n >> 63 == 1 else n for n in numbers])
    return len(names).to_bytes(4, "little") + row.tobytes() + b"\0".join(names)


def unpack(packed: bytes) -> list[Entry]:
    """The entries of `pack`, in order."""
    count = int.from_bytes(packed[:4], "little")
    end = 4 + 8 * FIELDS * count
    numbers = array("q", packed[4:end])
    names = packed[end:].split(b"\0") if count else []
    rows = [iter(numbers)] * FIELDS
    return [Entry(name, *row) for name, row in zip(names, zip(*rows, strict=True), strict=True)]


def fingerprint(packed: bytes) -> bytes:
    """What stands for packed entries wherever only a change has to be noticed."""
    return blake3(packed).digest(length=16)


def below(folder: Folder) -> list[bytes]:
    """The paths of a folder's subfolders."""
    prefix = folder.path + b"/" if folder.path else b""
    return [prefix + name for name in folder.subfolders]
