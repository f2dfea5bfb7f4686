"""The memory of one copy: for every folder what its source was and what its target was left as.

Owns: the file format, the index of newest records, cutting off a torn tail, compaction.
Must not know: walks, workers, how files are compared or copied.

An append-only file. The newest record of a folder wins; records can be skipped by their heads, so opening it costs a
few microseconds a folder, and the entries of a folder that did not change are never read. A record that was torn by a
crash, and all after it, is cut off: what is missing is looked at again, nothing is ever believed that was not written.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import sys
import zlib
from typing import NamedTuple

from blake3 import blake3

_HEAD = struct.Struct("=IBxHI16sQIQq3qQQI")
_MAGIC = b"everysite copy 1 " + sys.byteorder.encode() + b"\n"
_PUT, _STAMP, _DROP, _MOVE = 1, 2, 3, 4
_LEAST_GARBAGE = 1 << 20  # bytes; below that a rewrite gains nothing anybody notices
_NO_MARK = bytes(16)

DIGEST = 32
UNKNOWN = bytes(DIGEST)
"""Stands for the digest of a file that was found equal and never read."""

Stamp = tuple[int, int, int]
"""inode, mtime_ns, ctime_ns of a target folder: any name added, removed or renamed there changes it."""

NO_STAMP: Stamp = (0, 0, 0)
"""No folder has it, so a folder remembered with it is looked at again."""


class Held(NamedTuple):
    """What is remembered of a folder, its entries left out."""

    fingerprint: bytes  # of the source's entries, as far as they arrived
    inode: int  # of the source folder
    mode: int
    owner: int  # user id << 32 | group id
    mtime_ns: int
    stamp: Stamp  # of the target folder
    files: int
    size: int
    offset: int = 0  # of the body in the file
    length: int = 0


class Manifest:
    """One opened manifest. Raises OSError from wherever the disk refuses."""

    def __init__(self, path: bytes, pair: bytes) -> None:
        """Open or begin the manifest of a pair of folders; one written for another pair is begun anew."""
        self.path = path
        self.folders: dict[bytes, Held] = {}
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._title = _MAGIC + blake3(pair).digest()
        self._garbage = 0
        self._end = self._load()
        if self._end < os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, self._end)
        if not self._end:
            self._end = os.pwrite(self._fd, self._title, 0)

    def put(self, path: bytes, held: Held, packed: bytes, digests: bytes) -> None:
        """Remember a folder. `digests` holds DIGEST bytes for each of the packed entries, in their order."""
        self._forget(path)
        body = len(packed).to_bytes(4, "little") + packed + digests
        body += zlib.crc32(body).to_bytes(4, "little")
        offset = self._append(_PUT, path, held, body)
        self.folders[path] = held._replace(offset=offset, length=len(body))

    def stamp(self, path: bytes, held: Held) -> None:
        """Change what is remembered of a folder itself and of its target; its entries stay."""
        old = self.folders[path]
        self._append(_STAMP, path, held, b"")
        self._garbage += _HEAD.size + len(path)
        self.folders[path] = held._replace(fingerprint=old.fingerprint, offset=old.offset, length=old.length)

    def drop(self, path: bytes) -> None:
        """Forget a folder (not the folders below it)."""
        if path in self.folders:
            self._forget(path)
            self._append(_DROP, path, None, b"")

    def move(self, old: bytes, new: bytes) -> None:
        """A folder, with all below it, has another path now."""
        self._append(_MOVE, old, None, new)
        self._rename(old, new)

    def entries(self, held: Held) -> tuple[bytes, bytes]:
        """The packed entries of a folder and their digests. (b"", b"") when the disk has damaged them."""
        body = os.pread(self._fd, held.length, held.offset)
        if len(body) < 8 or zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
            return b"", b""
        split = 4 + int.from_bytes(body[:4], "little")
        return body[4:split], body[split:-4]

    def close(self, compact: bool = True) -> None:
        """Make it durable; rewrite it first when more than half of it is out of date."""
        if compact and self._garbage > _LEAST_GARBAGE and 2 * self._garbage > self._end:
            self._rewrite()
        os.close(self._fd)

    def sync(self) -> None:
        """Make what was remembered durable."""
        os.fsync(self._fd)

    def _forget(self, path: bytes) -> None:
        old = self.folders.pop(path, None)
        if old is not None:
            self._garbage += old.length + _HEAD.size + len(path)

    def _rename(self, old: bytes, new: bytes) -> None:
        inside = old + b"/"
        for path in [path for path in self.folders if path == old or path.startswith(inside)]:
            self.folders[new + path[len(old) :]] = self.folders.pop(path)

    def _append(self, kind: int, path: bytes, held: Held | None, body: bytes) -> int:
        """Write one record and return the offset of its body."""
        record = _record(kind, path, held, body)
        if os.pwrite(self._fd, record, self._end) != len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)  # a disk that is nearly full
        self._end += len(record)
        return self._end - len(body)

    def _load(self) -> int:
        """Build the index; the value is where the last whole record ends, 0 for a manifest that is not ours."""
        size = os.fstat(self._fd).st_size
        if size < len(self._title):
            return 0
        with mmap.mmap(self._fd, size, access=mmap.ACCESS_READ) as data:
            if data[: len(self._title)] != self._title:
                return 0
            at = len(self._title)
            while at + _HEAD.size <= size:
                end = self._take(data, at, size)
                if not end:
                    break
                at = end
        return at

    def _take(self, data: mmap.mmap, at: int, size: int) -> int:
        """Take one record into the index; the value is where it ends, 0 for one that is torn."""
        check, kind, length, body, mark, inode, mode, owner, mtime, *stamp, files, total, _ = _HEAD.unpack_from(
            data, at
        )
        start = at + _HEAD.size
        end: int = start + length + body
        if end > size or zlib.crc32(data[at + 4 : start + length]) != check:
            return 0
        path = bytes(data[start : start + length])
        held = Held(mark, inode, mode, owner, mtime, (stamp[0], stamp[1], stamp[2]), files, total, start + length, body)
        if kind == _PUT:
            if end == size and zlib.crc32(data[held.offset : end - 4]) != int.from_bytes(data[end - 4 : end], "little"):
                return 0  # the last one: it may be torn inside its body
            self._forget(path)
            self.folders[path] = held
        elif kind == _STAMP and path in self.folders:
            old = self.folders[path]
            self.folders[path] = held._replace(fingerprint=old.fingerprint, offset=old.offset, length=old.length)
            self._garbage += end - at
        elif kind == _DROP:
            self._forget(path)
            self._garbage += end - at
        elif kind == _MOVE:
            self._rename(path, data[start + length : end])
            self._garbage += end - at
        return end

    def _rewrite(self) -> None:
        """A new file with the living records alone takes the place of this one."""
        fresh = self.path + b".new"
        out = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            at = os.write(out, self._title)
            for path, held in self.folders.items():
                at += os.write(out, _record(_PUT, path, held, os.pread(self._fd, held.length, held.offset)))
            os.fsync(out)
            os.replace(fresh, self.path)
        finally:
            os.close(out)


def _record(kind: int, path: bytes, held: Held | None, body: bytes) -> bytes:
    one = held or Held(_NO_MARK, 0, 0, 0, 0, NO_STAMP, 0, 0)
    fields = (one.fingerprint, one.inode, one.mode, one.owner, one.mtime_ns, *one.stamp, one.files, one.size, 0)
    head = _HEAD.pack(0, kind, len(path), len(body), *fields)[4:] + path
    return zlib.crc32(head).to_bytes(4, sys.byteorder) + head + body
