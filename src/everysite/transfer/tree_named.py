"""Only the paths somebody names, without a walk: for those who know what changed.

Owns: turning names into jobs for their folders, and the manifest of folders that were looked at in part.
Must not know: where the names come from.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from everysite.disk.faults import explain
from everysite.errors import PathRefused
from everysite.model.path import name as checked
from everysite.model.path import to_text
from everysite.observe.folder import Entry, Folder, fingerprint, pack, unpack
from everysite.transfer.manifest import NO_STAMP, Held
from everysite.transfer.tree import Run
from everysite.transfer.tree_job import FAILED, MISSING, TRUSTED, Done, Job, join
from everysite.transfer.tree_place import dress, stamp_of


def copy_named(run: Run, named: Iterable[bytes]) -> None:
    """Copy the named files, links and (without what is in them) folders; the folders above them are made.

    A name the source does not have is deleted at the target where deleting was asked for, else told as FAILED. Raises
    SiteUnreachable for a target in trouble.
    """
    _Named(run).copy(named)


class _Named:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._names: dict[bytes, set[bytes]] = {}  # folder -> what was named in it
        self._trusted: set[bytes] = set()  # folders whose stamp was right before we began

    def copy(self, named: Iterable[bytes]) -> None:
        groups: dict[bytes, set[bytes]] = {}
        for raw in named:
            path = self._path(raw)
            if path is None:
                continue
            above, _, leaf = path.rpartition(b"/")
            groups.setdefault(above, set()).add(leaf)
            if stat.S_ISDIR(_mode(join(self._run.source, path))):
                groups.setdefault(path, set())
        for path in [path for path in groups if path]:
            self._add_missing(path.rpartition(b"/")[0], groups)
        self._names = groups
        jobs = [job for path in sorted(groups) if (job := self._job(path, groups[path])) is not None]
        self._run.carry_out(jobs, self._remember)

    def _path(self, raw: bytes) -> bytes | None:
        """A name as given, in its one form; None (told) for one that is refused."""
        path = raw.removeprefix(b"./").rstrip(b"/")
        try:
            checked(path)
        except PathRefused as err:
            self._run.tell((FAILED, raw, str(err)))
            return None
        skip = self._run.options.skip
        return None if skip is not None and skip(path, False) else path

    def _add_missing(self, path: bytes, groups: dict[bytes, set[bytes]]) -> None:
        """Folders above a named path that the target does not have get their mode and times like the others."""
        while path and path not in groups and not os.path.lexists(join(self._run.target, path)):
            groups[path] = set()
            path = path.rpartition(b"/")[0]

    def _job(self, path: bytes, names: set[bytes]) -> Job | None:
        """The job for the named entries of one folder; None where the source does not have that folder."""
        run = self._run
        place = join(run.source, path)
        try:
            own = os.lstat(place) if path else os.stat(place)
            if not stat.S_ISDIR(own.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            entries = [entry for name in sorted(names) if (entry := _entry(place, name)) is not None]
        except (FileNotFoundError, NotADirectoryError):
            self._gone(path, names)
            return None
        except OSError as err:
            run.tell((FAILED, path, str(explain(err, place, "reading"))))
            return None
        if not run.options.delete:
            self._miss(path, names - {entry.name for entry in entries})
        owner = own.st_uid << 32 | own.st_gid
        size = sum(entry.size for entry in entries)
        folder = Folder(path, own.st_ino, own.st_mode, owner, own.st_mtime_ns, b"", pack(entries), [], 0, size, [])
        run.folders[path] = folder
        held = run.manifest.folders.get(path) if run.manifest is not None else None
        state = run.state(path, held)
        if state == TRUSTED:
            self._trusted.add(path)
        if state == MISSING and not run.options.dry_run:
            run.make(path, own.st_mode)
        return Job(folder, held, state, False, False, frozenset(names))

    def _gone(self, path: bytes, names: set[bytes]) -> None:
        if not self._run.options.delete:
            self._miss(path, names)
        elif os.path.isdir(join(self._run.target, path)) and not self._run.options.dry_run:
            self._run.delete(path, sorted(names))

    def _miss(self, path: bytes, names: set[bytes]) -> None:
        for name in sorted(names):
            full = join(self._run.source, join(path, name))
            self._run.tell((FAILED, join(path, name), f"{to_text(full)} does not exist; --delete removes such names"))

    def _remember(self, done: Done) -> None:
        """Delete, give the folder its mode and times, and merge what was done into what the manifest has of it."""
        run = self._run
        for what, number in (
            ("copied", done.copied),
            ("size", done.size),
            ("files", done.files),
            ("bytes", done.bytes),
        ):
            run.count(what, number)
        left = run.delete(done.path, done.extra) if run.options.delete else done.extra
        try:
            dress(join(run.target, done.path), run.folders[done.path])
            stamp = stamp_of(join(run.target, done.path))
        except OSError as err:
            raise explain(err, join(run.target, done.path), "setting mode and times of it") from err
        held = run.manifest.folders.get(done.path) if run.manifest is not None else None
        if run.manifest is None or held is None:
            return
        whole = len(done.packed) == len(run.folders[done.path].packed or b"") and not left
        rows = self._merged(done, held)
        packed = pack(entry for entry, _ in rows)
        folder = run.folders[done.path]
        files = [entry for entry, _ in rows if not stat.S_ISDIR(entry.mode)]
        fresh = Held(
            fingerprint(packed),
            folder.inode,
            folder.mode,
            folder.owner,
            folder.mtime_ns,
            stamp if whole and done.path in self._trusted else NO_STAMP,
            len(files),
            sum(entry.size for entry in files),
        )
        run.manifest.put(done.path, fresh, packed, b"".join(digest for _, digest in rows))

    def _merged(self, done: Done, held: Held) -> list[tuple[Entry, bytes]]:
        run = self._run
        assert run.manifest is not None
        rows = _rows(*run.manifest.entries(held))
        for name in self._names[done.path]:
            rows.pop(name, None)
        rows.update(_rows(done.packed, done.digests))
        return [rows[name] for name in sorted(rows)]


def _rows(packed: bytes, digests: bytes) -> dict[bytes, tuple[Entry, bytes]]:
    entries = unpack(packed) if packed else []
    return {entry.name: (entry, digests[32 * n : 32 * n + 32]) for n, entry in enumerate(entries)}


def _entry(folder: bytes, name: bytes) -> Entry | None:
    """What a walk would have found under this name; None for nothing."""
    try:
        st = os.lstat(folder + b"/" + name)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(st.st_mode):
        return Entry(name, stat.S_IFDIR, 0, 0, 0, st.st_ino, 0)
    size = st.st_size if stat.S_ISREG(st.st_mode) else 0
    return Entry(name, st.st_mode, size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_uid << 32 | st.st_gid)


def _mode(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0
