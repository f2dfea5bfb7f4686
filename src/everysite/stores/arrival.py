"""One file arriving in a folder in pieces, resumable after the last byte known to be safe.

Owns: Arrival (the blocking half of FolderStore.write) and the spelling of its session.
Must not know: the event loop, the caller's reasons.
"""

from __future__ import annotations

import os
import stat

import msgspec
from blake3 import blake3

from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.reading import hash_fd
from everysite.disk.system import System, write_all
from everysite.errors import DigestMismatch, EverysiteError
from everysite.model.path import Name, to_text
from everysite.stores.contract import Session, Source, Stat

_HOP = 4 << 20  # bytes written in one thread hop


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """A session: `offset` bytes of the source (size, mtime_ns, digest) are durable in `stage`; `prefix` is their BLAKE3."""

    stage: bytes
    offset: int
    prefix: bytes
    size: int
    mtime_ns: int
    digest: str | None


class Arrival:
    """For one thread at a time. `open` first, `close` in any case."""

    def __init__(self, root: bytes, system: System, name: Name, source: Source) -> None:
        self._root, self._system = root, system
        self._name = name
        self._source = source
        self._landing: Landing | None = None
        self._stage = -1  # the open stage
        self._hasher = blake3()
        self._pieces: list[bytes] = []
        self._held = 0  # bytes in them
        self.offset = 0  # bytes written
        self.safe = 0  # bytes known to be durable

    def open(self, session: Session | None) -> None:
        """Open a stage, the session's own when its bytes are still what they were. Raises as Landing does."""
        self._landing = Landing(Root(self._root, self._system))
        if session is None or not self._resume(self._landing, session):
            self._stage = self._landing.create(self._name)

    def _resume(self, landing: Landing, session: Session) -> bool:
        try:
            standing = msgspec.msgpack.decode(session, type=Standing)
            fd = landing.resume(self._name, standing.stage)
        except (msgspec.DecodeError, EverysiteError):
            return False  # not ours, or gone: start again
        if self._fits(standing) and self._trusted(fd, standing):
            self._stage = fd
            return True
        os.close(fd)
        landing.drop(self._name)
        return False

    def _fits(self, standing: Standing) -> bool:
        source = self._source
        return (standing.size, standing.mtime_ns, standing.digest) == (source.size, source.mtime_ns, source.digest)

    def _trusted(self, fd: int, standing: Standing) -> bool:
        """Hash the prefix again: what stands before the safe offset must be what it was, what follows is dropped."""
        try:
            hasher, count = hash_fd(fd, standing.offset)
            if count != standing.offset or hasher.digest() != standing.prefix:
                return False
            os.ftruncate(fd, count)
        except OSError as err:
            raise explain(err, self.path, "resuming") from err
        self._hasher = hasher
        self.offset = self.safe = count
        return True

    @property
    def path(self) -> bytes:
        """The whole path of the target, for messages."""
        return self._root + b"/" + self._name

    def take(self, piece: bytes) -> bool:
        """Remember a piece; True when there are enough to be worth an `append`."""
        self._pieces.append(piece)
        self._held += len(piece)
        return self._held >= _HOP

    def append(self) -> None:
        """Write what was taken. Raises TargetFull, SiteUnreachable."""
        pieces, self._pieces, self._held = self._pieces, [], 0
        try:
            for piece in pieces:
                write_all(self._stage, piece)
                self._hasher.update(piece)
                self.offset += len(piece)
        except OSError as err:
            raise explain(err, self.path, "writing") from err

    def checkpoint(self) -> Session:
        """Make what was written durable and say where that is. Raises TargetFull, SiteUnreachable."""
        try:
            os.fsync(self._stage)
        except OSError as err:
            raise explain(err, self.path, "writing") from err
        self.safe = self.offset
        source, prefix = self._source, self._hasher.digest()
        stage = self._there.staged(self._name)[1]
        return msgspec.msgpack.encode(Standing(stage, self.safe, prefix, source.size, source.mtime_ns, source.digest))

    @property
    def _there(self) -> Landing:
        assert self._landing is not None, "open() comes first"
        return self._landing

    def finish(self) -> None:
        """Compare with what was announced and make the whole durable. Raises DigestMismatch, TargetFull ..."""
        check_bytes(self._name, self._source, self.offset, self._hasher.hexdigest())
        self._there.finish(self._name, self._stage, self._source.mtime_ns, self._source.mode)

    def publish(self) -> Stat:
        """Take the target's place. Raises Unreadable (a folder is there), TargetFull ..."""
        found = self._there.publish(self._name)
        self._there.settle()
        return to_stat(self._name, found, self._hasher.hexdigest())

    def close(self, keep: bool = False) -> None:
        """Let go; the stage is removed unless it is to be resumed. Never raises."""
        if self._stage >= 0:
            os.close(self._stage)
        if self._landing is None:
            return
        if keep and self._name in self._landing:
            self._landing.keep(self._name)
        self._landing.close()


def check_bytes(name: bytes, source: Source, size: int, digest: str) -> None:
    """Raises DigestMismatch when bytes are not those announced."""
    if size != source.size:
        raise DigestMismatch(f"{to_text(name)}: {size} bytes arrived, {source.size} were announced; it is sent again")
    if source.digest is not None and digest != source.digest:
        raise DigestMismatch(f"{to_text(name)}: the bytes that arrived have another digest; it is sent again")


def to_stat(name: Name, found: os.stat_result, digest: str | None = None) -> Stat:
    """The contract's Stat of what the disk says."""
    return Stat(name, found.st_size, found.st_mtime_ns, stat.S_IMODE(found.st_mode), digest)
