"""What a copy of a tree is asked for, and the values its parts hand to each other.

Owns: Options, Job, Done, and the events a copy tells while it runs.
Must not know: how any of it is carried out or shown.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from typing import NamedTuple

from everysite.observe.folder import Entry, Folder, Skip
from everysite.transfer.manifest import NO_STAMP, Held, Stamp

MISSING, TRUSTED, UNKNOWN_STATE = 0, 1, 2
"""What is known of a target folder: it is not there; it is as the manifest says; it has to be read."""


class Options(NamedTuple):
    """How to copy. The defaults are those of `everysite copy`."""

    delete: bool = False  # remove at the target what the source does not have
    dry_run: bool = False
    check: bool = False  # read the target's folders too instead of trusting the manifest
    read_back: bool = False  # read every written file again and compare
    bytes_per_second: int = 0  # 0: as fast as it goes
    processes: int = 2
    skip: Skip | None = None


class Job(NamedTuple):
    """One folder to bring up to date."""

    folder: Folder  # with its entries
    held: Held | None
    target: int  # MISSING, TRUSTED or UNKNOWN_STATE
    staged: bool = False  # build it under a staged name and rename it as a whole
    leaf: bool = True  # nothing will happen below it, so it can be finished at once
    names: frozenset[bytes] | None = None  # only these entries; None: all
    moved: Mapping[bytes, bytes] = {}  # digests of files that were renamed to here


class Done(NamedTuple):
    """What came of a job."""

    path: bytes
    packed: bytes  # the entries that are at the target now
    digests: bytes
    stamp: Stamp = NO_STAMP
    extra: list[bytes] = []  # names at the target that the source does not have
    copied: int = 0
    size: int = 0  # bytes copied
    files: int = 0
    bytes: int = 0  # of all files, copied or not


PROGRESS, DONE, FAILED, NOTE, WOULD, FATAL, END, TOTAL = range(8)
"""Kinds of events: (PROGRESS, files, bytes) seen by a worker since its last one, (DONE, *Done), (FAILED, path, reason),
(NOTE, path, text), (WOULD, action, path), (FATAL, class name, message), (END,), and (TOTAL, files, bytes) that PROGRESS
will add up to."""

Event = tuple[object, ...]
Tell = Callable[[Event], None]

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
"""Only root may give files away, so only root keeps owners."""


def kept_mode(entry: Entry) -> int:
    """The permission bits the copy gets: without its owner, a set-id file would gain the rights of another."""
    bits = stat.S_IMODE(entry.mode)
    return bits if ROOT else bits & 0o1777


def join(above: bytes, name: bytes) -> bytes:
    """A path below another; either may be empty."""
    return above + b"/" + name if above and name else above or name
