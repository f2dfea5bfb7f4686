"""Trees of files for the demo: filling one, changing one, and proving that several are equal.

Owns: a tree's list of regular files (names are bytes), its BLAKE3 digests, and the demo's edits.
Must not know: trackers, sites, processes.
"""

from __future__ import annotations

import os
import shutil
import stat
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from everysite.errors import NotFound, Refused, TargetFull, Unreadable
from everysite.model.path import to_text

Look = dict[bytes, tuple[int, int]]
"""relative name -> (size, mtime_ns)"""

_OURS = b".everysite"  # stages of copies on their way, the trash
_NOT_STANDARD = frozenset({b"site-packages", b"dist-packages"})
_PIECE = 1 << 20


class Tree(NamedTuple):
    """What to fill a site with. `skip` are names of folders directly below it that are not part of it."""

    root: Path
    what: str
    skip: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Digests:
    """What a tree contains: BLAKE3 by relative name, and the sum of the sizes."""

    files: dict[bytes, bytes]
    size: int


def standard_library() -> Tree:
    """The library of the Python that runs us: thousands of real files that are on every machine."""
    root = Path(sysconfig.get_path("stdlib"))
    return Tree(root, "the standard library of this Python", _NOT_STANDARD)


def _files(root: bytes, skip: frozenset[bytes] = frozenset()) -> Iterator[tuple[bytes, os.stat_result]]:
    """(relative name, stat) of every regular file. Raises Unreadable for a folder that cannot be listed."""

    def fail(err: OSError) -> None:
        if not isinstance(err, FileNotFoundError):  # renamed while we walk: it is seen under its new name next time
            raise Unreadable(f"{os.fsdecode(err.filename)} cannot be listed: {err.strerror}") from err

    for folder, folders, names in os.walk(root, onerror=fail):
        left_out = skip if folder == root else frozenset[bytes]()
        folders[:] = [name for name in folders if name not in left_out and not name.startswith(_OURS)]
        for name in names:
            path = os.path.join(folder, name)
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode) and not name.startswith(_OURS):
                yield os.path.relpath(path, root), found


def check(tree: Tree, home: Path) -> None:
    """Raise NotFound or Refused when the tree cannot be shown in this home, before anything is made there."""
    if not tree.root.is_dir():
        raise NotFound(f"{tree.root} is no folder; give --tree a folder with files in it")
    source, to = tree.root.resolve(), home.resolve()
    if source == to or source in to.parents:
        raise Refused(f"{home} lies inside {tree.root}; give --home a folder outside of the tree")


def fill(tree: Tree, target: Path) -> tuple[int, int]:
    """Copy the regular files of a tree; (files, bytes). Raises NotFound, Unreadable or TargetFull naming the file."""
    source, to = os.fsencode(tree.root.resolve()), os.fsencode(target.resolve())
    files = size = 0
    for name, found in _files(source, tree.skip):
        _copy(os.path.join(source, name), os.path.join(to, name), found)
        files, size = files + 1, size + found.st_size
    if not files:
        raise NotFound(f"{tree.root} holds no regular files; give --tree a folder with files in it")
    return files, size


def _copy(source: bytes, target: bytes, found: os.stat_result) -> None:
    try:
        reading = open(source, "rb")  # noqa: SIM115  closed below; trouble with it and with the target are told apart
    except OSError as err:
        raise Unreadable(f"{to_text(source)} cannot be read: {err.strerror}; give --tree files you may read") from err
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with reading, open(target, "wb") as writing:
            shutil.copyfileobj(reading, writing, _PIECE)
        os.chmod(target, stat.S_IMODE(found.st_mode) | stat.S_IWUSR)  # the demo changes some of them
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    except OSError as err:
        raise TargetFull(f"{to_text(target)} cannot be written: {err.strerror}") from err


def look(root: Path) -> Look:
    """Sizes and times of all files: cheap, enough to see whether copying goes on."""
    return {name: (found.st_size, found.st_mtime_ns) for name, found in _files(os.fsencode(root))}


def digests(root: Path) -> Digests:
    """Read every byte of a tree. Raises Unreadable naming the file."""
    base = os.fsencode(root)
    found = list(_files(base))
    with ThreadPoolExecutor(4) as beside:  # blake3 and read() let other threads run
        values = beside.map(lambda entry: _digest(os.path.join(base, entry[0])), found, chunksize=64)
        return Digests({name: value for (name, _), value in zip(found, values, strict=True)}, _sum(found))


def _sum(found: list[tuple[bytes, os.stat_result]]) -> int:
    return sum(each.st_size for _, each in found)


def _digest(path: bytes) -> bytes:
    hasher = blake3()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                hasher.update(piece)
    except OSError as err:
        raise Unreadable(f"{to_text(path)} cannot be read back: {err.strerror}") from err
    return hasher.digest()


def differences(first: Digests, other: Digests) -> list[str]:
    """What is missing, too many or different in `other`; empty when the trees are equal."""
    names = sorted(first.files.keys() | other.files.keys())
    return [_differs(name, first, other) for name in names if first.files.get(name) != other.files.get(name)]


def _differs(name: bytes, first: Digests, other: Digests) -> str:
    if name not in other.files:
        return f"{to_text(name)} is missing"
    return f"{to_text(name)} " + ("should not be there" if name not in first.files else "has other bytes")
