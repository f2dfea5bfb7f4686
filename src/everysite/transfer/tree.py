"""A copy of one folder to another: one walk of the source against the manifest, then only what differs.

Owns: the order of a run: lock, walk, renames, folders, files, deletions, last touches; and its summary.
Must not know: how a folder is written, how events are shown.

Killed at any moment, the next run completes it: a target folder is believed only while its stamp is the one that was
remembered after our last change there, and everything else is compared again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from everysite.disk.faults import explain
from everysite.disk.system import CLOEXEC
from everysite.errors import SiteUnreachable
from everysite.observe.folder import Folder, fingerprint
from everysite.observe.reader import Reader
from everysite.observe.walk import walk
from everysite.transfer.manifest import NO_STAMP, Held, Manifest
from everysite.transfer.tree_job import (
    DONE,
    FAILED,
    MISSING,
    NOTE,
    TOTAL,
    TRUSTED,
    UNKNOWN_STATE,
    Done,
    Event,
    Job,
    Options,
    Tell,
    join,
)
from everysite.transfer.tree_place import dress, remove, stamp_of

STAGED_FILES = 5_000  # a new folder up to here is built aside and renamed as a whole; a larger one shows its files as
STAGED_BYTES = 64 << 20  # they come, so that an interrupted copy of it need not begin again


class Summary(NamedTuple):
    """What a run did. `files` and `bytes` are those the source has, as far as they were looked at."""

    files: int
    bytes: int
    copied: int
    copied_bytes: int
    deleted: int
    renamed: int
    failed: int
    left_out: int
    stopped: bool


class Run:
    """One run. `tell` hears PROGRESS, FAILED, NOTE and WOULD events; `stopped` is asked often."""

    def __init__(
        self,
        source: bytes,
        target: bytes,
        manifest: Manifest | None,
        options: Options,
        tell: Tell,
        stopped: Callable[[], bool],
    ) -> None:
        self.source = source
        self.target = target
        self.manifest = manifest
        self.options = options
        self.folders: dict[bytes, Folder] = {}
        self.done: list[
            tuple[bytes, list[bytes], bool, bool]
        ] = []  # folder, names to delete, touched last, all arrived
        self.complete = True  # nothing of the source's folders was unreadable
        self.changed = False
        self._tell = tell
        self.stopped = stopped
        self._counts = dict.fromkeys(("files", "bytes", "copied", "size", "deleted", "renamed", "failed", "left"), 0)
        self._missing: set[bytes] = set()

    def copy(self) -> None:
        """Bring the whole target up to date. Raises SiteUnreachable, and OSError for a source that is gone."""
        self._walk()
        moved: dict[bytes, dict[bytes, bytes]] = {}
        if self._may_delete() and self.manifest is not None and self.manifest.folders and not self.options.dry_run:
            from everysite.transfer.tree_moves import follow

            renamed = follow(self.manifest, self.folders, self.target)
            moved = renamed.digests
            self.count("renamed", renamed.folders + renamed.files)
        jobs = [job for path in sorted(self.folders) if (job := self._job(path, moved.get(path, {}))) is not None]
        self.carry_out(jobs)
        if not self.stopped():
            self.finish()
            self._forget_gone()

    def count(self, what: str, number: int) -> None:
        """Add to a number of the summary."""
        self._counts[what] += number
        self.changed = self.changed or (number > 0 and what in ("copied", "deleted", "renamed"))

    def summary(self) -> Summary:
        """What was done so far."""
        c = self._counts
        return Summary(
            c["files"],
            c["bytes"],
            c["copied"],
            c["size"],
            c["deleted"],
            c["renamed"],
            c["failed"],
            c["left"],
            self.stopped(),
        )

    def tell(self, event: Event) -> None:
        """Count an event and pass it on."""
        if event[0] in (FAILED, NOTE):
            self.count("failed" if event[0] == FAILED else "left", 1)
        self._tell(event)

    def _walk(self) -> None:
        known = {path: held.fingerprint for path, held in self.manifest.folders.items()} if self.manifest else {}
        for folder in walk(self.source, self.options.processes, self.options.skip, known):
            if self.stopped():
                return
            if folder.fingerprint:
                self.folders[folder.path] = folder
            for path, code in folder.errors:
                self.complete = False
                self.tell(
                    (FAILED, path, str(explain(OSError(code, os.strerror(code)), join(self.source, path), "reading")))
                )

    def _may_delete(self) -> bool:
        return self.options.delete and self.complete and not self.stopped()

    def _job(self, path: bytes, moved: dict[bytes, bytes]) -> Job | None:
        """What has to be done for a folder, None when it is equal."""
        folder = self.folders[path]
        held = self.manifest.folders.get(path) if self.manifest is not None else None
        state = self.state(path, held)
        if state == TRUSTED and held is not None and _same(folder, held):
            self.count("files", folder.files)
            self.count("bytes", folder.size)
            return None
        if folder.packed is None:
            packed = self.manifest.entries(held)[0] if self.manifest is not None and held is not None else b""
            folder = folder._replace(packed=packed) if packed else Reader(self.source, self.options.skip, {}).read(path)
            self.folders[path] = folder
        leaf = not folder.subfolders
        staged = (
            state == MISSING and leaf and path != b"" and folder.files <= STAGED_FILES and folder.size <= STAGED_BYTES
        )
        if state == MISSING and not staged and not self.options.dry_run:
            self.make(path, folder.mode)
        return Job(folder, held, state, staged, leaf, None, moved)

    def state(self, path: bytes, held: Held | None) -> int:
        """What is known of a target folder. What stands in its place and is no folder makes way."""
        if path.rpartition(b"/")[0] in self._missing and path:
            self._missing.add(path)
            return MISSING
        place = join(self.target, path)
        try:
            found = os.lstat(place) if path else os.stat(place)
        except FileNotFoundError:
            self._missing.add(path)
            return MISSING
        except OSError as err:
            raise explain(err, place, "looking") from err
        if not stat.S_ISDIR(found.st_mode):
            if not self.options.dry_run:
                os.unlink(place)
            self._missing.add(path)
            return MISSING
        now = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        return TRUSTED if held is not None and held.stamp == now and not self.options.check else UNKNOWN_STATE

    def make(self, path: bytes, mode: int) -> None:
        """Make a target folder that others will be put into. Raises as `explain` says."""
        try:
            os.mkdir(join(self.target, path), stat.S_IMODE(mode) & 0o777 | 0o700)
        except FileExistsError:
            pass
        except OSError as err:
            raise explain(err, join(self.target, path), "making the folder") from err
        self._missing.discard(path)
        self.changed = True

    def carry_out(self, jobs: list[Job], remember: Callable[[Done], None] | None = None) -> None:
        """Have the jobs done, the large ones first so that no worker is left with one at the end."""
        if not jobs:
            return
        from everysite.transfer.tree_workers import carry_out

        keep = remember or self._remember

        def hear(event: Event) -> None:
            if event[0] == DONE:
                keep(Done(*event[1:]))  # type: ignore[arg-type]
            else:
                self.tell(event)

        self.tell((TOTAL, sum(job.folder.files for job in jobs), sum(job.folder.size for job in jobs)))
        jobs.sort(key=lambda job: (job.folder.size < STAGED_BYTES, job.folder.path))
        carry_out(jobs, (self.source, self.target), self.manifest, self.options, hear, self.stopped)

    def _remember(self, done: Done) -> None:
        """Write down what a worker did."""
        assert self.manifest is not None
        for what, number in (
            ("copied", done.copied),
            ("size", done.size),
            ("files", done.files),
            ("bytes", done.bytes),
        ):
            self.count(what, number)
        folder = self.folders[done.path]
        whole = len(done.packed) == len(folder.packed or b"")
        held = Held(
            folder.fingerprint if done.packed == folder.packed else fingerprint(done.packed),
            folder.inode,
            folder.mode,
            folder.owner,
            folder.mtime_ns,
            done.stamp if whole else NO_STAMP,
            done.files,
            done.bytes,
        )
        self.manifest.put(done.path, held, done.packed, done.digests)
        self.done.append((done.path, done.extra, done.stamp == NO_STAMP, whole))

    def finish(self) -> None:
        """Deletions, then the last touch of folders that could not get it before, the deepest first."""
        for path, extra, touch, whole in sorted(self.done, reverse=True):
            left = self.delete(path, extra) if extra and self._may_delete() else extra
            if touch:
                self._touch(path, trusted=whole and not left)

    def delete(self, path: bytes, names: list[bytes]) -> list[bytes]:
        """Remove names from a target folder; those that could not be removed, which is told, are the answer."""
        left = []
        fd = os.open(join(self.target, path), os.O_RDONLY | CLOEXEC)
        try:
            for name in names:
                try:
                    remove(name, fd)
                    self.count("deleted", 1)
                except OSError as err:
                    fault = explain(err, join(self.target, join(path, name)), "deleting")
                    self.tell((FAILED, join(path, name), str(fault)))
                    left.append(name)
        finally:
            os.close(fd)
        return left

    def _touch(self, path: bytes, trusted: bool) -> None:
        assert self.manifest is not None
        place = join(self.target, path)
        try:
            dress(place, self.folders[path])
            stamp = stamp_of(place)
        except OSError as err:
            fault = explain(err, place, "setting mode and times of it")
            if isinstance(fault, SiteUnreachable):
                raise fault from err
            self.tell((FAILED, path, str(fault)))
            return
        if trusted:
            self.manifest.stamp(path, self.manifest.folders[path]._replace(stamp=stamp))

    def _forget_gone(self) -> None:
        if self.manifest is not None and self.complete and not self.options.dry_run:
            for path in [path for path in self.manifest.folders if path not in self.folders]:
                self.manifest.drop(path)


def _same(folder: Folder, held: Held) -> bool:
    return (
        held.fingerprint == folder.fingerprint
        and held.mtime_ns == folder.mtime_ns
        and held.mode == folder.mode
        and held.owner == folder.owner
        and held.inode == folder.inode
    )
