"""Looking at files: stat and BLAKE3, many at a time, in threads.

Owns: reading files so that a digest always belongs to the stat beside it, and telling files that are still written.
Must not know: what was held before, who is told.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from typing import NamedTuple

from blake3 import blake3

from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.reading import changed, open_file, unchanged
from everysite.disk.threads import in_thread
from everysite.errors import Cancelled, EverysiteError, NotFound, SiteUnreachable, SourceChanged
from everysite.index.contract import HeldFile
from everysite.model.element import Content

YOUNG_NS = 1_000_000_000
"""A file written to within the last second may be written to again; it gets a second look."""

_FILES = 1000  # a thread hop; about 15 ms of small files
_BYTES = 64 << 20
_PIECE = 1 << 20


class Looked(NamedTuple):
    """A file as it was while it was read. `young`: it was written to moments before."""

    name: bytes
    file: HeldFile
    young: bool

    @property
    def content(self) -> Content:
        return content_of(self.file)


class Failed(NamedTuple):
    """A file that could not be read. SourceChanged and NotFound: it is not what the walk saw; the next scan tells."""

    name: bytes
    error: EverysiteError


def content_of(file: HeldFile) -> Content:
    """What the tracker is told of a file."""
    return Content(file.size, file.mtime_ns, file.mode & 0o777, file.digest)


def held_file(name: bytes, found: os.stat_result, digest: bytes) -> HeldFile:
    """The row of `held` for a file with this stat and digest; `name` is a path or a leaf."""
    leaf = name.rpartition(b"/")[2]
    return HeldFile(
        leaf, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode & 0o7777, digest
    )


def matches(file: HeldFile, found: os.stat_result) -> bool:
    """Whether a file's stat is the one its digest was computed under."""
    return (
        file.size == found.st_size
        and file.mtime_ns == found.st_mtime_ns
        and file.ctime_ns == found.st_ctime_ns
        and file.inode == found.st_ino
        and file.mode == found.st_mode & 0o7777
    )


def look_at(root: bytes, names: Sequence[bytes], stop: threading.Event) -> list[Looked | Failed]:
    """Read and hash files below a root, in order. Blocking. Raises SiteUnreachable (the root), Cancelled (`stop`)."""
    with Root(root) as opened:
        return [look(opened, name, stop) for name in names]


def look(root: Root, name: bytes, stop: threading.Event) -> Looked | Failed:
    """Read and hash one file below an opened root. Blocking. Raises SiteUnreachable, Cancelled."""
    try:
        folder, leaf = root.split(name)
        fd, before = open_file(folder, leaf)
        try:
            digest = _hash(fd, before.st_size, stop)
            after = os.fstat(fd)
        except OSError as err:
            raise explain(err, folder.full(leaf), "reading") from err
        finally:
            os.close(fd)
        if digest is None or not unchanged(before, after):
            raise changed(folder, leaf)
    except (SiteUnreachable, Cancelled):
        raise
    except EverysiteError as err:
        return Failed(name, err)
    return Looked(name, held_file(leaf, before, digest), time.time_ns() - before.st_mtime_ns < YOUNG_NS)


def _hash(fd: int, size: int, stop: threading.Event) -> bytes | None:
    """BLAKE3 of exactly `size` bytes; None when there are more or fewer."""
    data = os.read(fd, min(size, _PIECE) + 1)
    if len(data) == size:
        return blake3(data).digest()
    hasher, done = blake3(data), len(data)
    while done <= size:
        if stop.is_set():
            raise Cancelled("stopped while files were read; the next scan goes on")
        data = os.read(fd, _PIECE)
        if not data:
            break
        hasher.update(data)
        done += len(data)
    return hasher.digest() if done == size else None


async def look_at_all(
    root: bytes, files: Iterable[tuple[bytes, int]], stop: threading.Event
) -> AsyncGenerator[list[Looked | Failed], None]:
    """Batches of looks at (name, size) in order; two batches are read at once while the caller works on a third."""
    ahead: list[asyncio.Task[list[Looked | Failed]]] = []
    try:
        for names in _batches(files):
            ahead.append(asyncio.create_task(in_thread(look_at, root, names, stop)))
            if len(ahead) >= 2:
                yield await ahead.pop(0)
        while ahead:
            yield await ahead.pop(0)
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


def _batches(files: Iterable[tuple[bytes, int]]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    room = _BYTES
    for name, size in files:
        if batch and (len(batch) >= _FILES or size > room):
            yield batch
            batch, room = [], _BYTES
        batch.append(name)
        room -= size
    if batch:
        yield batch


def stats_of(root: bytes, names: Sequence[bytes]) -> list[os.stat_result | None]:
    """What is under these names now, never following a link; None: nothing, or nothing that can be looked at."""
    found: list[os.stat_result | None] = []
    with Root(root) as opened:
        for name in names:
            try:
                folder, leaf = opened.split(name)
                found.append(folder.stat(leaf))
            except (OSError, EverysiteError) as err:
                if isinstance(err, SiteUnreachable):
                    raise
                found.append(None)
    return found


def passing(error: EverysiteError) -> bool:
    """Whether a failure only means that the walk's look is out of date."""
    return isinstance(error, SourceChanged | NotFound)
