"""One file from a root into a landing on the same machine.

Owns: reflink, in-kernel copy with the digest computed a step behind, the small-file path.
Must not know: stores, tasks, what happens to the stage afterwards.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from blake3 import blake3

from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.reading import changed, hash_on, open_file, read_open, unchanged
from everysite.errors import Cancelled, SourceChanged
from everysite.model.path import to_text

SMALL = 1 << 20  # up to here a file is read, hashed and written whole
_RANGE = 16 << 20  # copied in one call; large enough to hide the call, small enough to be stopped soon
_HASHED = 1 << 20  # hashed in one call; stays in the second-level cache

Progress = Callable[[int], None]
Wanted = tuple[int, int, int]


def ignore(count: int) -> None:
    """The default for `progress`."""


def copy_into(
    landing: Landing,
    to: bytes,
    source: Root,
    name: bytes,
    wanted: Wanted | None = None,
    stop: threading.Event | None = None,
    progress: Progress = ignore,
) -> tuple[bytes, os.stat_result]:
    """Stage a copy of `name` as `to`. Returns the BLAKE3 of the bytes staged and the source's stat.

    `wanted`: the size and mtime_ns the source must have, and the mode the copy gets; None: as the source is.
    `progress` hears bytes added, in this thread. Raises NotFound, Unreadable, SourceChanged, PathRefused, TargetFull,
    SiteUnreachable, Cancelled when `stop` was set; the stage is gone then.
    """
    folder, leaf = source.split(name)
    fd, before = open_file(folder, leaf)
    try:
        if wanted is not None and (before.st_size, before.st_mtime_ns) != wanted[:2]:
            raise SourceChanged(f"{to_text(folder.full(leaf))}: it is not what was announced; it is looked at again")
        mode = before.st_mode if wanted is None else wanted[2]
        if before.st_size <= SMALL:
            data = read_open(folder, leaf, fd, before)
            landing.put(to, data, before.st_mtime_ns, mode)
            progress(len(data))
            return blake3(data).digest(), before
        return _copy_large(landing, to, fd, before, mode, stop or threading.Event(), progress), before
    except OSError as err:
        landing.drop(to)
        full = err.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
        where = landing.root.path + b"/" + to if full else folder.full(leaf)  # one call reads and writes
        raise explain(err, where, "copying") from err
    except BaseException:  # whatever it was: an unfinished stage is of no use to anybody
        landing.drop(to)
        raise
    finally:
        os.close(fd)


def _copy_large(
    landing: Landing, to: bytes, fd: int, before: os.stat_result, mode: int, stop: threading.Event, progress: Progress
) -> bytes:
    out = landing.create(to)
    try:
        digest, size = _pour(landing, to, fd, out, stop, progress)
        if size != before.st_size or not unchanged(before, os.fstat(fd)):
            raise changed(*landing.root.split(to))
        landing.finish(to, out, before.st_mtime_ns, mode, with_batch=True)
    finally:
        os.close(out)
    return digest


def _pour(
    landing: Landing, to: bytes, source: int, target: int, stop: threading.Event, progress: Progress
) -> tuple[bytes, int]:
    system = landing.root.system
    stage_folder, stage = landing.staged(to)
    again = stage_folder.open(stage, os.O_RDONLY)
    try:
        with ThreadPoolExecutor(1, "hash") as beside:
            behind = _Behind(again, beside)
            if system.clone(source, target):
                size = os.fstat(target).st_size
                behind.follow(size)
                progress(size)
            else:
                size = 0
                while step := system.copy_range(source, target, _RANGE):
                    if stop.is_set():
                        raise Cancelled(f"{to_text(stage_folder.full(stage))}: stopped on purpose")
                    size += step
                    behind.follow(step)
                    progress(step)
            return behind.digest(), size
    finally:
        os.close(again)


class _Behind:
    """Hashes a file as it is in the cache right after it was written, one range behind the copy."""

    def __init__(self, fd: int, beside: ThreadPoolExecutor) -> None:
        self._fd = fd
        self._beside = beside
        self._hasher = blake3()
        self._buffer = memoryview(bytearray(_HASHED))
        self._last: Future[None] | None = None

    def follow(self, count: int) -> None:
        """`count` more bytes are there. Waits for the range before, so that it stays close."""
        self._wait()
        self._last = self._beside.submit(self._hash, count)

    def _hash(self, count: int) -> None:
        hash_on(self._hasher, self._fd, self._buffer, count)

    def digest(self) -> bytes:
        self._wait()
        return self._hasher.digest()

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
