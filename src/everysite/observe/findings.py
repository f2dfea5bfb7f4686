"""What one walk found different from what is held, folder by folder.

Owns: Findings, the comparison of one folder, and which folders are old ones under a new path.
Must not know: digests, the tracker, threads.

Only names and sizes are kept of what changed; folders nobody knows wait packed until the walk is over, since only then
it is known which old folders are gone and may be theirs.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Sequence

from everysite.decide.compare import Entry as Compared
from everysite.decide.compare import compare
from everysite.index.contract import HeldFile, HeldFolder
from everysite.observe.folder import Entry, Folder, unpack

OWN = b".everysite"
"""A folder of ours in every root: what was deleted goes to its trash first."""

FilesOf = Callable[[int], list[HeldFile]]


def join(folder: bytes, name: bytes) -> bytes:
    """A relative path from its parts; b"" is the root."""
    return folder + b"/" + name if folder else name


class Findings:
    """The differences of one walk. Feed it every folder, then `strangers` and `vanished` are known."""

    def __init__(self, held: Sequence[HeldFolder]) -> None:
        self.held = {folder.path: folder for folder in held}
        self.changed: list[tuple[bytes, int]] = []  # (path, size): not as held, or not held
        self.gone: dict[bytes, HeldFile] = {}  # held under this path and no longer there
        self.strangers: list[Folder] = []  # not held under this path, waiting for `settle_strangers`
        self.marks: dict[bytes, tuple[int, bytes]] = {}  # folder -> (inode, fingerprint) once its differences are told
        self.blind: set[bytes] = set()  # could not be read: nothing of it is gone
        self.errors: list[tuple[bytes, int]] = []
        self.files = 0
        self.bytes = 0
        self.specials = 0
        self._walked: set[bytes] = set()
        self._first = not held

    @property
    def known(self) -> dict[bytes, bytes]:
        """Fingerprints by path, for the walk."""
        return {path: folder.fingerprint for path, folder in self.held.items() if folder.fingerprint}

    def add(self, folder: Folder, files_of: FilesOf) -> None:
        """Take in a walked folder. What is ours (the trash) is not part of the tree."""
        if folder.path == OWN or folder.path.startswith(OWN + b"/"):
            return
        self.files += folder.files
        self.bytes += folder.size
        self.errors += folder.errors
        self.blind.update(path for path, _ in folder.errors)
        if not folder.fingerprint:
            return
        self._walked.add(folder.path)
        old = self.held.get(folder.path)
        if folder.packed is None:
            return
        if old is None and not self._first:
            self.strangers.append(folder)
        else:
            self.compare(folder, files_of(old.id) if old is not None else [])

    def compare(self, folder: Folder, files: Iterable[HeldFile]) -> None:
        """Note how the entries of a folder differ from these held files."""
        assert folder.packed is not None
        known = {file.name: file for file in files}
        entries = unpack(folder.packed)
        self.specials += sum(1 for entry in entries if not (stat.S_ISREG(entry.mode) or stat.S_ISDIR(entry.mode)))
        found = compare([_held(file) for file in known.values()], [_seen(e) for e in entries if stat.S_ISREG(e.mode)])
        self.changed += [(join(folder.path, entry.name), entry.size) for entry in (*found.added, *found.changed)]
        for entry in found.removed:
            path = join(folder.path, entry.name)
            if path not in self.blind:
                self.gone[path] = known[entry.name]
        self.marks[folder.path] = (folder.inode, folder.fingerprint)

    def vanished(self) -> dict[bytes, HeldFolder]:
        """Held folders that were not met, except below one that could not be read."""
        return {
            path: folder for path, folder in self.held.items() if path not in self._walked and not self._hidden(path)
        }

    def _hidden(self, path: bytes) -> bool:
        while path:
            if path in self.blind:
                return True
            path = path.rpartition(b"/")[0]
        return b"" in self.blind

    def refresh(self, held: Sequence[HeldFolder]) -> None:
        """Take what is held now: work that went on during the walk may have moved folders itself."""
        self.held = {folder.path: folder for folder in held}

    def renamed(self, files_of: FilesOf) -> list[tuple[bytes, bytes]]:
        """(old, new) of folders found under another path: only the topmost of each, in the order they are to be told."""
        lost = self.vanished()
        by_inode = {folder.inode: path for path, folder in lost.items() if path and folder.inode}
        found: list[tuple[bytes, bytes]] = []
        for stranger in sorted(self.strangers, key=lambda folder: folder.path):
            old = by_inode.get(stranger.inode)
            if old is None or stranger.path in self.held or _nested(old, stranger.path):
                continue
            if any(_inside(old, was) and _inside(stranger.path, now) for was, now in found):
                continue  # it came along with its parent
            if self._is(stranger, lost[old], files_of):
                # Told one after the other: an earlier rename has moved what this one's old path stands for.
                found.append((translated(old, found), stranger.path))
        return found

    def _is(self, stranger: Folder, old: HeldFolder, files_of: FilesOf) -> bool:
        """Inodes are given out again, so at least half of what was in the folder must be there too."""
        assert stranger.packed is not None
        files = files_of(old.id)
        entries = {entry.name: entry for entry in unpack(stranger.packed)}
        if files:
            same = sum(1 for file in files if file.name in entries and _same_file(file, entries[file.name]))
            return 2 * same >= len(files)
        prefix = old.path + b"/"
        return any(
            other.parent == old.id and other.path.startswith(prefix) and _inode(entries, other) == other.inode
            for other in self.held.values()
        )

    def settle_strangers(self, files_of: FilesOf) -> None:
        """Compare what waited, after `refresh` with what the renames made of the held folders."""
        waiting, self.strangers = self.strangers, []
        for stranger in waiting:
            old = self.held.get(stranger.path)
            self.compare(stranger, files_of(old.id) if old is not None else [])
        for path, folder in self.vanished().items():
            for file in files_of(folder.id):
                self.gone[join(path, file.name)] = file


def _held(file: HeldFile) -> Compared:
    return Compared(file.name, file.size, file.mtime_ns, file.ctime_ns, file.inode, file.mode)


def _seen(entry: Entry) -> Compared:
    return Compared(entry.name, entry.size, entry.mtime_ns, entry.ctime_ns, entry.inode, entry.mode & 0o7777)


def translated(path: bytes, renames: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Where a path is after these renames, one after the other."""
    for old, new in renames:
        if _inside(path, old):
            path = new + path[len(old) :]
    return path


def _same_file(file: HeldFile, entry: Entry) -> bool:
    return file.inode == entry.inode and file.size == entry.size and file.mtime_ns == entry.mtime_ns


def _inode(entries: dict[bytes, Entry], folder: HeldFolder) -> int:
    entry = entries.get(folder.path.rpartition(b"/")[2])
    return entry.inode if entry is not None else 0


def _inside(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder + b"/")


def _nested(one: bytes, other: bytes) -> bool:
    return _inside(one, other) or _inside(other, one)
