"""A worker's part of a copy: folders written in groups, made durable together, then put in place.

Owns: staging, the order write -> sync -> rename -> report, and undoing what was not put in place.
Must not know: which folders there are, other workers, the manifest's file.

The sync of one group runs beside the writing of the next. A folder that is new and not too large is built under a
staged name and takes its place by one rename, so a reader finds it whole or not at all; anything else is staged file
by file.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable

from everysite.disk.faults import explain
from everysite.disk.stages import is_stage, stage_name
from everysite.disk.system import CLOEXEC, HERE, NOFOLLOW
from everysite.errors import SiteUnreachable
from everysite.observe.folder import Entry, below, pack, unpack
from everysite.transfer.manifest import NO_STAMP, UNKNOWN, Manifest
from everysite.transfer.tree_compare import Choice, compare
from everysite.transfer.tree_files import SMALL, FileCopier
from everysite.transfer.tree_job import (
    DONE,
    FAILED,
    MISSING,
    NOTE,
    PROGRESS,
    TRUSTED,
    WOULD,
    Done,
    Job,
    Options,
    Tell,
    join,
)
from everysite.transfer.tree_place import Written, place, read_back, remove

GROUP_FILES = 5_000
GROUP_BYTES = 64 << 20
GROUP_FOLDERS = 1_000
_FOLDER = os.O_RDONLY | CLOEXEC | NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
_FRESH_NS = 20_000_000  # a file changed this recently may change again within one tick of its clock (1 to 10 ms)


class Writer:
    """Brings folders up to date, one after another. For one thread of one process."""

    def __init__(
        self,
        roots: tuple[bytes, bytes],
        manifest: Manifest | None,
        options: Options,
        tell: Tell,
        stopped: Callable[[], bool],
        token: bytes,
    ) -> None:
        """`token` is that of the run: workers tell each other's stages from those of a run that was killed by it."""
        self._source, self._target = roots
        self._manifest = manifest
        self._options = options
        self._tell = tell
        self._stopped = stopped
        self._files = FileCopier(options, tell, stopped)
        self._token = token
        self._group: list[Written] = []
        self._syncing: list[Written] = []
        self._sync: threading.Thread | None = None
        self._fault: OSError | None = None
        self._root = os.open(self._target, os.O_RDONLY | CLOEXEC) if not options.dry_run else -1
        self._umask = os.umask(0)  # modes are the source's; whoever runs us has nothing else to create

    def close(self) -> None:
        """Undo what is not in place. Call it in any case, after `finish` when all went well."""
        self._wait()
        for written in (*self._syncing, *self._group):
            written.undo(self._target)
        self._syncing, self._group = [], []
        os.umask(self._umask)
        if self._root >= 0:
            os.close(self._root)

    def finish(self) -> None:
        """Put in place all that is written. Raises SiteUnreachable."""
        self._next_group()
        self._next_group()

    def folder(self, job: Job) -> None:
        """One folder. Trouble with a single file is told; raises SiteUnreachable for the target, Cancelled."""
        source = join(self._source, job.folder.path)
        try:
            near = os.open(source, _FOLDER if job.folder.path else _FOLDER & ~NOFOLLOW)
        except OSError as err:
            self._tell((FAILED, job.folder.path, str(explain(err, source, "reading"))))
            return
        try:
            self._folder(job, near)
        except OSError as err:
            fault = explain(err, join(self._target, job.folder.path), "writing")
            if isinstance(fault, SiteUnreachable):
                raise fault from err
            self._tell((FAILED, job.folder.path, str(fault)))
        finally:
            os.close(near)
        if (
            sum(written.copied for written in self._group) >= GROUP_FILES
            or sum(written.size for written in self._group) >= GROUP_BYTES
            or len(self._group) >= GROUP_FOLDERS
        ):
            self._next_group()

    def _folder(self, job: Job, near: int) -> None:
        entries = unpack(job.folder.packed or b"")
        if job.names is not None:
            entries = [entry for entry in entries if entry.name in job.names]
        held = self._held(job)
        held.update((entry.name, (entry, job.moved[entry.name])) for entry in entries if entry.name in job.moved)
        choice = compare(entries, self._there(job, held), held)
        if self._options.dry_run:
            self._say(job, choice)
            return
        written = Written(job, stage_name(job.folder.path, self._token) if job.staged else None)
        written.wanted = entries
        try:
            written.begin(self._target)
            far = os.open(written.at(self._target), _FOLDER if job.folder.path else _FOLDER & ~NOFOLLOW)
            try:
                self._fill(written, choice, near, far)
            finally:
                os.close(far)
        except BaseException:  # whatever it was: what is staged so far is of no use to anybody
            written.undo(self._target)
            raise
        self._group.append(written)
        large = sum(entry.size for entry, _ in written.arrived if entry.size >= SMALL)  # these told it as they went
        self._tell((PROGRESS, job.folder.files, job.folder.size - large))

    def _fill(self, written: Written, choice: Choice, near: int, far: int) -> None:
        """Everything the folder needs, under staged names where the folder itself is not staged."""
        path = written.job.folder.path
        naming = None if written.stage else written.naming(self._token)
        written.entries += choice.same
        written.extra = choice.extra
        for entry in choice.specials:
            self._tell((NOTE, join(path, entry.name), "left out: neither a file, a folder nor a symbolic link"))
            written.entries.append((entry, UNKNOWN))
        for entry, digest in choice.hash:
            self._believe(written, choice, entry, digest, near)
        for entry, digest in choice.adjust:
            if written.adjust(entry, far, self._tell):
                written.entries.append((entry, digest))
        for entry in choice.links:
            if written.link(entry, near, far, naming, self._tell):
                written.entries.append((entry, UNKNOWN))
        arrived = self._files.copy(path, choice.copy, near, far, naming)
        written.entries += arrived
        written.arrived = arrived
        written.copied += len(arrived)
        written.size = sum(entry.size for entry, _ in arrived)
        self._sweep(written.job, choice, far)

    def _sweep(self, job: Job, choice: Choice, far: int) -> None:
        """Remove the stages of a run that was killed, but not the folders another worker is building here."""
        left = [name for name in choice.extra if is_stage(name)]
        if left:
            ours = {stage_name(path, self._token) for path in below(job.folder)}
            for name in left:
                if name not in ours:
                    remove(name, far)

    def _believe(self, written: Written, choice: Choice, entry: Entry, digest: bytes, near: int) -> None:
        """The source was touched and looks the same: only its bytes tell."""
        try:
            same = self._files.digest(entry, near) == digest
        except OSError as err:
            self._tell((FAILED, join(written.job.folder.path, entry.name), str(explain(err, entry.name, "reading"))))
            return
        if same:
            choice.adjust.append((entry, digest))
        else:
            choice.copy.append(entry)

    def _there(self, job: Job, held: dict[bytes, tuple[Entry, bytes]]) -> dict[bytes, Entry]:
        """What the target folder has, stages of earlier runs included."""
        if job.target == MISSING:
            return {}
        if job.target == TRUSTED:
            there = {name: entry for name, (entry, _) in held.items()}
            return there if job.names is None else {name: there[name] for name in job.names & there.keys()}
        return look(join(self._target, job.folder.path), job.names, self._options, job.folder.path)

    def _held(self, job: Job) -> dict[bytes, tuple[Entry, bytes]]:
        """What the manifest remembers of the folder."""
        held: dict[bytes, tuple[Entry, bytes]] = {}
        if self._manifest is not None and job.held is not None and job.target != MISSING:
            packed, digests = self._manifest.entries(job.held)
            for number, entry in enumerate(unpack(packed) if packed else []):
                held[entry.name] = (entry, digests[32 * number : 32 * number + 32])
        return held

    def _say(self, job: Job, choice: Choice) -> None:
        path = job.folder.path
        if job.target == MISSING:
            self._tell((WOULD, "make", path))
        for action, names in (
            ("copy", [e.name for e in choice.copy] + [e.name for e in choice.links if not self._same_link(path, e)]),
            ("adjust", [e.name for e, _ in choice.adjust]),
            ("read", [e.name for e, _ in choice.hash]),
            ("delete", choice.extra if self._options.delete else []),
        ):
            for name in names:
                self._tell((WOULD, action, join(path, name)))

    def _same_link(self, path: bytes, entry: Entry) -> bool:
        try:
            texts = {os.readlink(join(join(root, path), entry.name)) for root in (self._source, self._target)}
        except OSError:
            return False
        return len(texts) == 1

    def _next_group(self) -> None:
        """Start making the written group durable, and put the one before in place."""
        self._wait()
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise explain(fault, self._target, "syncing") from fault
        ready, self._syncing, self._group = self._syncing, self._group, []
        if self._syncing:
            self._sync = threading.Thread(target=self._sync_target, name="sync")
            self._sync.start()
        for number, written in enumerate(ready):
            try:
                if self._options.read_back:
                    read_back(written, self._target, self._tell)
                self._tell((DONE, *self._placed(written)))
            except BaseException:  # whatever it was: the rest must not stay behind as stages
                for left in ready[number:]:
                    left.undo(self._target)
                raise

    def _placed(self, written: Written) -> Done:
        stamp = place(written, self._target, self._options.delete, self._tell)
        # A file changed a moment before it was read may change again and look the same: its ctime is not remembered.
        old = written.begun - _FRESH_NS
        rows = [(entry if entry.ctime_ns < old else entry._replace(ctime_ns=0), d) for entry, d in written.entries]
        rows.sort(key=_name)
        entries = [entry for entry, _ in rows]
        extra = [name for name in written.extra if not is_stage(name)]
        files = [entry for entry in entries if entry.mode & 0o170000 != stat.S_IFDIR]
        return Done(
            written.job.folder.path,
            written.job.folder.packed or b"" if entries == written.wanted else pack(entries),
            b"".join([digest for _, digest in rows]),
            # Names the target has on its own are not remembered, so such a folder is read again the next time.
            stamp if written.job.leaf and not extra else NO_STAMP,
            extra,
            written.copied,
            written.size,
            len(files),
            sum([entry.size for entry in files]),
        )

    def _sync_target(self) -> None:
        try:
            HERE.sync_all(self._root)
        except OSError as err:
            self._fault = err

    def _wait(self) -> None:
        if self._sync is not None:
            self._sync.join()
            self._sync = None


def _name(row: tuple[Entry, bytes]) -> bytes:
    return row[0].name


def look(folder: bytes, names: frozenset[bytes] | None, options: Options, path: bytes) -> dict[bytes, Entry]:
    """The entries of a target folder by name (`names` only, where given), what `options` leave out excepted."""
    found: dict[bytes, Entry] = {}
    for name in os.listdir(folder) if names is None else names:
        with contextlib.suppress(FileNotFoundError):
            st = os.lstat(folder + b"/" + name)
            if options.skip is not None and options.skip(join(path, name), stat.S_ISDIR(st.st_mode)):
                continue
            size = st.st_size if stat.S_ISREG(st.st_mode) else 0
            owner = st.st_uid << 32 | st.st_gid
            found[name] = Entry(name, st.st_mode, size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, owner)
    return found
