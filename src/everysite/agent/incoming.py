"""Files fetched from another site: the stream taken apart and staged.

Owns: asking for files, staging small ones together and large ones piece by piece, resuming a large one.
Must not know: leases, what the stream travels over.

A large file's stage is named after its content, so it is found again after a cut line or a restart, and only the bytes
that are missing are asked for. The BLAKE3 of the whole decides whether they fit together.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from blake3 import blake3

from everysite.agent.arrival import Arrival, theirs
from everysite.agent.link import Line
from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.reading import hash_fd
from everysite.disk.stages import stage_name
from everysite.disk.system import write_all
from everysite.disk.threads import in_thread, stoppable
from everysite.errors import (
    DigestMismatch,
    EverysiteError,
    NotFound,
    SiteUnreachable,
    SourceChanged,
    Transient,
)
from everysite.tracker.agent_messages import Fetch, WantedFile
from everysite.transfer.frames import Begun, Decoder, Ended, Event, Failed, Piece

LARGE = 8 << 20
"""From here on a file is staged in pieces and taken up again where it stood."""

_FLUSH = 4 << 20  # bytes gathered before a thread writes them


async def receive(link: Line, site: str, arrivals: Sequence[Arrival], landing: Landing, stop: threading.Event) -> None:
    """Stage the bytes of these files. Raises SiteUnreachable and TargetFull for our own folder; trouble of the source or
    of the line becomes the error of the files it concerns."""
    incoming = _Incoming(arrivals, landing)
    try:
        asked = await stoppable(stop, incoming.wanted)
        await _read(link, site, asked, incoming)
    finally:
        await in_thread(incoming.close)


async def _read(link: Line, site: str, asked: list[WantedFile], incoming: _Incoming) -> None:
    decoder = Decoder()
    try:
        async with contextlib.aclosing(link.fetch(Fetch(site, asked))) as chunks:
            async for chunk in chunks:
                for event in decoder.feed(chunk):
                    incoming.take(event)
                if incoming.waiting_bytes >= _FLUSH:
                    await in_thread(incoming.flush)
        decoder.close()
    except EverysiteError as err:
        # The folder's own trouble comes out of flush() wrapped, so whatever is met here is the line's or the source's.
        incoming.cut(err if type(err) is Transient else Transient(f"{site}: {err}"))
    except OwnTrouble as trouble:
        raise trouble.error from trouble
    try:
        await in_thread(incoming.flush)
    except OwnTrouble as trouble:
        raise trouble.error from trouble


class OwnTrouble(Exception):
    """Our own folder failed while files came in."""

    def __init__(self, error: EverysiteError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True)
class _Large:
    """A file that comes in pieces."""

    arrival: Arrival
    landing: Landing
    fd: int
    offset: int
    hasher: blake3


class _Incoming:
    """What has come and is not written yet, and the large files that are open."""

    def __init__(self, arrivals: Sequence[Arrival], landing: Landing) -> None:
        self._arrivals, self._landing = list(arrivals), landing
        self._large: dict[int, _Large] = {}
        self._open = -1
        self._body: list[bytes] = []
        self._done: set[int] = set()
        self._queue: list[tuple[int, bytes | None]] = []  # (number, bytes); None ends a large file
        self.waiting_bytes = 0

    def wanted(self) -> list[WantedFile]:
        """What to ask for; large files from where they stand. Blocking."""
        offered, self._arrivals = self._arrivals, []
        asked: list[WantedFile] = []
        for arrival in offered:
            offset = 0
            if arrival.content.size >= LARGE:
                try:
                    large = _open_large(arrival, self._landing)
                except SiteUnreachable:
                    raise
                except EverysiteError as err:
                    arrival.fail(err)
                    continue
                self._large[len(asked)] = large
                offset = large.offset
            self._arrivals.append(arrival)
            asked.append(WantedFile(arrival.job.path, offset, arrival.content))
        return asked

    def take(self, event: Event) -> None:
        """Take in what the stream says. Raises Transient when it is not what was asked for."""
        match event:
            case Begun():
                self._begin(event)
            case Piece():
                self.waiting_bytes += len(event.data)
                if self._open in self._large:
                    self._queue.append((self._open, event.data))
                else:
                    self._body.append(event.data)
            case Ended():
                self._end(event)
            case Failed():
                self._fail(event)

    def _begin(self, event: Begun) -> None:
        if not 0 <= event.number < len(self._arrivals) or event.number in self._done:
            raise Transient("a file came that nobody asked for")
        content = self._arrivals[event.number].content
        offset = self._large[event.number].offset if event.number in self._large else 0
        if (event.size, event.offset) != (content.size, offset):
            raise Transient("a file came that is not the one asked for")
        self._open, self._body = event.number, []

    def _end(self, event: Ended) -> None:
        number, self._open = self._open, -1
        self._done.add(number)
        if number in self._large:
            self._queue.append((number, None))
            return
        arrival = self._arrivals[number]
        if event.digest == arrival.content.digest:
            self._queue.append((number, b"".join(self._body)))
        else:
            arrival.fail(SourceChanged(f"{arrival.job.path}: what came is not what was announced"))
        self._body = []

    def _fail(self, event: Failed) -> None:
        self._done.add(event.number)
        self._open = -1
        if 0 <= event.number < len(self._arrivals):
            self._arrivals[event.number].fail(theirs(event.error))

    def cut(self, error: EverysiteError) -> None:
        """The stream broke off: what has not come fails with this."""
        for number, arrival in enumerate(self._arrivals):
            if number not in self._done:
                arrival.fail(error)

    def flush(self) -> None:
        """Write what has come. Blocking. Raises OwnTrouble."""
        queue, self._queue, self.waiting_bytes = self._queue, [], 0
        for number, data in queue:
            arrival = self._arrivals[number]
            try:
                if number in self._large:
                    self._write(self._large[number], data)
                elif data is not None:
                    self._landing.put(arrival.name, data, arrival.content.mtime_ns, arrival.content.mode)
                    arrival.landing = self._landing
            except SiteUnreachable as err:
                raise OwnTrouble(err) from err
            except EverysiteError as err:
                arrival.fail(err)

    def _write(self, large: _Large, data: bytes | None) -> None:
        arrival = large.arrival
        if arrival.error is not None and data is not None:
            return
        if data is None:
            self._finish(large)
            return
        try:
            write_all(large.fd, data)
        except OSError as err:
            raise explain(err, arrival.name, "writing") from err
        large.hasher.update(data)

    def _finish(self, large: _Large) -> None:
        arrival = large.arrival
        if large.hasher.digest() != arrival.content.digest:
            large.landing.drop(arrival.name)
            raise DigestMismatch(f"{arrival.job.path}: the bytes that came do not fit together; it is fetched anew")
        large.landing.finish(arrival.name, large.fd, arrival.content.mtime_ns, arrival.content.mode)
        arrival.landing = large.landing

    def close(self) -> None:
        """Close the large files; the stage of one that is not whole stays for the next time. Blocking."""
        with contextlib.suppress(OwnTrouble):
            self.flush()
        for large in self._large.values():
            with contextlib.suppress(OSError):
                if large.arrival.landing is None:
                    os.fsync(large.fd)  # what is on the disk is what is not asked for again
            os.close(large.fd)
            if large.arrival.landing is None:
                if large.arrival.name in large.landing:
                    large.landing.keep(large.arrival.name)
                large.landing.close()


def _open_large(arrival: Arrival, beside: Landing) -> _Large:
    landing = Landing(Root(beside.root.path, beside.root.system), token=arrival.content.digest)
    name = arrival.name
    try:
        fd = landing.resume(name, stage_name(name, landing.token))
    except NotFound:
        return _Large(arrival, landing, landing.create(name), 0, blake3())
    try:
        hasher, size = hash_fd(fd)
        if size > arrival.content.size:
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
            hasher, size = blake3(), 0
    except OSError as err:
        os.close(fd)
        raise explain(err, name, "reading its stage") from err
    return _Large(arrival, landing, fd, size, hasher)
