"""A file that arrives from outside in pieces: staged, made durable, put in place whole.

Owns: Deposit, and Deposits: how many there may be at once and what a killed process left of them.
Must not know: who sends the bytes, HTTP, elements.

The stage lies directly below the root, so folders are made only when all bytes are there: a deposit that breaks off
leaves nothing, not even an empty folder. Stages are named after numbered slots, so that the next process knows by name
what a killed one left.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os

from blake3 import blake3

from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Landing, umask
from everysite.disk.stages import stage_name
from everysite.disk.system import HERE, System, write_all
from everysite.errors import TargetFull, Transient

_AT_ONCE = 64
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL
_PIECE = 16 << 20


class Deposits:
    """The deposits of one root. `owner` tells this program's stages from those of another one on the same root."""

    def __init__(self, root: bytes, owner: bytes, system: System = HERE) -> None:
        self.root = root
        self._owner = owner
        self._system = system
        self._free = list(range(_AT_ONCE))

    def sweep(self) -> None:
        """Remove what a killed process left. To be called before the first `open`. Raises SiteUnreachable."""
        with Root(self.root, self._system) as root:
            top = root.folder(b"")
            for slot in range(_AT_ONCE):
                with contextlib.suppress(OSError):  # what cannot be removed is in nobody's way but its own slot's
                    top.unlink(self._stage(slot))

    def open(self, size: int = 0) -> Deposit:
        """Begin one of about `size` bytes. Raises Transient (too many at once), TargetFull, SiteUnreachable.

        The caller closes it in any case.
        """
        if not self._free:
            raise Transient(f"{_AT_ONCE} uploads are under way; try again when one of them is done")
        slot = self._free.pop()
        try:
            return Deposit(self, slot, self._stage(slot), Root(self.root, self._system), size)
        except BaseException:  # whatever it was, the slot is free again
            self._free.append(slot)
            raise

    def give_back(self, slot: int) -> None:
        """The slot's stage is gone."""
        self._free.append(slot)

    def _stage(self, slot: int) -> bytes:
        return stage_name(b"deposit %d" % slot, self._owner)


class Deposit:
    """One file on its way in. For one thread at a time; close it in any case."""

    def __init__(self, home: Deposits, slot: int, stage: bytes, root: Root, size: int) -> None:
        self._home, self._slot, self._stage, self._root = home, slot, stage, root
        self._top = root.folder(b"")
        self._hasher = blake3()
        self._placed = False
        self.size = 0
        try:
            self._check_room(size)
            self._fd = self._top.open(stage, _NEW)
        except OSError as err:
            root.close()
            raise explain(err, root.path, "writing") from err
        except TargetFull:
            root.close()
            raise

    def _check_room(self, size: int) -> None:
        if hasattr(os, "statvfs"):  # Windows tells when it is full
            found = os.statvfs(self._top.fd if self._top.fd is not None else self._root.path)
            if size > (free := found.f_bavail * found.f_frsize):
                raise TargetFull(f"{free >> 20} MiB are free, {size >> 20} are needed; free some space")

    def write(self, data: bytes) -> None:
        """The next bytes. Raises TargetFull, SiteUnreachable."""
        try:
            write_all(self._fd, data)
        except OSError as err:
            raise explain(err, self._root.path, "writing") from err
        self._hasher.update(data)
        self.size += len(data)

    def digest(self) -> str:
        """BLAKE3 in hex of what was written."""
        return self._hasher.hexdigest()

    def sha256(self) -> str:
        """SHA-256 in hex of what was written; reads it again."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        found = hashlib.sha256()
        while data := os.read(self._fd, 1 << 20):
            found.update(data)
        return found.hexdigest()

    def finish(self) -> os.stat_result:
        """Make the bytes durable and say what they are. Raises TargetFull, SiteUnreachable."""
        try:
            if self._root.system.fd_times:
                os.fchmod(self._fd, 0o666 & ~umask())
            os.fsync(self._fd)
            return os.fstat(self._fd)
        except OSError as err:
            raise explain(err, self._root.path, "writing") from err

    def place(self, name: bytes) -> None:
        """Take the place of `name`, durably, whatever file was there. Raises as `Root.split`, and as `explain` says."""
        folder, leaf = self._root.split(name, make=True)
        try:
            os.replace(
                self._top.prefix + self._stage, folder.prefix + leaf, src_dir_fd=self._top.fd, dst_dir_fd=folder.fd
            )
            self._placed = True
            self._root.touched |= {b"", name.rpartition(b"/")[0]}
        except OSError as err:
            if err.errno != errno.EXDEV:
                raise explain(err, folder.full(leaf), "putting it in place") from err
            self._carry(name)  # another file system is mounted below the root
        self._root.sync_folders()

    def _carry(self, name: bytes) -> None:
        landing = Landing(Root(self._root.path, self._root.system))
        try:
            out = landing.create(name)
            try:
                os.lseek(self._fd, 0, os.SEEK_SET)
                while landing.root.system.copy_range(self._fd, out, _PIECE):
                    pass
                found = os.fstat(self._fd)
                landing.finish(name, out, found.st_mtime_ns, found.st_mode)
            except OSError as err:
                raise explain(err, self._root.path + b"/" + name, "writing") from err
            finally:
                os.close(out)
            landing.publish(name)
            landing.settle()
        finally:
            landing.close()

    def close(self) -> None:
        """Let go; what was not placed is removed. Never raises."""
        with contextlib.suppress(OSError):
            os.close(self._fd)
        if not self._placed:
            with contextlib.suppress(OSError):
                self._top.unlink(self._stage)
        self._root.close()
        self._home.give_back(self._slot)
