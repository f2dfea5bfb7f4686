"""What a store really holds: states of many names, digests, reading back what was written.

Owns: `states_of`, `digest_of`, `read_back`. Must not know: what happens to a copy that is wrong.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence

from blake3 import blake3

from everysite.disk.folders import Root
from everysite.disk.reading import hash_file, peek
from everysite.disk.threads import in_thread
from everysite.errors import Conflict, DigestMismatch, NotFound
from everysite.model.path import Name, to_text
from everysite.stores.contract import Stat, Store


async def states_of(store: Store, names: Sequence[Name]) -> dict[Name, Stat | None]:
    """What is there under each name, or None. A local folder is asked in one thread hop, others `streams` at a time."""
    local = store.traits.local_root
    if local is not None:
        return await in_thread(_local_states, os.fsencode(local), names)
    turns = asyncio.Semaphore(max(1, store.traits.streams))

    async def one(name: Name) -> Stat | None:
        async with turns:
            try:
                return await store.stat(name)
            except NotFound:
                return None

    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def _local_states(root: bytes, names: Sequence[Name]) -> dict[Name, Stat | None]:
    states: dict[Name, Stat | None] = {}
    with Root(root) as opened:
        for name in names:
            try:
                found = peek(*opened.split(name))
            except (NotFound, Conflict):
                found = None
            states[name] = None
            if found is not None and stat.S_ISREG(found.st_mode):
                states[name] = Stat(name, found.st_size, found.st_mtime_ns, stat.S_IMODE(found.st_mode))
    return states


async def digest_of(store: Store, name: Name, from_disk: bool = False) -> bytes:
    """BLAKE3 of what a store holds; `from_disk` drops the cached pages of a local file first, where the system can."""
    local = store.traits.local_root
    if local is not None:
        return await in_thread(_local_digest, os.fsencode(local), name, from_disk)
    hasher = blake3()
    async for piece in store.read(name):
        hasher.update(piece)
    return hasher.digest()


async def read_back(store: Store, name: Name, digest: bytes) -> None:
    """Read a file again, from the disk itself where possible. Raises DigestMismatch, NotFound ..."""
    if await digest_of(store, name, from_disk=True) != digest:
        raise DigestMismatch(f"{to_text(name)}: reading it back gave other bytes than were written; check the disk")


def _local_digest(root: bytes, name: Name, from_disk: bool) -> bytes:
    with Root(root) as opened:
        return hash_file(opened, name, from_disk)[0]
