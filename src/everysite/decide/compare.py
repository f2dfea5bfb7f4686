"""A folder as remembered against the folder as it is.

Owns: the merge-join of two sorted listings.
Must not know: how folders are read, digests are computed, or what a difference leads to.

This runs over hundreds of thousands of entries in every scan: one loop, tuples, no objects of our own.
"""

from __future__ import annotations

from collections.abc import Sequence
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
