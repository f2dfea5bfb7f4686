"""What every place that holds bytes must offer.

Owns: the Store contract, Stat, Source and Traits.
Must not know: sites, tasks, the index, retries, or any one provider.

An adapter translates and does nothing else: no retry, no sleep, no progress, no index. It raises the classes of
`errors`, chained to what the provider said: NotFound, Unreadable, PathRefused, TargetFull, SiteUnreachable,
SourceChanged (from a Source), DigestMismatch.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from everysite.model.path import Name

Session = bytes
"""An adapter's own word for where an interrupted write stood (upload id, offset); opaque to everybody else."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a caller may rely on."""

    resumes: bool = False  # write() goes on from the session it gave out
    renames: bool = False  # move() costs no bytes
    bundles: bool = False  # write_many() beats one write() after another
    local_root: Path | None = None  # the same machine may reflink, or hand the folder to rsync
    streams: int = 4  # parallel calls it serves well


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store says of one name. `size` bytes, `mtime_ns` since 1970, `mode` permission bits.

    `digest` is the BLAKE3 hex of the bytes just written (write, write_many) or None where it is not known for free.
    """

    name: Name
    size: int
    mtime_ns: int
    mode: int = 0o644
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes to write, and what must be known before the first of them.

    `digest`: BLAKE3 hex the bytes must have, or None when nobody knows it yet. `open(offset)` streams from that byte
    on; it raises SourceChanged when the source is not what it was when this Source was made.
    """

    size: int
    mtime_ns: int
    mode: int
    digest: str | None
    open: Callable[[int], AsyncIterator[bytes]]


async def forget(session: Session) -> None:
    """The default for `on_session`: nobody will come back for it."""


async def allow(names: Collection[Name]) -> Collection[Name]:
    """The default for `may_publish`: every staged name may take its place."""
    return names


MayPublish = Callable[[Collection[Name]], Awaitable[Collection[Name]]]
"""Asked once, when the bytes of these names are safely staged and before any of them becomes visible. Names not in
the answer are dropped. This is where a worker shows its lease."""


class Store(Protocol):
    """Bytes by name. Names are relative, '/'-separated and never lead outside."""

    @property
    def traits(self) -> Traits: ...

    async def probe(self) -> None:
        """Return when the store is reachable, allowed and has room; raise SiteUnreachable or Forbidden saying why not."""

    async def stat(self, name: Name) -> Stat:
        """Raises NotFound."""

    def list(self, prefix: Name | None = None) -> AsyncIterator[Sequence[Stat]]:
        """Pages of the files below a folder (None: all), each page sorted by name bytes, never one entry at a time."""

    def read(self, name: Name, offset: int = 0) -> AsyncIterator[bytes]:
        """Pieces from `offset` on. An offset at or beyond the end gives nothing. Raises NotFound at the first piece."""

    async def write(
        self,
        name: Name,
        source: Source,
        session: Session | None = None,
        on_session: Callable[[Session], Awaitable[None]] = forget,
        may_publish: MayPublish = allow,
    ) -> Stat:
        """A reader sees the old bytes or the new ones, never a mixture. `session` is the adapter's own word for
        where it stood; the caller keeps it and hands it back after a crash. Raises DigestMismatch when the bytes are
        not those announced, StaleLease when may_publish refuses the name; nothing has changed then."""

    async def write_many(
        self, files: AsyncIterable[tuple[Name, Source]], may_publish: MayPublish = allow
    ) -> Sequence[Stat | Exception]:
        """Many small files, durable together before the first becomes visible. One answer a file, in order: its Stat, or
        the error that concerns this file alone (StaleLease when may_publish dropped it). Raises only for the store as a
        whole, and only while nothing is known to be durable: a SiteUnreachable among the answers says that the source's site, or
        this store after a part was done, went away. An adapter may ask may_publish once for each batch it makes."""

    async def copy(self, name: Name, to: Name) -> Stat:
        """The same bytes, times and mode under another name, which is replaced. Raises NotFound."""

    async def move(self, name: Name, to: Name) -> Stat:
        """The file under another name, which is replaced, and not under its old one. Raises NotFound."""

    async def delete(self, names: Sequence[Name]) -> None:
        """Deleting what is already gone is success."""
