"""One folder read: its names and what lstat says of them.

Owns: Reader. Must not know: which folders are read, and in which order.

Symbolic links are never followed, stages of unfinished files are not seen, and what cannot be read is told as an
error of its folder.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Mapping

from everysite.disk.stages import is_stage
from everysite.disk.system import CLOEXEC, NOFOLLOW
from everysite.observe.folder import Folder, Skip, fingerprint, packed_of

_FOLDER = os.O_RDONLY | CLOEXEC | NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
_STAGE_START = b".everysite-"


class Reader:
    """Reads one folder after another below a root."""

    def __init__(self, root: bytes, skip: Skip | None, known: Mapping[bytes, bytes]) -> None:
        self.root = root
        self.skip = skip
        self.known = known
        self.moves = False  # the process may change its working folder: shorter paths for the system to resolve

    def read(self, path: bytes) -> Folder:
        """The folder at a relative path; never raises OSError, see `Folder.errors`."""
        full = self.root + b"/" + path if path else self.root
        try:
            fd = os.open(full, _FOLDER if path else _FOLDER & ~NOFOLLOW)
        except OSError as err:
            return Folder(path, 0, 0, 0, 0, b"", b"", [], 0, 0, [(path, err.errno or 0)])
        try:
            return self._read(path, full, fd)
        except OSError as err:
            return Folder(path, 0, 0, 0, 0, b"", b"", [], 0, 0, [(path, err.errno or 0)])
        finally:
            os.close(fd)

    def _read(self, path: bytes, full: bytes, fd: int) -> Folder:
        if self.moves:
            os.fchdir(fd)
            names, before = os.listdir(b"."), b""
        else:
            names, before = os.listdir(full), full + b"/"
        names.sort()
        if self.skip is not None or _may_hold_stages(names):
            names = [name for name in names if not self._left_out(path, before, name)]
        numbers, subfolders, size, errors = _look(names, before)
        if errors:
            errors = [(path + b"/" + name if path else name, code) for name, code in errors if code]
        packed = packed_of(names, numbers)
        mark = fingerprint(packed)
        own = os.fstat(fd)
        return Folder(
            path,
            own.st_ino,
            own.st_mode,
            own.st_uid << 32 | own.st_gid,
            own.st_mtime_ns,
            mark,
            None if self.known.get(path) == mark else packed,
            subfolders,
            len(names) - len(subfolders),
            size,
            errors,
        )

    def _left_out(self, path: bytes, before: bytes, name: bytes) -> bool:
        if is_stage(name):
            return True
        if self.skip is None:
            return False
        try:
            folder = stat.S_ISDIR(os.lstat(before + name).st_mode)
        except OSError:
            folder = False
        return self.skip(path + b"/" + name if path else name, folder)


def _may_hold_stages(names: list[bytes]) -> bool:
    """Whether one of the sorted names begins like a stage: one search instead of a look at each."""
    first = bisect_left(names, _STAGE_START)
    return first < len(names) and names[first].startswith(_STAGE_START)


def _look(names: list[bytes], before: bytes) -> tuple[list[int], list[bytes], int, list[tuple[bytes, int]]]:
    """Numbers of all names, the folders among them, the bytes of the files, and errors; `names` loses what is gone.

    The loop every walk spends its time in: no calls besides lstat.
    """
    numbers: list[int] = []
    subfolders: list[bytes] = []
    errors: list[tuple[bytes, int]] = []
    size = 0
    lstat, add = os.lstat, numbers.extend
    for name in names:
        try:
            st = lstat(before + name)
        except OSError as err:
            errors.append(
                (name, 0 if isinstance(err, FileNotFoundError) else err.errno or 0)
            )  # 0: it went away meanwhile
            continue
        mode = st.st_mode
        kind = mode & 0o170000
        if kind == 0o100000:
            size += st.st_size
            add((mode, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_uid << 32 | st.st_gid))
        elif kind == 0o040000:
            subfolders.append(name)
            add((kind, 0, 0, 0, st.st_ino, 0))
        else:
            add((mode, 0, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_uid << 32 | st.st_gid))
    if errors:
        lost = {name for name, _ in errors}
        names[:] = [name for name in names if name not in lost]
    return numbers, subfolders, size, errors
