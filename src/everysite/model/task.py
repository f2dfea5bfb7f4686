"""Tasks: the desired state of one path in one mapping, and leases on the work.

Owns: Wish, Task, Lease, Holding and the names of task states. Must not know: how work is done or stored.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from everysite.model.element import Content

Kind = Literal["present", "absent", "inspect", "move"]
"""present: have this content under this path. absent: have nothing there. inspect: look what is there and say so.
move: rename the folder `source` to `path` (both end with '/'); one row, overlapping work waits for it by `seq`."""


class Wish(msgspec.Struct, frozen=True):
    """What one path of one mapping shall be. A newer wish for the same path takes the older one's place.

    `source`: the same content (or an older state of it) lies here under this path and is to be renamed first.
    `replaces`: a copy with this digest, found in conflict, may be overwritten.
    `run_at` is ms since 1970; higher `priority` goes first.
    """

    mapping: int
    path: str
    kind: Kind
    element: int = 0
    gen: int = 0
    content: Content | None = None
    source: str = ""
    replaces: bytes = b""
    priority: int = 0
    run_at: int = 0


class Task(msgspec.Struct, frozen=True):
    """A wish as the index keeps it. `lease` 0: nobody works on it. `claimed` is the gen the holder took."""

    mapping: int
    path: str
    kind: Kind
    element: int
    gen: int
    content: Content | None
    source: str
    replaces: bytes
    priority: int
    run_at: int
    seq: int
    tries: int = 0
    lease: int = 0
    claimed: int = 0
    error: int = 0
    error_text: str = ""


class Lease(msgspec.Struct, frozen=True):
    """A claim on up to 1,000 tasks, opened at `since`, that expires at `until` (ms since 1970) unless renewed."""

    id: int
    mapping: int
    epoch: int
    until: int
    since: int = 0


class Holding(msgspec.Struct, frozen=True):
    """A whole mapping leased to one agent process. Every new holder gets a higher `epoch`; older ones are refused."""

    mapping: int
    holder: str
    epoch: int
    until: int
