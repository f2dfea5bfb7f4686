"""Packages: whole folders that are one element.

Owns: what a package's content is, its list of parts, which folders of a tree are packages, looking at one on the disk.
Must not know: how a package travels, the tracker.

The digest of a package is BLAKE3 over its parts, sorted by name: name, NUL, size (8 bytes), digest. Times and modes of
the parts are carried along but do not count, as for files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import msgspec
from blake3 import blake3

from everysite.disk.folders import Root
from everysite.disk.walk import files_below
from everysite.index.contract import HeldFile, Transaction
from everysite.model.element import Content
from everysite.observe.hashing import Failed, look, matches

_MODE = 0o755

Matches = Callable[[bytes], bool]
"""Whether the folder at a relative path is a package."""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A file of a package; `name` is relative to the package's folder."""

    name: bytes
    size: int
    mtime_ns: int
    mode: int
    digest: bytes

    @property
    def content(self) -> Content:
        return Content(self.size, self.mtime_ns, self.mode, self.digest)


def part(name: bytes, file: HeldFile) -> Part:
    """The part a held file is."""
    return Part(name, file.size, file.mtime_ns, file.mode & 0o777, file.digest)


def content_of(parts: Iterable[Part]) -> Content:
    """The content of the whole: sizes added up, the newest time."""
    hasher, size, mtime_ns = blake3(), 0, 0
    for each in sorted(parts, key=lambda found: found.name):
        hasher.update(each.name + b"\0" + each.size.to_bytes(8, "big") + each.digest)
        size += each.size
        mtime_ns = max(mtime_ns, each.mtime_ns)
    return Content(size, mtime_ns, _MODE, hasher.digest())


def encode(parts: Sequence[Part]) -> bytes:
    """The parts as they travel."""
    return msgspec.msgpack.encode(list(parts))


def decode(data: bytes) -> list[Part]:
    """Raises msgspec.DecodeError for what is no list of parts."""
    return msgspec.msgpack.decode(data, type=list[Part])


def known(tx: Transaction, mapping: int) -> set[bytes]:
    """Folders of a mapping that are packages, as far as this agent has heard."""
    text = tx.meta(f"packages:{mapping}")
    return set(msgspec.json.decode(text, type=list[bytes])) if text else set()


def remember(tx: Transaction, mapping: int, name: bytes, package: bool = True) -> None:
    """The folder is one, or no longer."""
    names = known(tx, mapping)
    if (name in names) != package:
        names ^= {name}
        tx.set_meta(f"packages:{mapping}", msgspec.json.encode(sorted(names)).decode())


def moved(tx: Transaction, mapping: int, old: bytes, new: bytes) -> None:
    """A folder has another name; packages in it, or itself, go along."""
    for name in known(tx, mapping):
        if name == old or name.startswith(old + b"/"):
            remember(tx, mapping, name, False)
            remember(tx, mapping, new + name[len(old) :])


def held_parts(tx: Transaction, mapping: int, folder: bytes) -> dict[bytes, HeldFile]:
    """What is held below a folder, by name relative to it."""
    found: dict[bytes, HeldFile] = {}
    for each in tx.held.folders(mapping):
        if each.path == folder or each.path.startswith(folder + b"/"):
            above = each.path[len(folder) + 1 :]
            for file in tx.held.files(each.id):
                found[above + b"/" + file.name if above else file.name] = file
    return found


class Owners:
    """Which package a path belongs to."""

    def __init__(self, packages: Matches) -> None:
        self._packages = packages
        self._of: dict[bytes, bytes] = {b"": b""}

    def of(self, folder: bytes) -> bytes:
        """The topmost package that this folder is or lies in; b"": none."""
        found = self._of.get(folder)
        if found is None:
            found = self.of(folder.rpartition(b"/")[0]) or (folder if self._packages(folder) else b"")
            self._of[folder] = found
        return found

    def of_file(self, path: bytes) -> bytes:
        """The package a file is part of."""
        return self.of(path.rpartition(b"/")[0])


def look_at_package(
    root: bytes, folder: bytes, held: dict[bytes, HeldFile], stop: threading.Event
) -> dict[bytes, HeldFile]:
    """The parts of a package as they are on the disk; only those not as held are read. Blocking.

    Empty when there is none. Raises Unreadable, SourceChanged, SiteUnreachable, Cancelled.
    """
    found: dict[bytes, HeldFile] = {}
    with Root(root) as opened:
        for path, stat in files_below(opened, folder):
            name = path[len(folder) + 1 :]
            file = held.get(name)
            if file is None or not matches(file, stat):
                looked = look(opened, path, stop)
                if isinstance(looked, Failed):
                    raise looked.error
                file = looked.file
            found[name] = file
    return found
