"""A folder as remembered against the folder as it is; and which vanished and new files are one file renamed.

Owns: the merge-join of two sorted listings, and the pairing of renames.
Must not know: how folders are read, digests are computed, or what a difference leads to.

This runs over hundreds of thousands of entries in every scan: one loop, tuples, no objects of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """One file of a folder: leaf name and stat. Any tuple of this shape will do."""

    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int


class Difference(NamedTuple):
    """What differs: entries as they are now (`added`, `changed`) and as they were (`removed`), each sorted by name."""

    added: list[Entry]
    changed: list[Entry]
    removed: list[Entry]


class Lost(NamedTuple):
    """A file that vanished from, or appeared at, a path: (path, inode, digest, size)."""

    path: bytes
    inode: int
    digest: bytes
    size: int


def compare(held: Sequence[Entry], seen: Sequence[Entry]) -> Difference:
    """Both listings sorted by name bytes, each name once.

    A file changed when size, mtime, ctime or inode differ. Modes alone need no look of their own: chmod moves ctime.
    """
    added: list[Entry] = []
    changed: list[Entry] = []
    removed: list[Entry] = []
    if held == seen:  # the usual case, compared in C
        return Difference(added, changed, removed)
    i, j, held_end, seen_end = 0, 0, len(held), len(seen)
    while i < held_end and j < seen_end:
        old, new = held[i], seen[j]
        if old[0] == new[0]:
            if old[1:5] != new[1:5]:
                changed.append(new)
            i += 1
            j += 1
        elif old[0] < new[0]:
            removed.append(old)
            i += 1
        else:
            added.append(new)
            j += 1
    removed.extend(held[i:])
    added.extend(seen[j:])
    return Difference(added, changed, removed)


def pair_renames(removed: Iterable[Lost], added: Iterable[Lost]) -> list[tuple[bytes, bytes]]:
    """(from, to) of files that are the same one under another path, within one scan.

    First those with equal inode and digest; then those whose digest occurs once on either side. Empty files have all
    the same digest, so only the inode can pair them. Each path is used once.
    """
    gone, come = list(removed), list(added)
    pairs = _pair(gone, come, lambda file: (file[1], file[2]))
    used_from = {old for old, _ in pairs}
    used_to = {new for _, new in pairs}
    rest_gone = [file for file in gone if file[3] and file[0] not in used_from]
    rest_come = [file for file in come if file[3] and file[0] not in used_to]
    return pairs + _pair(rest_gone, rest_come, lambda file: file[2])


def _pair(gone: Sequence[Lost], come: Sequence[Lost], mark: Callable[[Lost], Hashable]) -> list[tuple[bytes, bytes]]:
    """Pairs of those whose mark is found exactly once on each side; hard links share an inode, so that can be twice."""
    old = _singles(gone, mark)
    new = _singles(come, mark)
    return [(path, new[key]) for key, path in old.items() if key in new]


def _singles(files: Iterable[Lost], mark: Callable[[Lost], Hashable]) -> dict[Hashable, bytes]:
    found: dict[Hashable, bytes] = {}
    twice: set[Hashable] = set()
    for file in files:
        key = mark(file)
        if key in found:
            twice.add(key)
        else:
            found[key] = file[0]
    for key in twice:
        del found[key]
    return found
