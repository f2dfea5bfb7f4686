"""One large file between two open descriptors, its digest computed beside the copy.

Owns: the kernel copies, a second thread hashes the target's bytes a range behind. Must not know: names, stages.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from blake3 import blake3

from everysite.disk.system import HERE, write_all
from everysite.errors import Cancelled

if TYPE_CHECKING:
    from concurrent.futures import Future

RANGE = 16 << 20  # bytes copied in one call; still in the last-level cache when the other thread hashes them
_PIECE = 1 << 20

Heard = Callable[[int], bool]
"""Told the bytes added; False stops the copy."""


def pour(source: int, target: int, size: int, heard: Heard) -> tuple[bytes, int]:
    """Copy to the end of `source`. Returns the BLAKE3 of what is in `target` now and its size.

    `target` is open for reading too. Raises OSError, Cancelled when `heard` says so.
    """
    from concurrent.futures import ThreadPoolExecutor  # half of what a small copy would import

    if size and HERE.clone(source, target):
        size = os.fstat(target).st_size
        heard(size)
        return _digest(target, size), size
    hasher, done = blake3(), 0
    with ThreadPoolExecutor(1, "digest") as beside:
        behind: Future[None] | None = None
        while step := HERE.copy_range(source, target, RANGE):
            if behind is not None:
                behind.result()
            behind = beside.submit(_hash, hasher, target, done, step)
            done += step
            if not heard(step):
                raise Cancelled("stopped")
        if behind is not None:
            behind.result()
    return hasher.digest(), done


def pour_slowly(source: int, target: int, rate: int, heard: Heard) -> tuple[bytes, int]:
    """The same at `rate` bytes a second."""
    hasher, done, start = blake3(), 0, time.monotonic()
    while data := os.read(source, max(1, min(_PIECE, rate // 4))):
        write_all(target, data)
        hasher.update(data)
        done += len(data)
        if not heard(len(data)):
            raise Cancelled("stopped")
        time.sleep(max(0.0, start + done / rate - time.monotonic()))
    return hasher.digest(), done


def _hash(hasher: blake3, fd: int, offset: int, count: int) -> None:
    # Mapped, not read: the bytes are hashed where they lie in the page cache. Offsets stay multiples of RANGE unless the
    # kernel copied less than it was asked for, so the start is rounded down to what a mapping may begin at.
    start = offset - offset % mmap.ALLOCATIONGRANULARITY
    with _mapped(fd, offset + count - start, start) as data, memoryview(data) as view:
        hasher.update(view[offset - start :])


def _mapped(fd: int, count: int, start: int) -> mmap.mmap:
    if not hasattr(mmap, "MAP_POPULATE"):
        return mmap.mmap(fd, count, access=mmap.ACCESS_READ, offset=start)
    # All pages at once: one page fault for each 4 KiB took a third longer.
    return mmap.mmap(fd, count, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ, offset=start)


def _digest(fd: int, size: int) -> bytes:
    hasher = blake3(max_threads=blake3.AUTO)
    for offset in range(0, size, RANGE):
        _hash(hasher, fd, offset, min(RANGE, size - offset))
    return hasher.digest()


def digest_of(fd: int) -> tuple[bytes, int]:
    """BLAKE3 and count of the bytes from where `fd` stands to the end."""
    hasher, done = blake3(), 0
    while data := os.read(fd, _PIECE):
        hasher.update(data)
        done += len(data)
    return hasher.digest(), done
