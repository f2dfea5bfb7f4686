"""The Store contract, held against every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3
from tests.stores.adapters import ADAPTERS, list_all, read_all, source_of, stream

from everysite.errors import DigestMismatch, NotFound, PathRefused, SiteUnreachable, SourceChanged, StaleLease
from everysite.model.path import Name
from everysite.stores.contract import Session, Source, Stat, Store
from everysite.stores.wrappers import Cut

pytestmark = pytest.mark.anyio

A, B = Name(b"a"), Name(b"dir/b")
ODD = [
    Name(n)
    for n in (
        b"new\nline",
        b"\xff\xfe not utf-8",
        b"x" * 255,
        b" spaces  ",
        b"Case",
        b"case",
        b"CASE/file",
        b"-rf",
        b"q\"'$`\\*?",
        b"/".join([b"deep"] * 100),
        "\u00e9/e\u0301\uef80".encode(),
        b".everysite-but-no-stage",
    )
]


@pytest.fixture(params=ADAPTERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return ADAPTERS[request.param](tmp_path)


class Kept:
    """A caller that keeps the sessions it is told."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []

    async def __call__(self, session: Session) -> None:
        self.sessions.append(session)


async def refuse(names: Collection[Name]) -> Collection[Name]:
    return []


def broken(source: Source, at: int, error: Callable[[], Exception]) -> Source:
    """A source that fails when this many bytes were read."""

    async def pieces(offset: int) -> AsyncIterator[bytes]:
        left = at - offset
        async for piece in source.open(offset):
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                raise error()

    return replace(source, open=pieces)


async def test_what_was_written_is_there_whole(store: Store) -> None:
    data = bytes(range(256)) * 4000
    stat = await store.write(B, source_of(data, mtime_ns=1_234_567_890_123_456_789, mode=0o640))
    assert stat == Stat(B, len(data), 1_234_567_890_123_456_789, 0o640, blake3(data).hexdigest())
    assert replace(await store.stat(B), digest=None) == replace(stat, digest=None)
    assert await read_all(store, B) == data
    assert await read_all(store, B, 1000) == data[1000:]
    assert await read_all(store, B, len(data)) == await read_all(store, B, len(data) + 5) == b""


async def test_an_empty_file_is_a_file(store: Store) -> None:
    assert (await store.write(A, source_of(b""))).size == 0
    assert await read_all(store, A) == b"" and [s.name for s in await list_all(store)] == [A]


async def test_overwrite_replaces_bytes_times_and_mode(store: Store) -> None:
    await store.write(A, source_of(b"old and longer", mtime_ns=5, mode=0o600))
    await store.write(A, source_of(b"new", mtime_ns=7, mode=0o755))
    stat = await store.stat(A)
    assert (await read_all(store, A), stat.mtime_ns, stat.mode) == (b"new", 7, 0o755)


async def test_what_is_not_there(store: Store) -> None:
    for name in (A, Name(b"no/such/folder/file")):
        with pytest.raises(NotFound):
            await store.stat(name)
        with pytest.raises(NotFound):
            await read_all(store, name)
        with pytest.raises(NotFound):
            await store.copy(name, B)
        with pytest.raises(NotFound):
            await store.move(name, B)
        await store.delete([name])
    assert await list_all(store) == []


@pytest.mark.parametrize(
    "raw",
    [b"../x", b"/x", b"a/../../x", b"", b".", b"..", b"a//x", b"a/", b"a\0x", b".everysite-0123456789abcdef.part"],
)
async def test_names_that_lead_outside_are_refused_by_every_verb(store: Store, raw: bytes, tmp_path: Path) -> None:
    bad = Name(raw)
    await store.write(A, source_of(b"1"))
    with pytest.raises(PathRefused):
        await store.stat(bad)
    with pytest.raises(PathRefused):
        await read_all(store, bad)
    with pytest.raises(PathRefused):
        await store.write(bad, source_of(b"1"))
    with pytest.raises(PathRefused):
        await store.copy(A, bad)
    with pytest.raises(PathRefused):
        await store.move(A, bad)
    with pytest.raises(PathRefused):
        await store.delete([bad])
    first, second = await store.write_many(stream([(bad, source_of(b"1")), (B, source_of(b"2"))]))
    assert isinstance(first, PathRefused) and isinstance(second, Stat)
    assert [s.name for s in await list_all(store)] == [A, B]
    assert not (tmp_path.parent / "x").exists()


async def test_names_are_bytes(store: Store) -> None:
    answers = await store.write_many(stream([(name, source_of(b"1" + name)) for name in ODD]))
    assert [a.name if isinstance(a, Stat) else a for a in answers] == ODD
    assert [s.name for s in await list_all(store)] == sorted(ODD)
    for name in ODD:
        assert await read_all(store, name) == b"1" + name
        await store.write(name, source_of(b"2" + name))
    assert {await read_all(store, name) for name in ODD} == {b"2" + name for name in ODD}


async def test_list_gives_sorted_pages_below_a_folder(store: Store) -> None:
    names = [Name(b"f/%04d" % i) for i in range(2100)] + [Name(n) for n in (b"f.txt", b"f-/x", b"g/h/i", b"f0")]
    await store.write_many(stream([(name, source_of(b"")) for name in names]))
    pages = [page async for page in store.list()]
    assert len(pages) == 3 and [s.name for page in pages for s in page] == sorted(names)
    assert [s.name for s in await list_all(store, Name(b"f"))] == sorted(n for n in names if n.startswith(b"f/"))
    assert [s.name for s in await list_all(store, Name(b"g"))] == [b"g/h/i"]
    assert await list_all(store, Name(b"none")) == []


async def test_wrong_bytes_are_never_published(store: Store) -> None:
    await store.write(A, source_of(b"old"))
    wrong = replace(source_of(b"new"), digest="0" * 64)
    for bad in (wrong, replace(source_of(b"new"), size=4), replace(source_of(b"new"), size=2)):
        with pytest.raises(DigestMismatch):
            await store.write(A, bad)
        answers = await store.write_many(stream([(A, bad), (B, source_of(b"b"))]))
        assert isinstance(answers[0], DigestMismatch) and isinstance(answers[1], Stat)
    assert await read_all(store, A) == b"old"
    assert [s.name for s in await list_all(store)] == [A, B]


async def test_bytes_nobody_knows_the_digest_of_get_one(store: Store) -> None:
    stat = await store.write(A, replace(source_of(b"new"), digest=None))
    assert stat.digest == blake3(b"new").hexdigest()


async def test_a_source_that_changed_is_not_published(store: Store) -> None:
    await store.write(A, source_of(b"old"))
    bad = broken(source_of(b"x" * 100, piece=10), 50, lambda: SourceChanged("it changed"))
    kept = Kept()
    with pytest.raises(SourceChanged):
        await store.write(A, bad, None, kept)
    answers = await store.write_many(stream([(A, bad), (B, source_of(b"b"))]))
    assert isinstance(answers[0], SourceChanged) and isinstance(answers[1], Stat)
    assert await read_all(store, A) == b"old" and kept.sessions == []


async def test_nothing_changes_when_the_lease_is_gone(store: Store) -> None:
    await store.write(A, source_of(b"old"))
    with pytest.raises(StaleLease):
        await store.write(A, source_of(b"new"), may_publish=refuse)
    answers = await store.write_many(stream([(A, source_of(b"new")), (B, source_of(b"b"))]), refuse)
    assert [type(a) for a in answers] == [StaleLease, StaleLease]
    assert await read_all(store, A) == b"old" and [s.name for s in await list_all(store)] == [A]


async def test_only_the_names_allowed_are_published(store: Store) -> None:
    async def only_b(names: Collection[Name]) -> Collection[Name]:
        return [name for name in names if name == B]

    answers = await store.write_many(stream([(A, source_of(b"a")), (B, source_of(b"b"))]), only_b)
    assert isinstance(answers[0], StaleLease) and isinstance(answers[1], Stat)
    assert [s.name for s in await list_all(store)] == [B]


async def test_bytes_are_invisible_until_the_lease_is_shown(store: Store) -> None:
    await store.write(A, source_of(b"old"))

    async def look(names: Collection[Name]) -> Collection[Name]:
        assert await read_all(store, A) == b"old" and [s.name for s in await list_all(store)] == [A]
        return names

    await store.write(A, source_of(b"new"), may_publish=look)
    assert await read_all(store, A) == b"new"


async def test_write_many_takes_what_write_takes(store: Store) -> None:
    large = bytes(9 << 20)
    files = [(Name(b"m/%d" % i), source_of(b"%d" % i, mode=0o600)) for i in range(1500)]
    files += [(A, source_of(large)), (B, source_of(b"first")), (B, source_of(b"second"))]
    answers = await store.write_many(stream(files))
    assert [a.name if isinstance(a, Stat) else a for a in answers] == [name for name, _ in files]
    assert await read_all(store, A) == large and await read_all(store, B) == b"second"
    assert len(await list_all(store)) == 1502
    assert await store.write_many(stream([])) == []


async def test_copy_and_move_keep_everything_and_replace(store: Store) -> None:
    await store.write(A, source_of(b"bytes", mtime_ns=99, mode=0o600))
    await store.write(B, source_of(b"in the way"))
    copied = await store.copy(A, B)
    assert (copied.name, copied.size, copied.mtime_ns, copied.mode) == (B, 5, 99, 0o600)
    moved = await store.move(A, Name(b"new/place"))
    assert (moved.name, moved.size, moved.mtime_ns, moved.mode) == (b"new/place", 5, 99, 0o600)
    assert [s.name for s in await list_all(store)] == [B, b"new/place"]
    await store.copy(B, B)
    await store.move(B, B)
    assert await read_all(store, B) == await read_all(store, Name(b"new/place")) == b"bytes"


async def test_delete_is_content_with_what_is_gone(store: Store) -> None:
    await store.write_many(stream([(A, source_of(b"")), (B, source_of(b""))]))
    await store.delete([A, Name(b"never"), B, A])
    assert await list_all(store) == []


async def test_a_cut_line_leaves_the_old_bytes_and_nothing_else(store: Store) -> None:
    await store.write(A, source_of(b"old"))
    with pytest.raises(SiteUnreachable):
        await Cut(store, after=70_000).write(A, source_of(bytes(200_000)))
    assert await read_all(store, A) == b"old" and [s.name for s in await list_all(store)] == [A]


async def test_a_write_goes_on_where_the_line_was_cut(store: Store) -> None:
    assert store.traits.resumes
    data = bytes(range(256)) * 1000
    cut, kept, asked = Cut(store, after=100_000), Kept(), list[int]()
    with pytest.raises(SiteUnreachable):
        await cut.write(A, source_of(data), None, kept)
    assert await list_all(store) == []
    plain = source_of(data)

    def noting(offset: int) -> AsyncIterator[bytes]:
        asked.append(offset)
        return plain.open(offset)

    stat = await store.write(A, replace(plain, open=noting), kept.sessions[-1], kept)
    assert asked == [100_000] and await read_all(store, A) == data and stat.digest == plain.digest


async def test_a_session_of_other_bytes_starts_again(store: Store) -> None:
    kept = Kept()
    with pytest.raises(SiteUnreachable):
        await Cut(store, after=10).write(A, source_of(b"x" * 100), None, kept)
    other = source_of(b"y" * 100)
    await store.write(A, other, kept.sessions[-1], kept)
    assert await read_all(store, A) == b"y" * 100
    for nonsense in (b"", b"\xff\x00", b"../../etc/passwd"):
        await store.write(B, other, nonsense, kept)
    assert await read_all(store, B) == b"y" * 100


async def test_a_cancelled_write_goes_on_later(store: Store) -> None:
    started, kept, data = asyncio.Event(), Kept(), b"0123456789" * 10

    async def slow(offset: int) -> AsyncIterator[bytes]:
        yield data[offset:50]
        started.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(store.write(A, replace(source_of(data), open=slow), None, kept))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await list_all(store) == [] and len(kept.sessions) == 1
    await store.write(A, source_of(data), kept.sessions[0])
    assert await read_all(store, A) == data


async def test_a_reader_never_sees_a_mixture(store: Store) -> None:
    done = False
    versions = [bytes([i]) * 300_000 for i in range(30)]
    await store.write(A, source_of(versions[0]))

    async def poll() -> int:
        seen = 0
        while not done:
            data = await read_all(store, A)
            assert len(data) == 300_000 and len(set(data)) == 1
            seen += 1
            await asyncio.sleep(0)
        return seen

    reader = asyncio.create_task(poll())
    await asyncio.sleep(0)
    for version in versions:
        await store.write(A, source_of(version))
        await store.write_many(stream([(A, source_of(version))]))
    done = True
    assert await reader > 0


async def test_probe_of_a_store_in_order_returns(store: Store) -> None:
    await store.probe()
    assert await list_all(store) == []
