"""One file from any store to any other: streamed, verified, resumable.

Owns: copy_file, and Source made of a store's file. Must not know: bundles, retries, tasks, who keeps the session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from everysite.errors import DigestMismatch, SourceChanged
from everysite.model.path import Name, to_text
from everysite.stores.contract import MayPublish, Session, Source, Stat, Store, allow, forget
from everysite.transfer.piece import Piece
from everysite.transfer.verify import read_back as compare

Progress = Callable[[int], None]


def ignore(done: int) -> None:
    """The default for `progress`."""


async def copy_file(
    source: Store,
    target: Store,
    piece: Piece,
    session: Session | None = None,
    on_session: Callable[[Session], Awaitable[None]] = forget,
    may_publish: MayPublish = allow,
    progress: Progress = ignore,
    read_back: bool = False,
) -> Stat:
    """Bring `piece` to the target, whatever is there. `progress` hears the bytes done so far, those of a session included.

    A cut line or a cancellation leaves a session with `on_session`; hand the last one back to go on. Raises
    SourceChanged (nothing was published), DigestMismatch, StaleLease, and what the stores raise.
    """
    try:
        stat = await target.write(piece.name, source_of(source, piece, progress), session, on_session, may_publish)
    except DigestMismatch as err:
        if await _changed(source, piece):
            raise _is_changed(piece.origin) from err
        raise
    if read_back:
        assert stat.digest is not None, "write() tells the digest of what it wrote"
        await compare(target, piece.name, bytes.fromhex(stat.digest))
    return stat


def source_of(store: Store, piece: Piece, progress: Progress = ignore) -> Source:
    """The bytes of `piece` as its source store holds them.

    With a digest the bytes prove themselves; without one the source is looked at before and after.
    """

    async def pieces(offset: int) -> AsyncIterator[bytes]:
        if piece.digest is None and await _changed(store, piece):
            raise _is_changed(piece.origin)
        done = offset
        async for data in store.read(piece.origin, offset):
            done += len(data)
            yield data
            progress(done)
        if piece.digest is None and await _changed(store, piece):
            raise _is_changed(piece.origin)

    digest = None if piece.digest is None else piece.digest.hex()
    return Source(piece.size, piece.mtime_ns, piece.mode, digest, pieces)


async def _changed(store: Store, piece: Piece) -> bool:
    found = await store.stat(piece.origin)
    return (found.size, found.mtime_ns) != (piece.size, piece.mtime_ns)


def _is_changed(name: Name) -> SourceChanged:
    return SourceChanged(f"{to_text(name)}: it is not what was announced; it is looked at again and sent later")
