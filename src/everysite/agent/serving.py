"""Bytes of this site for other sites.

Owns: waiting for requests, reading the files asked for, telling one by one why a file cannot be had.
Must not know: who asked, HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from blake3 import blake3

from everysite.agent.ground import Ground
from everysite.agent.link import Link
from everysite.agent.reporting import Reporter
from everysite.decide.plan import covering
from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.reading import changed, open_file, unchanged
from everysite.disk.threads import in_thread, stoppable
from everysite.errors import EverysiteError, NotFound, SourceChanged, Transient
from everysite.model.path import is_package, name_in
from everysite.observe.packages import encode, held_parts, look_at_package, part
from everysite.tracker.agent_messages import Serve, Wanted, WantedFile
from everysite.tracker.contract import SERVE
from everysite.transfer import frames

_log = logging.getLogger(__name__)
_SMALL = 1 << 20  # read in one go, several in one thread hop
_HOP_BYTES = 4 << 20
_HOP_FILES = 128
_PAUSE = 1.0  # s after a call that failed


class Server:
    """Answers requests for the files of some mappings."""

    def __init__(self, link: Link, site: str, grounds: Callable[[], Sequence[Ground]], reporter: Reporter) -> None:
        self._link, self._site, self._grounds, self._reporter = link, site, grounds, reporter

    async def run(self, wait_ms: int) -> None:
        """Serve one request after the other, until cancelled."""
        while True:
            try:
                wanted = await self._link.call(SERVE, Serve(self._site, wait_ms))
                if wanted.id:
                    await self._answer(wanted)
            except Transient as err:
                _log.debug("%s: %s", self._site, err)
                await asyncio.sleep(_PAUSE)
            except EverysiteError as err:
                _log.info("%s: %s", self._site, err)
                await asyncio.sleep(_PAUSE)

    async def _answer(self, wanted: Wanted) -> None:
        faults: list[EverysiteError] = []
        try:
            await self._link.send(wanted.id, frames.packed(self._records(wanted.files, faults)))
        except NotFound:
            return  # whoever asked has gone
        exit_code, text = (faults[-1].exit_code, "\n".join(map(str, faults[-20:]))) if faults else (0, "")
        self._reporter.ended("emission", exit_code, text)

    async def _records(self, files: Sequence[WantedFile], faults: list[EverysiteError]) -> AsyncIterator[bytes]:
        grounds = self._grounds()
        for hop in _hops(files):
            if is_package(hop[0][1].path):
                for record in await self._parts(grounds, *hop[0], faults):
                    yield record
            elif len(hop) == 1 and _size(hop[0][1]) > _SMALL:
                async for record in self._large(grounds, *hop[0], faults):
                    yield record
            else:
                for record in await in_thread(_read_small, grounds, hop, faults):
                    yield record
        yield frames.finished(len(files))

    async def _parts(
        self, grounds: Sequence[Ground], number: int, wanted: WantedFile, faults: list[EverysiteError]
    ) -> list[bytes]:
        """The list of a package's parts, as a file of its own."""
        try:
            ground, folder = _locate(grounds, wanted.path)
            held = await ground.held.read(lambda tx: held_parts(tx, ground.mapping.id, folder), scan=True)
            there = await stoppable(ground.stop, look_at_package, ground.root, folder, held, ground.stop)
            if not there:
                raise NotFound(f"{wanted.path}: there is no such folder, or no file in it")
        except EverysiteError as err:
            faults.append(err)
            return [frames.failed(number, err)]
        data = encode([part(name, file) for name, file in there.items()])
        return list(frames.whole(number, 0, 0o644, data, blake3(data).digest()))

    async def _large(
        self, grounds: Sequence[Ground], number: int, wanted: WantedFile, faults: list[EverysiteError]
    ) -> AsyncIterator[bytes]:
        try:
            reading = await in_thread(_Reading, grounds, wanted)
        except EverysiteError as err:
            faults.append(err)
            yield frames.failed(number, err)
            return
        try:
            yield reading.begin(number)
            while pieces := await in_thread(reading.read):
                for piece in pieces:
                    yield piece
            yield reading.end()
        except EverysiteError as err:
            faults.append(err)
            yield frames.failed(number, err)
        finally:
            reading.close()


def _size(wanted: WantedFile) -> int:
    return wanted.content.size if wanted.content is not None else _SMALL + 1


def _hops(files: Sequence[WantedFile]) -> Iterator[list[tuple[int, WantedFile]]]:
    """(number, file) to be read in one thread hop; a large file has one of its own."""
    hop: list[tuple[int, WantedFile]] = []
    room = _HOP_BYTES
    for number, wanted in enumerate(files):
        size = _size(wanted)
        single = size > _SMALL or is_package(wanted.path)
        if hop and (size > room or len(hop) >= _HOP_FILES or single):
            yield hop
            hop, room = [], _HOP_BYTES
        hop.append((number, wanted))
        room -= size
        if single:
            yield hop
            hop, room = [], _HOP_BYTES
    if hop:
        yield hop


def _locate(grounds: Sequence[Ground], path: str) -> tuple[Ground, bytes]:
    """Raises NotFound for what is none of our files, PathRefused for what leads outside."""
    mapping = covering([g.mapping for g in grounds], grounds[0].mapping.site, path) if grounds else None
    ground = next((g for g in grounds if mapping is not None and g.mapping.id == mapping.id), None)
    if ground is None:
        raise NotFound(f"{path}: no folder of this site has that part of the namespace")
    return ground, name_in(path, ground.mapping.prefix)


def _open(root: Root, name: bytes, wanted: WantedFile) -> tuple[int, os.stat_result]:
    folder, leaf = root.split(name)
    fd, found = open_file(folder, leaf)
    content = wanted.content
    if content is not None and (found.st_size, found.st_mtime_ns) != (content.size, content.mtime_ns):
        os.close(fd)
        raise SourceChanged(f"{wanted.path}: it is not what was announced; the next scan tells what it is")
    return fd, found


def _read_small(
    grounds: Sequence[Ground], hop: Sequence[tuple[int, WantedFile]], faults: list[EverysiteError]
) -> list[bytes]:
    records: list[bytes] = []
    roots: dict[bytes, Root] = {}
    try:
        for number, wanted in hop:
            try:
                ground, name = _locate(grounds, wanted.path)
                if ground.root not in roots:
                    roots[ground.root] = Root(ground.root)
                data, found = _read_whole(roots[ground.root], name, wanted)
            except EverysiteError as err:
                faults.append(err)
                records.append(frames.failed(number, err))
                continue
            digest = blake3(data).digest()
            if wanted.content is not None and not wanted.offset and digest != wanted.content.digest:
                records.append(
                    frames.failed(number, SourceChanged(f"{wanted.path}: its content is not what was announced"))
                )
                continue
            records.append(frames.begin(number, wanted.offset, found.st_size, found.st_mtime_ns, found.st_mode & 0o777))
            records.append(frames.piece(data))
            records.append(frames.ended(digest))
    finally:
        for root in roots.values():
            root.close()
    return records


def _read_whole(root: Root, name: bytes, wanted: WantedFile) -> tuple[bytes, os.stat_result]:
    fd, before = _open(root, name, wanted)
    folder, leaf = root.split(name)
    try:
        if wanted.offset:
            os.lseek(fd, wanted.offset, os.SEEK_SET)
        data = os.read(fd, max(0, before.st_size - wanted.offset) + 1)
        after = os.fstat(fd)
    except OSError as err:
        raise explain(err, folder.full(leaf), "reading") from err
    finally:
        os.close(fd)
    if len(data) != max(0, before.st_size - wanted.offset) or not unchanged(before, after):
        raise changed(folder, leaf)
    return data, before


class _Reading:
    """A large file, read piece by piece."""

    def __init__(self, grounds: Sequence[Ground], wanted: WantedFile) -> None:
        ground, name = _locate(grounds, wanted.path)
        self._root = Root(ground.root)
        try:
            self._folder, self._leaf = self._root.split(name)
            self._fd, self._before = _open(self._root, name, wanted)
        except BaseException:  # whatever it was: the descriptor is nobody else's to close
            self._root.close()
            raise
        self._offset = min(wanted.offset, self._before.st_size)
        self._left = self._before.st_size - self._offset
        self._hasher = blake3()
        os.lseek(self._fd, self._offset, os.SEEK_SET)

    def begin(self, number: int) -> bytes:
        found = self._before
        return frames.begin(number, self._offset, found.st_size, found.st_mtime_ns, found.st_mode & 0o777)

    def read(self) -> list[bytes]:
        """Some pieces; none at the end. Raises SourceChanged when the file is not what it was."""
        pieces: list[bytes] = []
        try:
            while self._left and len(pieces) < _HOP_BYTES // frames.PIECE:
                data = os.read(self._fd, min(frames.PIECE, self._left))
                if not data:
                    raise changed(self._folder, self._leaf)
                self._hasher.update(data)
                self._left -= len(data)
                pieces.append(frames.piece(data))
            if not pieces and not unchanged(self._before, os.fstat(self._fd)):
                raise changed(self._folder, self._leaf)
        except OSError as err:
            raise explain(err, self._folder.full(self._leaf), "reading") from err
        return pieces

    def end(self) -> bytes:
        return frames.ended(self._hasher.digest())

    def close(self) -> None:
        os.close(self._fd)
        self._root.close()
