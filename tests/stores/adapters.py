"""Every adapter the contract suite runs against, by name.

Owns: how each is made. A new adapter registers itself here and is held to the whole contract.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from blake3 import blake3

from everysite.disk.system import PORTABLE
from everysite.errors import Transient
from everysite.model.path import Name
from everysite.stores.contract import Source, Stat, Store
from everysite.stores.folder import FolderStore
from everysite.stores.memory import MemoryStore
from everysite.stores.wrappers import Counted, Cut, Failing, Limited, Passing, Throttled

ADAPTERS: dict[str, Callable[[Path], Store]] = {
    "folder": FolderStore,
    "folder-portable": lambda root: FolderStore(root, PORTABLE),
    "memory": lambda _: MemoryStore(),
    "passing-memory": lambda _: Passing(MemoryStore()),
    "counted-folder": lambda root: Counted(FolderStore(root)),
    "throttled-memory": lambda _: Throttled(MemoryStore(), rate=1e12),
    "limited-folder": lambda root: Limited(FolderStore(root), writes=1, others=1),
    "cut-later-folder": lambda root: Cut(FolderStore(root), after=1 << 60),
    "failing-later-memory": lambda _: Failing(MemoryStore(), 1 << 60, lambda: Transient("never")),
}

ON_DISK = [name for name in ADAPTERS if "folder" in name]


def source_of(
    data: bytes, mtime_ns: int = 1_700_000_000_123_456_789, mode: int = 0o644, piece: int = 1 << 16
) -> Source:
    """A Source that holds its bytes."""

    async def pieces(offset: int) -> AsyncIterator[bytes]:
        for start in range(offset, len(data), piece):
            yield data[start : start + piece]

    return Source(len(data), mtime_ns, mode, blake3(data).hexdigest(), pieces)


async def stream(files: Sequence[tuple[Name, Source]]) -> AsyncIterator[tuple[Name, Source]]:
    """What write_many takes."""
    for file in files:
        yield file


async def read_all(store: Store, name: Name, offset: int = 0) -> bytes:
    """The bytes from an offset on."""
    return b"".join([piece async for piece in store.read(name, offset)])


async def list_all(store: Store, prefix: Name | None = None) -> list[Stat]:
    """All pages as one list."""
    return [stat async for page in store.list(prefix) for stat in page]
