"""The files of one folder, copied one after another into an open target folder.

Owns: reading, writing, hashing and dating one file; noticing that a source changed while it was read.
Must not know: groups, syncing, renaming, the manifest.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

from blake3 import blake3

from everysite.disk.faults import explain
from everysite.disk.system import CLOEXEC, NOFOLLOW, NONBLOCK, write_all
from everysite.errors import Cancelled, SiteUnreachable, SourceChanged
from everysite.model.path import to_text
from everysite.observe.folder import Entry
from everysite.transfer.tree_job import FAILED, PROGRESS, ROOT, Options, Tell, join, kept_mode
from everysite.transfer.tree_large import digest_of, pour, pour_slowly

SMALL = 1 << 20  # bytes; up to here a file is read, hashed and written in one go through one buffer
_ASK_EVERY = 32  # files; asking costs a system call
_READ = os.O_RDONLY | CLOEXEC | NOFOLLOW | NONBLOCK
_WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOEXEC

Naming = Callable[[bytes], bytes]
"""The name a file is written under, from the name it will have."""


class FileCopier:
    """Copies files of many folders with one buffer. For one thread."""

    def __init__(self, options: Options, tell: Tell, stopped: Callable[[], bool]) -> None:
        self._options = options
        self._tell = tell
        self._stopped = stopped
        self._buffer = bytearray(SMALL)
        self._owner = (os.geteuid(), os.getegid()) if ROOT else (-1, -1)

    def copy(
        self, folder: bytes, entries: list[Entry], source: int, target: int, naming: Naming | None
    ) -> list[tuple[Entry, bytes]]:
        """Copy regular files between two open folders; the answer has those that arrived, with their digests.

        What concerns one file alone is told as FAILED. Raises SiteUnreachable (TargetFull) when the target fails,
        Cancelled when stopped.
        """
        arrived: list[tuple[Entry, bytes]] = []
        for number, entry in enumerate(entries):
            if number % _ASK_EVERY == 0 and self._stopped():
                raise Cancelled("stopped")
            name = naming(entry.name) if naming is not None else entry.name
            try:
                arrived.append(self._one(entry, source, target, name))
            except OSError as err:
                self._failed(folder, entry, explain(err, join(folder, entry.name), "reading"))
            except _TargetError as err:
                fault = explain(err.cause, join(folder, entry.name), "writing")
                if isinstance(fault, SiteUnreachable):  # a full disk or a dying one concerns all files
                    raise fault from err.cause
                self._failed(folder, entry, fault)
            except SourceChanged as err:
                self._failed(folder, entry, err)
        return arrived

    def _one(self, entry: Entry, source: int, target: int, name: bytes) -> tuple[Entry, bytes]:
        """Copy one file. The path nearly every file takes: eight system calls.

        Raises OSError for the source, _TargetError for the target, SourceChanged when it will not hold still.
        """
        if entry.size >= SMALL or self._options.bytes_per_second:
            return self._large(entry, source, target, name)
        fd = os.open(entry.name, _READ, dir_fd=source)
        try:
            count = os.readv(fd, [self._buffer])
            found = os.fstat(fd)
        finally:
            os.close(fd)
        if count != entry.size or found.st_ctime_ns != entry.ctime_ns or found.st_mtime_ns != entry.mtime_ns:
            return self._large(entry, source, target, name)
        data = memoryview(self._buffer)[:count]
        try:
            out = os.open(name, _WRITE, kept_mode(entry), dir_fd=target)
            try:
                if os.write(out, data) != count:
                    os.lseek(out, 0, os.SEEK_SET)
                    write_all(out, data)
                self._dress(out, entry, found)
            finally:
                os.close(out)
        except OSError as err:
            forget(name, target)
            raise _TargetError(err) from err
        return entry, blake3(data).digest()

    def _large(self, entry: Entry, source: int, target: int, name: bytes) -> tuple[Entry, bytes]:
        """The same for a file that is large, slowed down, or not what it was when the folder was read."""
        fd = os.open(entry.name, _READ, dir_fd=source)
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise SourceChanged(f"{to_text(entry.name)} is no file any more; run the copy again")
            try:
                return self._staged(entry, fd, before, target, name)
            except BaseException:  # an unfinished file is of no use to anybody, whatever stopped it
                forget(name, target)
                raise
        finally:
            os.close(fd)

    def _staged(self, entry: Entry, fd: int, before: os.stat_result, target: int, name: bytes) -> tuple[Entry, bytes]:
        try:
            out = os.open(name, _WRITE, kept_mode(entry), dir_fd=target)
            try:
                digest, size = self._pour(fd, out, before.st_size)
                after = os.fstat(fd)
                if size != after.st_size or _moments(before) != _moments(after):
                    raise SourceChanged(f"{to_text(entry.name)}: it changed while it was read; run the copy again")
                entry = _as_found(entry, after)
                self._dress(out, entry, after)
            finally:
                os.close(out)
        except (
            OSError
        ) as err:  # of the source as well, where it fails in the middle: the kernel copies, nobody can tell
            raise _TargetError(err) from err
        return entry, digest

    def _pour(self, fd: int, out: int, size: int) -> tuple[bytes, int]:
        def heard(count: int) -> bool:
            self._tell((PROGRESS, 0, count))
            return not self._stopped()

        if self._options.bytes_per_second:
            return pour_slowly(fd, out, max(1, self._options.bytes_per_second // self._options.processes), heard)
        if size < SMALL:
            return pour_slowly(fd, out, 1 << 40, heard)
        return pour(fd, out, size, heard)

    def _dress(self, out: int, entry: Entry, found: os.stat_result) -> None:
        """Owner, set-id bits (a change of owner clears them) and times, in the order that keeps all three."""
        if ROOT and (found.st_uid, found.st_gid) != self._owner:
            os.fchown(out, found.st_uid, found.st_gid)
            os.fchmod(out, kept_mode(entry))
        elif entry.mode & 0o7000:
            os.fchmod(out, kept_mode(entry))
        os.utime(out, ns=(found.st_atime_ns, found.st_mtime_ns))

    def _failed(self, folder: bytes, entry: Entry, fault: Exception) -> None:
        self._tell((FAILED, join(folder, entry.name), str(fault)))

    def digest(self, entry: Entry, source: int) -> bytes | None:
        """BLAKE3 of a source file as it is; None when it changes meanwhile. Raises OSError."""
        fd = os.open(entry.name, _READ, dir_fd=source)
        try:
            before = os.fstat(fd)
            digest, size = digest_of(fd)
            same = size == before.st_size and _moments(before) == _moments(os.fstat(fd))
            return digest if same else None
        finally:
            os.close(fd)


class _TargetError(Exception):
    """The target refused; `cause` is what it said."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def forget(name: bytes, folder: int) -> None:
    """Remove a file of ours if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _moments(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _as_found(entry: Entry, found: os.stat_result) -> Entry:
    """The entry of a file that changed between the walk and its copy."""
    owner = found.st_uid << 32 | found.st_gid
    return Entry(entry.name, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, owner)
