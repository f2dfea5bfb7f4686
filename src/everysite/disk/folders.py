"""Names opened below a root, so that none of them leads outside.

Owns: Root and Folder. Must not know: stores, file contents.

A parent is opened part by part without following links and kept by descriptor: a folder that is swapped for a
symbolic link, before or meanwhile, is refused. Where descriptors of folders do not exist (the portable way), each part
is looked at before it is used; that leaves a moment's race to somebody who can write to the tree.
"""

from __future__ import annotations

import errno
import os
import stat
from types import TracebackType

from everysite.disk.faults import explain
from everysite.disk.stages import is_stage
from everysite.disk.system import CLOEXEC, HERE, NOFOLLOW, NONBLOCK, System
from everysite.errors import Conflict, EverysiteError, NotFound, PathRefused, SiteUnreachable
from everysite.model.path import to_text

_FOLDER = os.O_RDONLY | CLOEXEC | NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
_KEPT = 256  # open folders a root keeps; the usual limit of descriptors a process is 1,024
_LONGEST = 255  # bytes, on every file system in wide use
_REPARSE_POINT = 0x400  # Windows' mark of junctions, which lead anywhere like symbolic links


class Folder:
    """A folder known to be inside its root. Closes itself when nobody refers to it any more."""

    __slots__ = ("device", "fd", "path", "prefix")

    def __init__(self, fd: int | None, path: bytes) -> None:
        self.fd = fd
        self.path = path
        self.prefix = path + b"/" if fd is None else b""
        self.device = os.fstat(fd).st_dev if fd is not None else 0

    def __del__(self) -> None:
        if self.fd is not None:
            os.close(self.fd)

    def full(self, leaf: bytes) -> bytes:
        """The whole path, for messages."""
        return self.path + b"/" + leaf

    def open(self, leaf: bytes, flags: int, mode: int = 0o600) -> int:
        """open(2) of a name in this folder; a symbolic link there is never followed. Raises OSError."""
        if self.fd is None and not NOFOLLOW and stat.S_ISLNK(self.stat_mode(leaf)):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.open(self.prefix + leaf, flags | CLOEXEC | NOFOLLOW | NONBLOCK, mode, dir_fd=self.fd)

    def stat(self, leaf: bytes) -> os.stat_result:
        """What is there itself, never what it links to. Raises OSError."""
        return os.stat(self.prefix + leaf, dir_fd=self.fd, follow_symlinks=False)

    def stat_mode(self, leaf: bytes) -> int:
        """Its mode, 0 when nothing is there."""
        try:
            return self.stat(leaf).st_mode
        except FileNotFoundError:
            return 0

    def unlink(self, leaf: bytes) -> bool:
        """Remove a name; False when it was gone already. Raises OSError."""
        try:
            os.unlink(self.prefix + leaf, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        return True


class Root:
    """One opened root, for the length of a batch: parents are opened once and shared. For one thread at a time."""

    def __init__(self, path: bytes, system: System = HERE) -> None:
        """Raises SiteUnreachable when the root is not there: it may be a disk that is not mounted, so it is never made."""
        self.path = path
        self.system = system
        self.touched: set[bytes] = set()  # folders whose names changed, relative
        self.devices: dict[int, Folder] = {}  # one folder of each file system met below the root
        top = self._top()
        self.devices[top.device] = top
        self._kept: dict[bytes, Folder] = {b"": top}

    def _top(self) -> Folder:
        try:
            if not self.system.folder_fds:
                if not stat.S_ISDIR(os.stat(self.path).st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                return Folder(None, self.path)
            # The root itself may be a link: that is how the person who configured it spelled the place.
            return Folder(os.open(self.path, _FOLDER & ~NOFOLLOW), self.path)
        except OSError as err:
            raise SiteUnreachable(
                f"{to_text(self.path)}: the site's folder cannot be opened ({err.strerror}); mount it or correct its url"
            ) from err

    def __enter__(self) -> Root:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all folders. The root is of no use afterwards."""
        self._kept.clear()
        self.devices.clear()

    def split(self, name: bytes, make: bool = False) -> tuple[Folder, bytes]:
        """The folder and the file name of `name`; `make` creates missing parents.

        Raises PathRefused (leads outside, malformed, reserved), NotFound (no such folder), Conflict (a file is in the
        place of a folder) and what `explain` says.
        """
        above, _, leaf = name.rpartition(b"/")
        if leaf in (b"", b".", b"..") or b"\0" in name or name.startswith(b"/"):
            raise PathRefused(f"{to_text(name)!r} is no name of a file below {to_text(self.path)}")
        if len(leaf) > _LONGEST:  # the stage's shorter name would be taken, and only the rename refused
            raise PathRefused(
                f"{to_text(leaf)[:40]!r}... is {len(leaf)} bytes long; a file name has at most {_LONGEST}"
            )
        if is_stage(leaf):
            raise PathRefused(f"{to_text(name)!r} is a name everysite keeps for unfinished files; rename it")
        return self.folder(above, make), leaf

    def folder(self, name: bytes, make: bool = False) -> Folder:
        """A folder below the root by its relative name (b"": the root). Raises as `split` does."""
        missing = []
        above = name
        while (found := self._kept.get(above)) is None:
            above, _, leaf = above.rpartition(b"/")
            if leaf in (b"", b".", b"..") or b"\0" in leaf:
                raise PathRefused(f"{to_text(name)!r} could lead outside {to_text(self.path)}")
            missing.append(leaf)
        for leaf in reversed(missing):
            found = self._child(found, above, leaf, make)
            above = above + b"/" + leaf if above else leaf
            self._keep(above, found)
        return found

    def _keep(self, name: bytes, folder: Folder) -> None:
        if len(self._kept) >= _KEPT:
            names = iter(self._kept)
            next(names)  # the root stays
            del self._kept[next(names)]
        self._kept[name] = folder
        if folder.device not in self.devices:
            self.devices[folder.device] = folder

    def _child(self, above: Folder, above_name: bytes, leaf: bytes, make: bool) -> Folder:
        try:
            return self._open(above, leaf)
        except FileNotFoundError as err:
            if not make:
                raise explain(err, above.full(leaf), "opening its folder") from err
        except OSError as err:
            raise _in_the_way(above, leaf, err) from err
        try:
            os.mkdir(above.prefix + leaf, 0o777, dir_fd=above.fd)
        except FileExistsError:
            pass  # somebody else made it a moment ago
        except OSError as err:
            raise explain(err, above.full(leaf), "making the folder") from err
        self.touched.add(above_name)
        try:
            return self._open(above, leaf)
        except OSError as err:
            raise _in_the_way(above, leaf, err) from err

    def _open(self, above: Folder, leaf: bytes) -> Folder:
        if self.system.folder_fds:
            return Folder(os.open(leaf, _FOLDER, dir_fd=above.fd), above.full(leaf))
        found = above.stat(leaf)
        if stat.S_ISLNK(found.st_mode) or getattr(found, "st_file_attributes", 0) & _REPARSE_POINT:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return Folder(None, above.full(leaf))

    def sync_folders(self) -> None:
        """Make the names changed since the last call durable. Raises as `explain` says."""
        while self.touched:
            name = self.touched.pop()
            try:
                folder = self.folder(name)
            except NotFound:
                continue  # somebody removed it since
            try:
                self.system.sync_folder(folder.fd, folder.path)
            except OSError as err:
                raise explain(err, folder.path, "syncing the folder") from err


def _in_the_way(above: Folder, leaf: bytes, err: OSError) -> EverysiteError:
    # Linux answers ENOTDIR, not ELOOP, for a link opened with O_DIRECTORY | O_NOFOLLOW.
    if err.errno in (errno.ENOTDIR, errno.ELOOP):
        if stat.S_ISLNK(above.stat_mode(leaf)) or err.errno == errno.ELOOP:
            return PathRefused(f"{to_text(above.full(leaf))} is a symbolic link, which could lead outside; remove it")
        return Conflict(f"{to_text(above.full(leaf))} is a file where a folder is wanted; rename one of the two")
    return explain(err, above.full(leaf), "opening the folder")
