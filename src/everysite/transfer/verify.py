"""Reading back what was written.

Owns: `read_back`. Must not know: what happens to a copy that is wrong.
"""

from __future__ import annotations

import os

from blake3 import blake3

from everysite.disk.folders import Root
from everysite.disk.reading import hash_file
from everysite.disk.threads import in_thread
from everysite.errors import DigestMismatch
from everysite.model.path import Name, to_text
from everysite.stores.contract import Store


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
