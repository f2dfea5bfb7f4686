"""Many small files written together: gathered, staged and synced in one hop, renamed in another.

Owns: how big a batch is and the order of its steps on a local disk.
Must not know: where the sources read from, what the caller's lease is.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field

from blake3 import blake3

from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.system import System
from everysite.disk.threads import in_thread
from everysite.errors import EverysiteError, SiteUnreachable, StaleLease
from everysite.model.path import Name, to_text
from everysite.stores.arrival import check_bytes, to_stat
from everysite.stores.contract import MayPublish, Source, Stat, allow

FILES = 1000
BYTES = 32 << 20  # of memory a batch may hold
LARGE = 8 << 20  # from here on a file is streamed on its own


@dataclass(slots=True)
class Batch:
    """Files with their bytes or the error met while reading them; or one large file, not read yet."""

    files: list[tuple[Name, Source, bytes | EverysiteError]] = field(default_factory=list)
    size: int = 0
    large: tuple[Name, Source] | None = None

    def __len__(self) -> int:
        return 1 if self.large else len(self.files)


async def in_batches(files: AsyncIterable[tuple[Name, Source]]) -> AsyncIterator[Batch]:
    """Gather files up to the limits; a name that comes twice starts a new batch."""
    batch, names = Batch(), set[bytes]()
    async for name, source in files:
        large = source.size >= LARGE
        if batch.files and (large or name in names or len(batch.files) >= FILES or batch.size >= BYTES):
            yield batch
            batch, names = Batch(), set()
        if large:
            yield Batch(large=(name, source))
            continue
        batch.files.append((name, source, await _gather(source)))
        batch.size += source.size
        names.add(name)
    if batch.files:
        yield batch


async def _gather(source: Source) -> bytes | EverysiteError:
    try:
        data = b""
        async for piece in source.open(0):
            data = data + piece if data else piece
            if len(data) > source.size:
                break  # more than announced: it is refused below, and memory stays bounded
        return data
    except EverysiteError as err:  # also when the source's site is away: that is no fault of this store
        return err


async def land_batch(root: bytes, system: System, batch: Batch, may_publish: MayPublish) -> Sequence[Stat | Exception]:
    """Write a batch below a root. One answer a file; raises SiteUnreachable while nothing is known to be durable yet."""
    bundle = _Bundle(batch)
    try:
        await in_thread(bundle.stage, root, system)
        names = bundle.waiting
        if names and may_publish is not allow:
            names = await may_publish(names)
        await in_thread(bundle.publish, names)
    finally:
        await in_thread(bundle.close)
    return bundle.answers()


class _Bundle:
    def __init__(self, batch: Batch) -> None:
        self._files = batch.files
        self._landing: Landing | None = None
        self._digests: dict[bytes, str] = {}
        self._answers: dict[bytes, Stat | Exception] = {}

    @property
    def waiting(self) -> Collection[Name]:
        return [name for name, _, _ in self._files if name in self._digests]

    def stage(self, root: bytes, system: System) -> None:
        self._landing = Landing(Root(root, system))
        for name, source, data in self._files:
            if isinstance(data, EverysiteError):
                self._answers[name] = data
                continue
            try:
                digest = blake3(data).hexdigest()
                check_bytes(name, source, len(data), digest)
                self._landing.put(name, data, source.mtime_ns, source.mode)
                self._digests[name] = digest
            except SiteUnreachable:
                raise
            except EverysiteError as err:
                self._answers[name] = err
        self._landing.sync()

    def publish(self, allowed: Collection[Name]) -> None:
        assert self._landing is not None
        allowed = frozenset(allowed)
        for name in self.waiting:
            if name not in allowed:
                self._answers[name] = StaleLease(f"{to_text(name)}: somebody else does this by now")
                continue
            try:
                self._answers[name] = to_stat(name, self._landing.publish(name), self._digests[name])
            except SiteUnreachable as err:
                self._landing.settle()
                self._stop(err)
                return
            except EverysiteError as err:
                self._answers[name] = err
        self._landing.settle()

    def _stop(self, fault: SiteUnreachable) -> None:
        """The disk fails half-way: what is visible is said to be, the rest gets the fault."""
        if not any(isinstance(a, Stat) for a in self._answers.values()):
            raise fault
        for name in self.waiting:
            self._answers.setdefault(name, fault)

    def answers(self) -> Sequence[Stat | Exception]:
        return [self._answers[name] for name, _, _ in self._files]

    def close(self) -> None:
        if self._landing is not None:
            self._landing.close()
