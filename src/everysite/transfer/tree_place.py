"""One folder on its way into the target: what is staged of it, how it takes its place, how it is undone.

Owns: Written, `place`, the folder's own mode, owner and times, reading back.
Must not know: how files are copied, when groups are synced.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable

from everysite.disk.faults import explain
from everysite.disk.stages import stage_name
from everysite.disk.system import CLOEXEC, HERE, NOFOLLOW
from everysite.errors import SiteUnreachable
from everysite.observe.folder import Entry, Folder
from everysite.transfer.manifest import NO_STAMP, Stamp
from everysite.transfer.tree_files import forget
from everysite.transfer.tree_job import FAILED, ROOT, Job, Tell, join, kept_mode
from everysite.transfer.tree_large import digest_of

Naming = Callable[[bytes], bytes]


class Written:
    """A folder whose new files lie in stages."""

    def __init__(self, job: Job, stage: bytes | None) -> None:
        self.job = job
        self.stage = stage  # of the folder itself; None: its files are staged one by one
        self.begun = time.time_ns()
        self.names: dict[bytes, bytes] = {}  # final name -> stage
        self.wanted: list[Entry] = []  # what the source has
        self.entries: list[tuple[Entry, bytes]] = []  # what is there once it is in place, with digests
        self.arrived: list[tuple[Entry, bytes]] = []  # the files among them that were copied
        self.extra: list[bytes] = []
        self.copied = 0
        self.size = 0

    def at(self, target: bytes) -> bytes:
        """The folder to write into."""
        final = join(target, self.job.folder.path)
        return final if self.stage is None else final.rpartition(b"/")[0] + b"/" + self.stage

    def begin(self, target: bytes) -> None:
        """Make the folder ready to be written into. Raises OSError."""
        if self.stage is not None:
            os.mkdir(self.at(target), 0o700)
        elif not ROOT:
            mode = os.stat(self.at(target)).st_mode
            if mode & 0o300 != 0o300:  # rsync's habit too: our own folder may be opened for as long as we write
                os.chmod(self.at(target), stat.S_IMODE(mode) | 0o700)

    def naming(self, token: bytes) -> Naming:
        """Names of stages for the files of this folder, remembered."""

        def name(final: bytes) -> bytes:
            stage = self.names[final] = stage_name(final, token)
            return stage

        return name

    def adjust(self, entry: Entry, far: int, tell: Tell) -> bool:
        """Mode and owner of a file whose bytes are right."""
        try:
            if ROOT:
                os.chown(entry.name, entry.owner >> 32 & 0xFFFFFFFF, entry.owner & 0xFFFFFFFF, dir_fd=far)
            os.chmod(entry.name, kept_mode(entry), dir_fd=far)
        except OSError as err:
            self._failed(entry, "changing the mode of it", err, tell)
            return False
        return True

    def link(self, entry: Entry, near: int, far: int, naming: Naming | None, tell: Tell) -> bool:
        """A symbolic link, made anew unless the target's says the same."""
        try:
            text = os.readlink(entry.name, dir_fd=near)
        except OSError as err:
            self._failed(entry, "reading", err, tell)
            return False
        name = entry.name
        try:
            if not _says(text, name, far):
                name = naming(entry.name) if naming is not None else entry.name
                os.symlink(text, name, dir_fd=far)
                self.copied += 1
            if ROOT:
                os.chown(
                    name, entry.owner >> 32 & 0xFFFFFFFF, entry.owner & 0xFFFFFFFF, dir_fd=far, follow_symlinks=False
                )
            os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=far, follow_symlinks=False)
        except OSError as err:
            self._failed(entry, "writing", err, tell)
            return False
        return True

    def _failed(self, entry: Entry, doing: str, err: OSError, tell: Tell) -> None:
        path = join(self.job.folder.path, entry.name)
        fault = explain(err, path, doing)
        if isinstance(fault, SiteUnreachable) and doing != "reading":
            raise fault from err
        tell((FAILED, path, str(fault)))

    def undo(self, target: bytes) -> None:
        """Remove everything staged."""
        with contextlib.suppress(OSError):  # a target that is gone takes its stages with it
            fd = os.open(self.at(target), os.O_RDONLY | CLOEXEC | NOFOLLOW)
            try:
                for name in os.listdir(fd) if self.stage is not None else self.names.values():
                    forget(os.fsencode(name), fd)
            finally:
                os.close(fd)
            if self.stage is not None:
                os.rmdir(self.at(target))


def _says(text: bytes, name: bytes, folder: int) -> bool:
    try:
        return os.readlink(name, dir_fd=folder) == text
    except OSError:
        return False


def place(written: Written, target: bytes, delete: bool, tell: Tell) -> Stamp:
    """Give everything staged its final name; the stamp of the folder then. Raises SiteUnreachable."""
    final = join(target, written.job.folder.path)
    try:
        if written.stage is not None:
            dress(written.at(target), written.job.folder)
            os.rename(written.at(target), final)
            return stamp_of(final)
        _rename_all(written, final, delete, tell)
        if written.job.leaf and written.job.names is None and not (delete and written.extra):
            dress(final, written.job.folder)
            return stamp_of(final)
    except OSError as err:
        fault = explain(err, final, "putting it in place")
        written.undo(target)
        if isinstance(fault, SiteUnreachable):
            raise fault from err
        tell((FAILED, written.job.folder.path, str(fault)))
        written.entries = (
            [row for row in written.entries if row[0].name not in written.names] if not written.stage else []
        )
    return NO_STAMP


def _rename_all(written: Written, final: bytes, delete: bool, tell: Tell) -> None:
    if not written.names:
        return
    fd = os.open(final, os.O_RDONLY | CLOEXEC | (NOFOLLOW if written.job.folder.path else 0))
    lost = set()
    try:
        there = {entry.name for entry, _ in written.entries}
        for name, stage in written.names.items():
            if name not in there:
                continue  # its copy failed and was told
            try:
                _rename(stage, name, fd, final, delete)
            except OSError as err:
                fault = explain(err, join(written.job.folder.path, name), "putting it in place")
                if isinstance(fault, SiteUnreachable):
                    raise
                tell((FAILED, join(written.job.folder.path, name), str(fault)))
                forget(stage, fd)
                lost.add(name)
    finally:
        os.close(fd)
    if lost:
        written.entries = [row for row in written.entries if row[0].name not in lost]


def _rename(stage: bytes, name: bytes, fd: int, final: bytes, delete: bool) -> None:
    try:
        os.rename(stage, name, src_dir_fd=fd, dst_dir_fd=fd)
    except IsADirectoryError:
        # A folder is where the source has a file now. An empty one makes way; a full one only when deleting is allowed.
        if delete:
            remove(name, fd)
        else:
            os.rmdir(name, dir_fd=fd)
        os.rename(stage, name, src_dir_fd=fd, dst_dir_fd=fd)


def remove(name: bytes, folder: int) -> None:
    """Remove a file, or a folder with all it holds; links are not followed. Raises OSError."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):  # POSIX lets unlink(2) of a folder say either
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise
        import shutil

        shutil.rmtree(name, dir_fd=folder)


def dress(path: bytes, folder: Folder) -> None:
    """Give a target folder the source's owner, mode and times, as far as they differ. Raises OSError."""
    now = os.stat(path)
    if ROOT and now.st_uid << 32 | now.st_gid != folder.owner:
        os.chown(path, folder.owner >> 32, folder.owner & 0xFFFFFFFF)
    mode = stat.S_IMODE(folder.mode)
    if stat.S_IMODE(now.st_mode) != mode:
        os.chmod(path, mode)
    if now.st_mtime_ns != folder.mtime_ns:
        os.utime(path, ns=(now.st_atime_ns, folder.mtime_ns))


def stamp_of(path: bytes) -> Stamp:
    """What shows whether names in a target folder were added, removed or renamed. Raises OSError."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        return NO_STAMP
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def read_back(written: Written, target: bytes, tell: Tell) -> None:
    """Read every file that was written from the disk again; one that differs is told and not put in place."""
    fd = os.open(written.at(target), os.O_RDONLY | CLOEXEC)
    wrong = set()
    try:
        for entry, digest in written.arrived:
            name = written.names.get(entry.name, entry.name)
            try:
                found = _digest_again(name, fd)
            except OSError as err:
                found, why = b"", f": {err.strerror}"
            else:
                why = ""
            if found != digest:
                path = join(written.job.folder.path, entry.name)
                tell((FAILED, path, f"what the target holds is not what was written{why}; check that disk"))
                forget(name, fd)
                wrong.add(entry.name)
    finally:
        os.close(fd)
    if wrong:
        written.entries = [row for row in written.entries if row[0].name not in wrong]


def _digest_again(name: bytes, folder: int) -> bytes:
    fd = os.open(name, os.O_RDONLY | CLOEXEC | NOFOLLOW, dir_fd=folder)
    try:
        HERE.forget_cached(fd)
        return digest_of(fd)[0]
    finally:
        os.close(fd)
