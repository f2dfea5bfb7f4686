"""What the running system can do for a file, with a portable way for each.

Owns: System (the portable way) and Linux (the fast one), and which of them serves here.
Must not know: names, stages, what the bytes are for.

Both may be asked for by name, so that the tests run everything on the portable way on Linux too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not wait for its other end
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCHANGE = 2
_UNABLE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ETXTBSY, errno.EPERM, errno.EBADF}
_BUFFER = 1 << 20  # stays in the second-level cache between the read and the write


class System:
    """The portable way: works wherever Python does."""

    folder_fds = False  # folders are held by descriptor, so nobody can swap one for a link under our hands
    syncs_all = False  # one call makes many files durable; else each is synced as it is written
    fd_times = False  # times and mode are set through the open file

    def sync_all(self, fd: int | None) -> None:
        """Make everything on the file system of `fd` durable. Nothing is left to do where each file was synced."""

    def clone(self, source: int, target: int) -> bool:
        """Let `target` share the blocks of `source`. False: not able, nothing done."""
        return False

    def copy_range(self, source: int, target: int, count: int) -> int:
        """Copy up to `count` bytes from where both files stand. Returns the bytes copied, less only at the end."""
        buffer = memoryview(bytearray(min(count, _BUFFER)))
        done = 0
        while done < count:
            data = os.read(source, min(len(buffer), count - done))
            if not data:
                break
            write_all(target, data)
            done += len(data)
        return done

    def rename_new(self, old: bytes, new: bytes, old_fd: int | None, new_fd: int | None) -> None:
        """Rename to a name that must be free. Raises FileExistsError."""
        if os.name != "nt" and _there(new, new_fd):  # Windows' rename refuses by itself
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)

    def exchange(self, one: bytes, other: bytes, fd: int | None) -> bool:
        """Swap two names in one step. False: not able, nothing done."""
        return False

    def sync_folder(self, fd: int | None, path: bytes) -> None:
        """Make the names in a folder durable, where folders can be opened at all."""
        if fd is not None:
            os.fsync(fd)
        elif os.name != "nt":
            opened = os.open(path, os.O_RDONLY | CLOEXEC)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)

    def forget_cached(self, fd: int) -> None:
        """Drop the cached pages of an open file, so that the next read comes from the disk."""
        if hasattr(os, "posix_fadvise"):
            os.fsync(fd)  # dirty pages are not dropped
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


class Linux(System):
    """The fast way. Every call it lacks on an older kernel or an odd file system falls back to the portable one."""

    folder_fds = True
    syncs_all = True
    fd_times = True

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._syncfs: Callable[[int], int] | None = getattr(libc, "syncfs", None)
        self._renameat2: Callable[[int, bytes, int, bytes, int], int] | None = getattr(libc, "renameat2", None)

    def sync_all(self, fd: int | None) -> None:
        if self._syncfs is None or fd is None:
            os.sync()
        elif self._syncfs(fd):
            _raise_errno()

    def clone(self, source: int, target: int) -> bool:
        if fcntl is None:
            return False
        try:
            fcntl.ioctl(target, _FICLONE, source)
        except OSError as err:
            if err.errno in _UNABLE or err.errno == errno.ENOTTY:
                return False
            raise
        return True

    def copy_range(self, source: int, target: int, count: int) -> int:
        done = 0
        while done < count:
            try:
                step = os.copy_file_range(source, target, count - done)
            except OSError as err:
                if err.errno not in _UNABLE:
                    raise
                step = 0
            if not step:  # unable here, or the end (some file systems say 0 for unable too)
                return done + super().copy_range(source, target, count - done)
            done += step
        return done

    def exchange(self, one: bytes, other: bytes, fd: int | None) -> bool:
        if self._renameat2 is None or fd is None:
            return False
        if not self._renameat2(fd, one, fd, other, _RENAME_EXCHANGE):
            return True
        if ctypes.get_errno() not in _UNABLE:
            _raise_errno()
        return False

    def rename_new(self, old: bytes, new: bytes, old_fd: int | None, new_fd: int | None) -> None:
        if self._renameat2 is not None and old_fd is not None and new_fd is not None:
            if not self._renameat2(old_fd, old, new_fd, new, _RENAME_NOREPLACE):
                return
            if ctypes.get_errno() not in _UNABLE:
                _raise_errno()
        super().rename_new(old, new, old_fd, new_fd)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write every byte; one write(2) may take less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _there(name: bytes, fd: int | None) -> bool:
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _raise_errno() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))


def _linux_is_whole() -> bool:
    needed = (os.open, os.stat, os.mkdir, os.rename, os.unlink)
    return sys.platform == "linux" and hasattr(os, "copy_file_range") and all(f in os.supports_dir_fd for f in needed)


PORTABLE = System()
HERE: System = Linux() if _linux_is_whole() else PORTABLE
"""What serves on this machine."""
