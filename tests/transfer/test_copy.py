"""One file between stores: verified, resumable, never a changed source."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from blake3 import blake3
from tests.stores.adapters import list_all, read_all, source_of

from everysite.errors import DigestMismatch, NotFound, SiteUnreachable, SourceChanged
from everysite.model.path import Name
from everysite.stores.contract import Session, Stat, Store
from everysite.stores.folder import FolderStore
from everysite.stores.memory import MemoryStore
from everysite.stores.wrappers import Counted, Cut, Throttled
from everysite.transfer.copy import copy_file
from everysite.transfer.piece import Piece
from everysite.transfer.verify import digest_of, read_back

pytestmark = pytest.mark.anyio

A = Name(b"a")


@pytest.fixture(params=["memory to folder", "folder to memory", "folder to folder"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, Store]:
    def make(kind: str, name: str) -> Store:
        (tmp_path / name).mkdir()
        return FolderStore(tmp_path / name) if kind == "folder" else MemoryStore()

    source, _, target = request.param.split()
    return make(source, "source"), make(target, "target")


def piece_of(stat: Stat, digest: bytes | None, source: Name | None = None) -> Piece:
    return Piece(stat.name if source is None else A, stat.size, stat.mtime_ns, stat.mode, digest, source)


async def test_a_file_arrives_verified_with_its_times(stores: tuple[Store, Store]) -> None:
    source, target = stores
    data, heard = os.urandom(9 << 20), list[int]()
    stat = await source.write(Name(b"there/b"), source_of(data, mtime_ns=77, mode=0o640))
    piece = piece_of(stat, blake3(data).digest(), source=stat.name)
    copied = await copy_file(source, target, piece, progress=heard.append, read_back=True)
    assert (copied.name, copied.mtime_ns, copied.mode) == (A, 77, 0o640)
    assert await read_all(target, A) == data and heard[-1] == len(data) and heard == sorted(heard)
    assert await digest_of(target, A) == piece.digest


async def test_other_bytes_than_announced_are_refused(stores: tuple[Store, Store]) -> None:
    source, target = stores
    stat = await source.write(A, source_of(b"bytes"))
    with pytest.raises(DigestMismatch):
        await copy_file(source, target, piece_of(stat, b"0" * 32))
    with pytest.raises(NotFound):
        await copy_file(source, target, Piece(Name(b"none"), 1, 1, digest=b"0" * 32))
    assert await list_all(target) == []


@pytest.mark.parametrize("known", [True, False])
async def test_a_source_that_is_not_what_was_announced(stores: tuple[Store, Store], known: bool) -> None:
    source, target = stores
    stat = await source.write(A, source_of(b"bytes"))
    await source.write(A, source_of(b"other", mtime_ns=stat.mtime_ns + 1))
    with pytest.raises(SourceChanged):
        await copy_file(source, target, piece_of(stat, blake3(b"bytes").digest() if known else None))
    assert await list_all(target) == []


async def test_a_source_that_changes_while_it_is_read(stores: tuple[Store, Store]) -> None:
    source, target = stores
    stat = await source.write(A, source_of(bytes(9 << 20)))
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[Stat]]()

    def change(done: int) -> None:
        if not tasks:
            tasks.add(loop.create_task(source.write(A, source_of(b"new", mtime_ns=5))))

    slow = Throttled(source, rate=40e6)  # long enough for the other write to come through
    with pytest.raises(SourceChanged):
        await copy_file(slow, target, piece_of(stat, None), progress=change)
    await asyncio.gather(*tasks)
    assert await list_all(target) == []


async def test_it_goes_on_after_each_cut_and_sends_little_twice(stores: tuple[Store, Store]) -> None:
    source, target = stores
    data = os.urandom(9 << 20)
    stat = await source.write(A, source_of(data))
    counted = Counted(source)
    cut, sessions, cuts = Cut(counted, 3_000_000, again=True), list[Session](), 0

    async def keep(session: Session) -> None:
        sessions.append(session)

    while True:
        try:
            await copy_file(cut, target, piece_of(stat, None), sessions[-1] if sessions else None, keep)
            break
        except SiteUnreachable:
            cuts += 1
            assert cuts <= 4
    assert cuts == 3 and await read_all(target, A) == data
    assert [s.name for s in await list_all(target)] == [A]


async def test_a_cancelled_copy_goes_on(stores: tuple[Store, Store]) -> None:
    source, target = stores
    data = os.urandom(9 << 20)
    stat = await source.write(A, source_of(data))
    sessions, begun, offsets = list[Session](), asyncio.Event(), list[int]()

    async def keep(session: Session) -> None:
        sessions.append(session)

    slow = Throttled(source, rate=20e6)
    piece = piece_of(stat, blake3(data).digest())
    task = asyncio.create_task(copy_file(slow, target, piece, None, keep, progress=lambda _: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await copy_file(source, target, piece, sessions[-1], keep, progress=offsets.append)
    assert await read_all(target, A) == data and offsets[0] > 1 << 20


async def test_reading_back_finds_a_bad_disk(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    stat = await store.write(A, source_of(b"bytes"))
    await read_back(store, A, bytes.fromhex(stat.digest or ""))
    (tmp_path / "a").write_bytes(b"bytez")
    with pytest.raises(DigestMismatch, match="check the disk"):
        await read_back(store, A, bytes.fromhex(stat.digest or ""))
