"""A folder of this machine as a store.

Owns: FolderStore. Must not know: sites, tasks, the index, retries.

Disk work goes to threads a batch at a time: a thread hop costs 40 us, a small file 30.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Sequence
from itertools import islice
from pathlib import Path

from everysite.disk.copying import copy_into
from everysite.disk.faults import explain
from everysite.disk.folders import Folder, Root
from everysite.disk.landing import Landing
from everysite.disk.reading import changed, look, open_file
from everysite.disk.stages import new_token, stage_name
from everysite.disk.system import HERE, System
from everysite.disk.threads import in_thread
from everysite.disk.walk import files_below
from everysite.errors import (
    Conflict,
    DigestMismatch,
    EverysiteError,
    Forbidden,
    NotFound,
    SiteUnreachable,
    SourceChanged,
    StaleLease,
    TargetFull,
    Transient,
    Unreadable,
)
from everysite.model.path import Name, to_text
from everysite.stores.arrival import Arrival, to_stat
from everysite.stores.batches import Batch, in_batches, land_batch
from everysite.stores.contract import MayPublish, Session, Source, Stat, Traits, allow, forget

_PIECE = 4 << 20  # bytes read in one thread hop
_PAGE = 1000
_SAFE_BYTES = 64 << 20  # at most this much is sent again after a crash ...
_SAFE_SECONDS = 5.0  # ... or, on a slow line, what took this long
_ROOM = 16 << 20  # bytes; with less the disk counts as full
_FINAL = (TargetFull, DigestMismatch, SourceChanged)  # transient, yet what was staged is of no use


class FolderStore:
    """Files below `root`, which must exist: a missing one is an unmounted disk, not a reason to make it."""

    def __init__(self, root: str | Path, system: System = HERE) -> None:
        self._root = os.fsencode(root)
        self._system = system
        self.traits = Traits(resumes=True, renames=True, bundles=True, local_root=Path(root))

    def _open(self) -> Root:
        return Root(self._root, self._system)

    async def probe(self) -> None:
        await in_thread(self._probe)

    def _probe(self) -> None:
        with self._open() as root:
            folder, leaf = root.folder(b""), stage_name(b"", new_token())
            try:
                os.close(folder.open(leaf, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                folder.unlink(leaf)
                free = _free(self._root)
            except OSError as err:
                fault = explain(err, self._root, "a test write")
                raise (Forbidden(str(fault)) if isinstance(fault, Unreadable) else fault) from err
        if free < _ROOM:
            raise TargetFull(f"{to_text(self._root)}: {free >> 20} MiB are free, {_ROOM >> 20} are needed; free some")

    async def stat(self, name: Name) -> Stat:
        return await in_thread(self._stat, name)

    def _stat(self, name: Name) -> Stat:
        with self._open() as root:
            return to_stat(name, look(*_existing(root, name)))

    async def list(self, prefix: Name | None = None) -> AsyncIterator[Sequence[Stat]]:
        pages = self._pages(prefix or b"")
        try:
            while page := await in_thread(next, pages, None):
                yield page
        finally:
            pages.close()

    def _pages(self, prefix: bytes) -> Generator[Sequence[Stat], None, None]:
        with self._open() as root:
            found = files_below(root, prefix)
            while page := [to_stat(Name(n), s) for n, s in islice(found, _PAGE)]:
                yield page

    async def read(self, name: Name, offset: int = 0) -> AsyncIterator[bytes]:
        pieces = self._pieces(name, offset)
        try:
            while (piece := await in_thread(next, pieces, None)) is not None:
                yield piece
        finally:
            pieces.close()

    def _pieces(self, name: Name, offset: int) -> Generator[bytes, None, None]:
        with self._open() as root:
            folder, leaf = _existing(root, name)
        fd, before = open_file(folder, leaf)
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            left = before.st_size - offset
            while left > 0:
                piece = _next_piece(folder, leaf, fd, before)
                left -= len(piece)
                yield piece
        finally:
            os.close(fd)

    async def write(
        self,
        name: Name,
        source: Source,
        session: Session | None = None,
        on_session: Callable[[Session], Awaitable[None]] = forget,
        may_publish: MayPublish = allow,
    ) -> Stat:
        arrival = Arrival(self._root, self._system, name, source)
        keep = False
        try:
            await in_thread(arrival.open, session)
            await _pour(arrival, source, on_session)
            await in_thread(arrival.finish)
            if name not in await may_publish([name]):
                raise StaleLease(f"{to_text(name)}: somebody else does this by now; nothing was changed")
            return await in_thread(arrival.publish)
        except (Transient, asyncio.CancelledError) as err:
            if on_session is not forget and not isinstance(err, _FINAL):
                keep = await _stand(arrival, on_session)
            raise
        finally:
            await in_thread(arrival.close, keep)

    async def write_many(
        self, files: AsyncIterable[tuple[Name, Source]], may_publish: MayPublish = allow
    ) -> Sequence[Stat | Exception]:
        answers: list[Stat | Exception] = []
        fault: SiteUnreachable | None = None
        async for batch in in_batches(files):
            if fault is None:
                try:
                    answers += await self._write_batch(batch, may_publish)
                except SiteUnreachable as err:
                    if not any(isinstance(a, Stat) for a in answers):
                        raise
                    fault = err
            if fault is not None:
                answers += [fault] * len(batch)
        return answers

    async def _write_batch(self, batch: Batch, may_publish: MayPublish) -> Sequence[Stat | Exception]:
        if batch.large is None:
            return await land_batch(self._root, self._system, batch, may_publish)
        name, source = batch.large
        try:
            return [await self.write(name, source, may_publish=may_publish)]
        except SiteUnreachable:
            raise
        except EverysiteError as err:
            return [err]

    async def copy(self, name: Name, to: Name) -> Stat:
        return await in_thread(self._copy, name, to)

    def _copy(self, name: Name, to: Name) -> Stat:
        with self._open() as root:
            look(*_existing(root, name))
            if name == to:
                return to_stat(name, look(*root.split(name)))
            landing = Landing(self._open())
            try:
                digest, _ = copy_into(landing, to, root, name)
                landing.sync()
                found = landing.publish(to)
                landing.settle()
            finally:
                landing.close()
        return to_stat(to, found, digest.hex())

    async def move(self, name: Name, to: Name) -> Stat:
        return await in_thread(self._move, name, to)

    def _move(self, name: Name, to: Name) -> Stat:
        with self._open() as root:
            old, old_leaf = _existing(root, name)
            look(old, old_leaf)
            new, new_leaf = root.split(to, make=True)
            try:
                os.replace(old.prefix + old_leaf, new.prefix + new_leaf, src_dir_fd=old.fd, dst_dir_fd=new.fd)
            except OSError as err:
                if err.errno != errno.EXDEV:  # another file system is mounted on a folder below the root
                    raise explain(err, new.full(new_leaf), "renaming") from err
                self._copy(name, to)
                old.unlink(old_leaf)
            root.touched |= {name.rpartition(b"/")[0], to.rpartition(b"/")[0]}
            root.sync_folders()
            return to_stat(to, look(new, new_leaf))

    async def delete(self, names: Sequence[Name]) -> None:
        await in_thread(self._delete, names)

    def _delete(self, names: Sequence[Name]) -> None:
        refused: EverysiteError | None = None
        with self._open() as root:
            for name in names:
                try:
                    _delete_one(root, name)
                except SiteUnreachable:
                    raise
                except EverysiteError as err:  # the others are deleted all the same
                    refused = refused or err
            root.sync_folders()
        if refused is not None:
            raise refused


def _existing(root: Root, name: Name) -> tuple[Folder, bytes]:
    """Where a file that should exist is; below a file nothing does."""
    try:
        return root.split(name)
    except Conflict as err:
        raise NotFound(str(err)) from err


def _delete_one(root: Root, name: Name) -> None:
    try:
        folder, leaf = _existing(root, name)
        look(folder, leaf)
    except NotFound:
        return
    try:
        folder.unlink(leaf)
    except OSError as err:
        raise explain(err, folder.full(leaf), "deleting") from err
    root.touched.add(name.rpartition(b"/")[0])


def _next_piece(folder: Folder, leaf: bytes, fd: int, before: os.stat_result) -> bytes:
    try:
        data = os.read(fd, _PIECE)
        after = os.fstat(fd)
    except OSError as err:
        raise explain(err, folder.full(leaf), "reading") from err
    # Not ctime: a rename over the name or a chmod moves it, and the bytes behind the open file are still the same.
    if not data or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise changed(folder, leaf)
    return data


async def _pour(arrival: Arrival, source: Source, on_session: Callable[[Session], Awaitable[None]]) -> None:
    stood = time.monotonic()
    async for piece in source.open(arrival.offset):
        enough = arrival.take(piece)
        late = time.monotonic() - stood > _SAFE_SECONDS
        if enough or late:
            await in_thread(arrival.append)
        if on_session is not forget and (late or arrival.offset - arrival.safe >= _SAFE_BYTES):
            await on_session(await in_thread(arrival.checkpoint))
            stood = time.monotonic()
    await in_thread(arrival.append)


async def _stand(arrival: Arrival, on_session: Callable[[Session], Awaitable[None]]) -> bool:
    """After a cut line or a cancellation: say where we stand. Whether there is anything to come back for."""
    try:
        await in_thread(arrival.append)
        if arrival.safe < arrival.offset:
            await on_session(await in_thread(arrival.checkpoint))
    except EverysiteError:
        pass  # an older session may still hold
    return arrival.safe > 0


def _free(path: bytes) -> int:
    return shutil.disk_usage(os.fsdecode(path)).free
