"""One bundle between any two stores: the same outcomes on every way it can take."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3
from tests.stores.adapters import list_all, read_all, source_of

from everysite.disk.landing import ANY, Expected
from everysite.errors import Conflict, DigestMismatch, NotFound, SiteUnreachable, SourceChanged, StaleLease, Transient
from everysite.model.element import Content
from everysite.model.path import Name
from everysite.stores.contract import Session, Store, Traits
from everysite.stores.folder import FolderStore
from everysite.stores.memory import MemoryStore
from everysite.stores.wrappers import Counted, Cut, Failing, Passing
from everysite.transfer.bundle import move_bundle
from everysite.transfer.piece import Landed, Piece

pytestmark = pytest.mark.anyio


class OneByOne(Passing):
    """A store without bundles, as S3 is."""

    @property
    def traits(self) -> Traits:
        return replace(super().traits, bundles=False)


@pytest.fixture(params=["local", "folder to memory", "memory to folder", "memory to one by one"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, Store]:
    folders = []
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
        folders.append(FolderStore(tmp_path / name))
    ways: dict[str, tuple[Store, Store]] = {
        "local": (folders[0], folders[1]),
        "folder to memory": (folders[0], MemoryStore()),
        "memory to folder": (MemoryStore(), folders[1]),
        "memory to one by one": (MemoryStore(), OneByOne(MemoryStore())),
    }
    return ways[request.param]


async def put(
    store: Store, name: bytes, data: bytes, digest: bytes | None = b"", expected: Expected = ANY, mtime_ns: int = 10**18
) -> Piece:
    stat = await store.write(Name(name), source_of(data, mtime_ns=mtime_ns))
    known = blake3(data).digest() if digest == b"" else digest
    return Piece(stat.name, stat.size, stat.mtime_ns, stat.mode, known, expected=expected)


async def held(store: Store) -> dict[bytes, bytes]:
    return {stat.name: await read_all(store, stat.name) for stat in await list_all(store)}


async def test_small_and_large_files_arrive(stores: tuple[Store, Store]) -> None:
    source, target = stores
    files = {b"d/%03d" % i: b"%d" % i for i in range(50)} | {b"large": os.urandom(9 << 20), b"empty": b""}
    pieces = [await put(source, name, data) for name, data in files.items()]
    heard: list[int] = []
    result = await move_bundle(source, target, pieces, progress=heard.append)
    result.check()
    assert [(o.name, o.digest, o.mtime_ns, o.how) for o in result.landed] == [
        (p.name, p.digest, p.mtime_ns, "copied") for p in pieces
    ]
    assert await held(target) == files and sum(heard) == sum(map(len, files.values()))


async def test_a_source_under_another_name(stores: tuple[Store, Store]) -> None:
    source, target = stores
    await put(source, b"here", b"1")
    content = Content(1, 10**18, 0o644, blake3(b"1").digest())
    piece = Piece.of(Name(b"there"), content)
    fields = {name: getattr(piece, name) for name in Piece.__struct_fields__} | {"source": Name(b"here")}
    (await move_bundle(source, target, [Piece(**fields)])).check()
    assert await held(target) == {b"there": b"1"}


async def test_one_bad_file_stops_no_other(stores: tuple[Store, Store]) -> None:
    source, target = stores
    gone, good = await put(source, b"gone", b"x"), await put(source, b"good", b"g")
    wrong, moved = await put(source, b"wrong", b"w", b"0" * 32), await put(source, b"moved", b"m", None)
    await source.delete([gone.name])
    await put(source, b"moved", b"m", mtime_ns=5)
    result = await move_bundle(source, target, [gone, wrong, moved, good])
    kinds = [type(o) for o in result.outcomes]
    assert kinds == [NotFound, DigestMismatch, SourceChanged, Landed] and result.fault is None
    assert await held(target) == {b"good": b"g"}


async def test_targets_are_guarded(stores: tuple[Store, Store]) -> None:
    source, target = stores
    mine = await put(target, b"f", b"a person's work", mtime_ns=3)
    for expected in (None, (1, 1), (mine.size, 4)):
        for data in (b"new", bytes(9 << 20)):
            (outcome,) = (
                await move_bundle(source, target, [await put(source, b"f", data, expected=expected)])
            ).outcomes
            assert isinstance(outcome, Conflict)
    (outcome,) = (await move_bundle(source, target, [await put(source, b"g", b"new", expected=(1, 1))])).outcomes
    assert isinstance(outcome, Conflict) and await held(target) == {b"f": b"a person's work"}
    piece = await put(source, b"f", b"new", expected=(mine.size, 3))
    (await move_bundle(source, target, [piece])).check()
    (again,) = (await move_bundle(source, target, [piece])).outcomes
    assert isinstance(again, Landed) and again.how == "there" and await held(target) == {b"f": b"new"}


async def test_a_conflict_that_may_be_replaced_is(stores: tuple[Store, Store]) -> None:
    source, target = stores
    await put(target, b"f", b"theirs", mtime_ns=3)
    plain = await put(source, b"f", b"ours", expected=None)
    fields = {name: getattr(plain, name) for name in Piece.__struct_fields__}
    piece = Piece(**(fields | {"replaces": blake3(b"theirs").digest()}))
    (outcome,) = (await move_bundle(source, target, [piece])).outcomes
    assert isinstance(outcome, Landed) and await held(target) == {b"f": b"ours"}


async def test_moves_are_made_at_the_target(stores: tuple[Store, Store]) -> None:
    source, target = stores
    same, older = await put(target, b"same", b"1"), await put(target, b"older", b"2", mtime_ns=3)
    new = await put(source, b"new/older", b"22")
    digest = blake3(b"1").digest()
    moved = Piece(Name(b"new/same"), 1, same.mtime_ns, 0o644, digest, expected=None, moved_from=same.name)
    fields = {name: getattr(new, name) for name in Piece.__struct_fields__}
    changed = Piece(**(fields | {"moved_from": older.name, "moved_state": (1, 3)}))
    result = await move_bundle(source, target, [moved, changed])
    assert [o.how for o in result.landed] == ["renamed", "copied"]
    assert await held(target) == {b"new/same": b"1", b"new/older": b"22"}


async def test_a_stale_lease_publishes_nothing(stores: tuple[Store, Store]) -> None:
    source, target = stores
    await put(target, b"old", b"1")

    async def only_c(names: Collection[Name]) -> Collection[Name]:
        return [name for name in names if name == b"c"]

    pieces = [await put(source, b"b", b"2"), await put(source, b"c", b"3"), await put(source, b"d", bytes(9 << 20))]
    pieces.append(Piece(Name(b"e"), 1, 10**18, digest=blake3(b"1").digest(), moved_from=Name(b"old")))
    result = await move_bundle(source, target, pieces, only_c)
    assert [type(o) for o in result.outcomes] == [StaleLease, Landed, StaleLease, StaleLease]
    assert await held(target) == {b"old": b"1", b"c": b"3"}


async def test_no_lease_answer_publishes_nothing(stores: tuple[Store, Store]) -> None:
    source, target = stores

    async def away(names: Collection[Name]) -> Collection[Name]:
        raise Transient("the tracker is away")

    for data in (b"2", bytes(9 << 20)):
        result = await move_bundle(source, target, [await put(source, b"b", data)], away)
        assert result.outcomes == [None] and type(result.fault) is Transient
        assert await held(target) == {}


async def test_a_cut_line_ends_the_bundle_and_keeps_what_landed() -> None:
    source, target = MemoryStore(), MemoryStore()
    pieces = [await put(source, b"%02d" % i, b"x" * 100) for i in range(20)]
    counted = Counted(source)
    result = await move_bundle(Cut(counted, 950), target, pieces)
    assert isinstance(result.fault, SiteUnreachable) and counted.calls["read"] == 10
    assert [type(o) for o in result.outcomes] == [Landed] * 9 + [type(None)] * 11
    assert len(await held(target)) == 9
    again = await move_bundle(source, target, pieces)
    assert len(again.landed) == 20 and again.fault is None


async def test_large_files_go_on_from_the_sessions_of_the_caller(tmp_path: Path) -> None:
    source, target = MemoryStore(), FolderStore(tmp_path)
    pieces = [await put(source, b"large%d" % i, os.urandom(9 << 20)) for i in range(2)]
    counted, sessions, runs = Counted(source), dict[Name, Session](), 0
    cut = Cut(counted, 7_000_000, again=True)
    while pieces:
        result = await move_bundle(cut, target, pieces, sessions=sessions)
        pieces = [p for p, outcome in zip(pieces, result.outcomes, strict=True) if outcome is None]
        runs += 1
        assert runs < 10
    assert len(await held(target)) == 2 and sessions == {}
    assert runs > 1 and counted.bytes_read < 1.5 * (18 << 20)


async def test_a_failing_target_is_site_trouble() -> None:
    source = MemoryStore()
    pieces = [await put(source, b"a", b"1"), await put(source, b"b", b"2")]
    target = Failing(MemoryStore(), 1, lambda: SiteUnreachable("away"))
    result = await move_bundle(source, target, pieces)
    assert result.outcomes == [None, None] and isinstance(result.fault, SiteUnreachable)


async def test_a_full_target_is_told_apart(tmp_path: Path) -> None:
    source, target = FolderStore(tmp_path), MemoryStore(capacity=1000)
    pieces = [await put(source, b"%d" % i, b"x" * 400) for i in range(5)]
    result = await move_bundle(source, target, pieces)
    assert result.fault is not None and result.fault.code == "target-full"
    assert len(result.landed) == len(await held(target)) == 2
