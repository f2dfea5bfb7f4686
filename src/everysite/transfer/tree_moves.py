"""Renames at the source, repeated at the target instead of copying.

Owns: recognising renamed folders and files by inode, and the renames at the target.
Must not know: how folders are compared or copied afterwards.

A rename at the target takes the old name away, so this is only for copies that may delete. Nothing here has to be
right: whatever a rename brings is compared like everything else, and one that was interrupted is found finished.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import NamedTuple

from everysite.observe.folder import FIELDS, Entry, Folder, unpack
from everysite.transfer.manifest import Manifest
from everysite.transfer.tree_job import join
from everysite.transfer.tree_place import stamp_of


class Moved(NamedTuple):
    """What was renamed at the target."""

    folders: int
    files: int
    digests: dict[bytes, dict[bytes, bytes]]  # folder -> name -> digest, of the files


def follow(manifest: Manifest, folders: Mapping[bytes, Folder], target: bytes) -> Moved:
    """Repeat the source's renames at the target. Raises OSError only for a target that is in trouble as a whole."""
    moved = _follow_folders(manifest, folders, target)
    digests = _follow_files(manifest, folders, target)
    return Moved(moved, sum(map(len, digests.values())), digests)


def _follow_folders(manifest: Manifest, folders: Mapping[bytes, Folder], target: bytes) -> int:
    gone = {held.inode: path for path, held in manifest.folders.items() if path not in folders}
    moved = 0
    # Shorter paths first: with a folder all below it moves.
    for path in sorted((path for path in folders if path not in manifest.folders), key=len) if gone else ():
        old = gone.get(folders[path].inode)
        if old is None or path in manifest.folders or old not in manifest.folders:
            continue
        held = manifest.folders[old]
        try:
            if held.stamp != stamp_of(join(target, old)) or os.path.lexists(join(target, path)):
                continue
            _make_above(path, target)
            os.rename(join(target, old), join(target, path))
            stamp = stamp_of(join(target, path))
        except OSError:
            continue  # then it is copied
        manifest.move(old, path)
        manifest.stamp(path, held._replace(stamp=stamp))
        moved += 1
    return moved


def _make_above(path: bytes, target: bytes) -> None:
    """The folders above a path. Each has a job of its own, which gives it its mode and times."""
    above = path.rpartition(b"/")[0]
    if above and not os.path.lexists(join(target, above)):
        _make_above(above, target)
        os.mkdir(join(target, above), 0o700)


_Key = tuple[int, int, int]


def _follow_files(
    manifest: Manifest, folders: Mapping[bytes, Folder], target: bytes
) -> dict[bytes, dict[bytes, bytes]]:
    arrived: dict[_Key, tuple[bytes, bytes]] = {}
    left: dict[_Key, tuple[bytes, bytes, bytes]] = {}
    for path in manifest.folders.keys() | folders.keys():
        _differences(path, manifest, folders.get(path), arrived, left)
    digests: dict[bytes, dict[bytes, bytes]] = {}
    for key in arrived.keys() & left.keys():
        path, name = arrived[key]
        old_path, old_name, digest = left[key]
        if _rename(join(target, join(old_path, old_name)), join(path, name), target, key):
            digests.setdefault(path, {})[name] = digest
    return digests


def _differences(
    path: bytes,
    manifest: Manifest,
    folder: Folder | None,
    arrived: dict[_Key, tuple[bytes, bytes]],
    left: dict[_Key, tuple[bytes, bytes, bytes]],
) -> None:
    """Add the file names that are new in a folder, and those that left it."""
    held = manifest.folders.get(path)
    if folder is not None and (folder.packed is None or (held is not None and held.fingerprint == folder.fingerprint)):
        return
    old, digests = manifest.entries(held) if held is not None else (b"", b"")
    new = folder.packed or b"" if folder is not None else b""
    if _names(old) == _names(new):
        return
    before, after = (unpack(old) if old else []), (unpack(new) if new else [])
    had, has = {entry.name for entry in before}, {entry.name for entry in after}
    for entry in after:
        if entry.name not in had and stat.S_ISREG(entry.mode):
            arrived[_key(entry)] = (path, entry.name)
    for number, entry in enumerate(before):
        if entry.name not in has and stat.S_ISREG(entry.mode):
            left[_key(entry)] = (path, entry.name, digests[32 * number : 32 * number + 32])


def _names(packed: bytes) -> bytes:
    return packed[4 + 8 * FIELDS * int.from_bytes(packed[:4], "little") :]


def _key(entry: Entry) -> _Key:
    # No ctime: a rename changes it. Size and mtime are there because inodes are used again.
    return entry.inode, entry.size, entry.mtime_ns


def _rename(old: bytes, path: bytes, target: bytes, key: _Key) -> bool:
    try:
        there = os.lstat(old)
        if (there.st_size, there.st_mtime_ns) != key[1:] or not stat.S_ISREG(there.st_mode):
            return False
        if os.path.lexists(join(target, path)):
            return False  # two files that changed names, for example: they are copied
        _make_above(path, target)
        os.rename(old, join(target, path))
    except OSError:
        return False
    return True
