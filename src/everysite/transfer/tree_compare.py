"""Which entries of a folder have to be copied, by what is known of both sides.

Owns: the comparison of one folder. Must not know: how anything is read or written.

The rule is rsync's: same size and same mtime is the same file. The manifest adds one case: where it says that the
source's ctime or inode moved while size and mtime stayed, the bytes are hashed before they are believed.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from everysite.observe.folder import Entry
from everysite.transfer.manifest import UNKNOWN
from everysite.transfer.tree_job import ROOT, kept_mode


class Choice(NamedTuple):
    """What to do with the entries of one folder. Every source entry is in exactly one of the first six."""

    same: list[tuple[Entry, bytes]]  # with their digests, UNKNOWN where nobody ever read them
    adjust: list[tuple[Entry, bytes]]  # bytes are right, mode or owner are not
    hash: list[tuple[Entry, bytes]]  # to be copied unless the source still has this digest
    copy: list[Entry]
    links: list[Entry]  # symbolic links whose text has to be looked at
    specials: list[Entry]  # never copied
    extra: list[bytes]  # at the target only


def compare(
    source: Iterable[Entry], target: Mapping[bytes, Entry], held: Mapping[bytes, tuple[Entry, bytes]]
) -> Choice:
    """Compare what the source has with what the target has and with what the last run remembered."""
    choice = Choice([], [], [], [], [], [], [])
    if not target and not held:  # a new folder: nothing to compare with
        for entry in source:
            kind = entry.mode & 0o170000
            if kind == stat.S_IFREG:
                choice.copy.append(entry)
            elif kind == stat.S_IFDIR:
                choice.same.append((entry, UNKNOWN))
            else:
                (choice.links if kind == stat.S_IFLNK else choice.specials).append(entry)
        return choice
    names = set()
    for entry in source:
        names.add(entry.name)
        known = held.get(entry.name)
        there = target.get(entry.name)
        kind = stat.S_IFMT(entry.mode)
        if kind == stat.S_IFDIR:
            choice.same.append((entry, UNKNOWN))
        elif kind == stat.S_IFREG:
            _regular(choice, entry, there, known)
        elif kind == stat.S_IFLNK:
            if there is not None and known is not None and known[0] == entry and _same_times(entry, there):
                choice.same.append((entry, UNKNOWN))
            else:
                choice.links.append(entry)
        else:
            choice.specials.append(entry)
    choice.extra.extend(name for name in target if name not in names)
    return choice


def _regular(choice: Choice, entry: Entry, there: Entry | None, known: tuple[Entry, bytes] | None) -> None:
    if there is None or not _same_times(entry, there):
        choice.copy.append(entry)
        return
    digest = known[1] if known is not None and _same_times(entry, known[0]) else UNKNOWN
    if known is not None and digest != UNKNOWN and (known[0].ctime_ns, known[0].inode) != (entry.ctime_ns, entry.inode):
        choice.hash.append((entry, digest))
    elif stat.S_IMODE(there.mode) != kept_mode(entry) or (ROOT and there.owner != entry.owner):
        choice.adjust.append((entry, digest))
    else:
        choice.same.append((entry, digest))


def _same_times(one: Entry, other: Entry) -> bool:
    return (
        one.size == other.size and one.mtime_ns == other.mtime_ns and stat.S_IFMT(one.mode) == stat.S_IFMT(other.mode)
    )
