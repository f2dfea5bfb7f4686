"""Reading regular files so that a change meanwhile is noticed.

Owns: opening for reading, `unchanged`, small files in one go, hashing a file.
Must not know: stages, stores, where the bytes go.
"""

from __future__ import annotations

import io
import os
import stat

from blake3 import blake3

from everysite.disk.faults import explain
from everysite.disk.folders import Folder, Root
from everysite.errors import NotFound, PathRefused, SourceChanged
from everysite.model.path import to_text

_PIECE = 1 << 20


def look(folder: Folder, leaf: bytes) -> os.stat_result:
    """What the regular file `leaf` is now. Raises NotFound (also for links, folders and specials)."""
    try:
        found = folder.stat(leaf)
    except OSError as err:
        raise explain(err, folder.full(leaf), "looking") from err
    if not stat.S_ISREG(found.st_mode):
        raise _no_file(folder, leaf)
    return found


def peek(folder: Folder, leaf: bytes) -> os.stat_result | None:
    """Whatever is there itself, or None."""
    try:
        return folder.stat(leaf)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise explain(err, folder.full(leaf), "looking") from err


def open_file(folder: Folder, leaf: bytes) -> tuple[int, os.stat_result]:
    """A regular file, opened for reading. Raises NotFound (also for links, folders and specials), Unreadable ..."""
    try:
        fd = folder.open(leaf, os.O_RDONLY)
    except OSError as err:
        fault = explain(err, folder.full(leaf), "reading")
        raise (_no_file(folder, leaf) if isinstance(fault, PathRefused) else fault) from err
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise _no_file(folder, leaf)
    return fd, found


def unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether nobody wrote to it between two looks."""
    return (
        before.st_mtime_ns == after.st_mtime_ns
        and before.st_size == after.st_size
        and before.st_ctime_ns == after.st_ctime_ns
    )


def read_small(folder: Folder, leaf: bytes) -> tuple[bytes, os.stat_result]:
    """All bytes of a file that fits in memory. Raises SourceChanged when it was written to meanwhile."""
    fd, before = open_file(folder, leaf)
    try:
        return read_open(folder, leaf, fd, before), before
    finally:
        os.close(fd)


def read_open(folder: Folder, leaf: bytes, fd: int, before: os.stat_result) -> bytes:
    """The same for a file opened by `open_file`, which the caller closes."""
    try:
        data = os.read(fd, before.st_size + 1)  # one more, so that growth shows
        after = os.fstat(fd)
    except OSError as err:
        raise explain(err, folder.full(leaf), "reading") from err
    if len(data) != before.st_size or not unchanged(before, after):
        raise changed(folder, leaf)
    return data


def hash_fd(fd: int, limit: int | None = None) -> tuple[blake3, int]:
    """A BLAKE3 hasher fed with the bytes from where `fd` stands (at most `limit`), and their count. Raises OSError."""
    hasher = blake3()
    return hasher, hash_on(hasher, fd, memoryview(bytearray(_PIECE)), limit)


def hash_on(hasher: blake3, fd: int, buffer: memoryview, limit: int | None = None) -> int:
    """Feed a hasher on, through a buffer that is used again and again: fresh memory costs a page fault each 4 KiB."""
    done = 0
    with io.FileIO(fd, closefd=False) as file:
        while limit is None or done < limit:
            room = buffer if limit is None else buffer[: limit - done]
            count = file.readinto(room)
            if not count:
                break
            hasher.update(buffer[:count])
            done += count
    return done


def hash_file(root: Root, name: bytes, from_disk: bool = False) -> tuple[bytes, os.stat_result]:
    """BLAKE3 and stat of a file; `from_disk` drops its cached pages first, where the system can.

    Raises NotFound, Unreadable, PathRefused, SourceChanged when it was written to meanwhile, SiteUnreachable.
    """
    folder, leaf = root.split(name)
    fd, before = open_file(folder, leaf)
    try:
        if from_disk:
            root.system.forget_cached(fd)
        digest = hash_fd(fd)[0].digest()
        after = os.fstat(fd)
    except OSError as err:
        raise explain(err, folder.full(leaf), "reading") from err
    finally:
        os.close(fd)
    if not unchanged(before, after):
        raise changed(folder, leaf)
    return digest, before


def changed(folder: Folder, leaf: bytes) -> SourceChanged:
    """The error for a file that is not what it was."""
    return SourceChanged(f"{to_text(folder.full(leaf))}: it changed while it was read; it is read again later")


def _no_file(folder: Folder, leaf: bytes) -> NotFound:
    return NotFound(f"{to_text(folder.full(leaf))}: what is there is no regular file (links and folders are not files)")
