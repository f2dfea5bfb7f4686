"""Files on their way into a root: staged beside their targets, synced together, then renamed.

Owns: Landing and what a target must be before it may be replaced.
Must not know: where the bytes come from, leases, digests.

The order is the whole point: all bytes durable -> the caller shows its lease -> renames -> folders durable. A power cut
leaves old files and stages, never an empty file behind a new name.
"""

from __future__ import annotations

import contextlib
import os
import stat
from enum import Enum

from everysite.disk.faults import explain
from everysite.disk.folders import Folder, Root
from everysite.disk.reading import peek
from everysite.disk.stages import is_stage, new_token, stage_name
from everysite.disk.system import write_all
from everysite.errors import Conflict, EverysiteError, PathRefused
from everysite.model.path import to_text

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_MODE = 0o777  # set-id bits never travel: a file would gain the rights of whoever runs the receiving agent


class Anything(Enum):
    """Whatever is at the target may be replaced."""

    ANY = "any"


ANY = Anything.ANY
Expected = tuple[int, int] | None | Anything
"""What a target must be to be replaced: (size, mtime_ns), None for nothing there, or ANY."""


def umask() -> int:
    """The bits open(2) takes from a mode; 0o777 where only changing it would tell, which other threads would feel."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o777


class Landing:
    """A batch of files arriving in one root. For one thread at a time; close it in any case."""

    def __init__(self, root: Root, token: bytes | None = None) -> None:
        """`token` makes the stage names known beforehand, see `stages.stage_of`."""
        self.root = root
        self.token = new_token() if token is None else token
        self._umask = umask()
        self._staged: dict[bytes, bytes] = {}  # name -> file name of its stage
        self._unsynced = False

    def put(self, name: bytes, data: bytes, mtime_ns: int, mode: int) -> None:
        """Stage a whole small file. Raises what `Root.split` and `explain` say; nothing is left of it then."""
        folder, leaf = self.root.split(name, make=True)
        stage = stage_name(name, self.token)
        mode &= _MODE
        try:
            fd = self._create(folder, stage, mode)
            try:
                self._staged[name] = stage
                if os.write(fd, data) != len(data):
                    os.lseek(fd, 0, os.SEEK_SET)
                    write_all(fd, data)  # the second try meets the reason the first one stopped at
                self._dress(fd, mtime_ns, mode, self._umask)
                if not self.root.system.syncs_all:
                    os.fsync(fd)
            finally:
                os.close(fd)
            self._dress_closed(folder, stage, mtime_ns, mode)
        except OSError as err:
            self.drop(name)
            raise explain(err, folder.full(leaf), "writing") from err
        self._unsynced = True

    def create(self, name: bytes) -> int:
        """An empty stage for a file that comes in pieces, opened for writing; hand it to `finish`. Raises as `put`."""
        folder, leaf = self.root.split(name, make=True)
        stage = stage_name(name, self.token)
        try:
            fd = self._create(folder, stage, 0o600)
        except OSError as err:
            raise explain(err, folder.full(leaf), "writing") from err
        self._staged[name] = stage
        return fd

    def resume(self, name: bytes, stage: bytes) -> int:
        """A stage that an earlier landing left, opened for writing. Raises NotFound, PathRefused and as `put`."""
        if not is_stage(stage):
            raise PathRefused(f"{to_text(stage)!r} is no stage of everysite")
        folder, _ = self.root.split(name)
        try:
            fd = folder.open(stage, os.O_RDWR)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                raise PathRefused(f"{to_text(folder.full(stage))} is no regular file")
        except OSError as err:
            raise explain(err, folder.full(stage), "writing") from err
        self._staged[name] = stage
        return fd

    def finish(self, name: bytes, fd: int, mtime_ns: int, mode: int, with_batch: bool = False) -> None:
        """Give a stage from `create` its times and mode and make it durable, at once or `with_batch` by `sync`.

        The caller closes `fd`. Raises TargetFull, SiteUnreachable.
        """
        folder, leaf = self.root.split(name)
        try:
            self._dress(fd, mtime_ns, mode & _MODE, 0o777)
            if with_batch and self.root.system.syncs_all:
                self._unsynced = True
            else:
                os.fsync(fd)
            self._dress_closed(folder, self._staged[name], mtime_ns, mode & _MODE)
        except OSError as err:
            raise explain(err, folder.full(leaf), "writing") from err

    def staged(self, name: bytes) -> tuple[Folder, bytes]:
        """Where the bytes of `name` wait. Raises KeyError when none do."""
        return self.root.split(name)[0], self._staged[name]

    def __contains__(self, name: bytes) -> bool:
        return name in self._staged

    def sync(self) -> None:
        """Make everything staged by `put` durable. Raises TargetFull, SiteUnreachable."""
        if not self._unsynced:
            return
        try:
            for folder in self.root.devices.values():
                self.root.system.sync_all(folder.fd)
        except OSError as err:
            raise explain(err, self.root.path, "syncing") from err
        self._unsynced = False

    def publish(self, name: bytes, expected: Expected = ANY) -> os.stat_result:
        """Rename a stage to its name and say what is there now. Raises Conflict when the target is not as expected.

        The stage stays until `drop` or `close` when this fails.
        """
        folder, leaf = self.root.split(name)
        found = self._replace(folder, self._staged[name], folder, leaf, expected)
        del self._staged[name]
        self.root.touched.add(name.rpartition(b"/")[0])
        return found

    def rename(self, old: bytes, name: bytes, expected: Expected = ANY) -> os.stat_result:
        """Rename a file below the root. Raises NotFound, and Conflict as `publish` does."""
        folder, leaf = self.root.split(name, make=True)
        old_folder, old_leaf = self.root.split(old)
        found = self._replace(old_folder, old_leaf, folder, leaf, expected)
        self.root.touched |= {old.rpartition(b"/")[0], name.rpartition(b"/")[0]}
        return found

    def _replace(self, old: Folder, old_leaf: bytes, new: Folder, leaf: bytes, expected: Expected) -> os.stat_result:
        try:
            if expected is None:  # looked at by the rename itself
                self.root.system.rename_new(old.prefix + old_leaf, new.prefix + leaf, old.fd, new.fd)
            else:
                check_target(new, leaf, expected)
                os.replace(old.prefix + old_leaf, new.prefix + leaf, src_dir_fd=old.fd, dst_dir_fd=new.fd)
            return new.stat(leaf)
        except OSError as err:
            raise explain(err, new.full(leaf), "putting it in place") from err

    def settle(self) -> None:
        """Make the names published so far durable. Raises SiteUnreachable."""
        self.root.sync_folders()

    def drop(self, name: bytes) -> None:
        """Remove one stage, if there is one. Never raises: what cannot be removed now is swept later."""
        stage = self._staged.pop(name, None)
        if stage is None:
            return
        with contextlib.suppress(OSError, EverysiteError):
            self.root.split(name)[0].unlink(stage)

    def keep(self, name: bytes) -> bytes:
        """Leave a stage where it is, for a later `resume`. Returns its file name."""
        return self._staged.pop(name)

    def close(self) -> None:
        """Remove what was staged and not published, and let go of the folders. Never raises."""
        for name in list(self._staged):
            self.drop(name)
        self.root.close()

    def _create(self, folder: Folder, stage: bytes, mode: int) -> int:
        try:
            return folder.open(stage, _NEW, mode)
        except FileExistsError:  # a leftover of the same token
            folder.unlink(stage)
            return folder.open(stage, _NEW, mode)

    def _dress(self, fd: int, mtime_ns: int, mode: int, masked: int) -> None:
        if self.root.system.fd_times:
            os.utime(fd, ns=(mtime_ns, mtime_ns))
            if mode & masked or masked == 0o777:
                os.fchmod(fd, mode)

    def _dress_closed(self, folder: Folder, stage: bytes, mtime_ns: int, mode: int) -> None:
        # Where an open file takes no times they follow by name. They may be lost in a power cut, which costs one re-read.
        if not self.root.system.fd_times:
            path = folder.prefix + stage
            os.utime(path, ns=(mtime_ns, mtime_ns), dir_fd=folder.fd)
            os.chmod(path, mode, dir_fd=folder.fd)


def check_target(folder: Folder, leaf: bytes, expected: Expected) -> None:
    """Raises Conflict when what is there is not what the caller knows of."""
    if isinstance(expected, Anything):
        return
    found = peek(folder, leaf)
    if found is None and expected is None:
        return
    if found is not None and stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == expected:
        return
    what = "is gone" if found is None else "is there unexpectedly" if expected is None else "was changed by somebody"
    raise Conflict(f"{to_text(folder.full(leaf))} {what}; nothing is overwritten, publish from that site or remove it")
