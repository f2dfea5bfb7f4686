"""Replicas: what one site's copy of one file is, as last settled.

Owns: Replica and the state a person sees. Must not know: how a state key is spelled on the wire.
"""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["current", "outdated", "missing", "in progress", "failed", "conflict"]


class Replica(msgspec.Struct, frozen=True):
    """One narrow row. Times are ms since 1970, 0 = never. `element` and `site` are index numbers."""

    element: int
    site: int
    gen: int = 0  # the gen this copy has; 0: none of ours
    synced: int = 0
    syncing: int = 0
    error: int = 0  # rsync's exit code of the last failure
    error_text: str = ""
    attempted: int = 0  # last failure
    tries: int = 0
    modified: int = 0  # a change was seen there that is not the origin's: a conflict
    deleted: int = 0  # it was seen to be gone there
    seen: bytes = b""  # BLAKE3 of what was last known to lie there; with `modified` set, of what is in conflict
    at: str = ""  # the copy still lies under this older path (a rename is on its way)
    change: int = 0


def state(replica: Replica | None, gen: int) -> State:
    """What to show for a copy of a file whose newest content is `gen`. First match wins."""
    if replica is None:
        return "missing"
    if replica.modified:
        return "conflict"
    if replica.syncing:
        return "in progress"
    if replica.error and replica.attempted >= replica.synced:
        return "failed"
    if not replica.synced or replica.deleted:
        return "missing"
    return "current" if replica.gen >= gen else "outdated"
