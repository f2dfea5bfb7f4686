"""What only a folder on a disk can get wrong: links, full and denied disks, stages left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.small_disk import mounted
from tests.stores.adapters import list_all, read_all, source_of, stream

from everysite.disk.stages import is_stage
from everysite.disk.system import HERE, PORTABLE, System
from everysite.errors import (
    Conflict,
    DigestMismatch,
    EverysiteError,
    NotFound,
    PathRefused,
    SiteUnreachable,
    SourceChanged,
    StaleLease,
    TargetFull,
    Unreadable,
)
from everysite.model.path import Name
from everysite.stores.contract import Session, Stat
from everysite.stores.folder import FolderStore
from everysite.stores.wrappers import Cut

pytestmark = pytest.mark.anyio

A, B = Name(b"a"), Name(b"dir/b")


@pytest.fixture(params=[HERE, PORTABLE], ids=["here", "portable"])
def system(request: pytest.FixtureRequest) -> System:
    chosen: System = request.param
    return chosen


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "small") as disk:
        yield disk


def stages(root: Path) -> list[str]:
    return [name for _, _, names in os.walk(root) for name in names if is_stage(os.fsencode(name))]


async def test_links_lead_nowhere(tmp_path: Path, system: System) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_bytes(b"s")
    (root / "door").symlink_to(outside)
    (root / "leaf").symlink_to(outside / "secret")
    (root / "self").symlink_to("self")
    store, through, leaf = FolderStore(root, system), Name(b"door/secret"), Name(b"leaf")
    await store.write(A, source_of(b"1"))
    for attempt in (
        store.stat(through),
        read_all(store, through),
        store.write(through, source_of(b"x")),
        store.copy(A, through),
        store.copy(through, B),
        store.move(A, through),
        store.move(through, B),
        store.delete([through]),
        list_all(store, Name(b"door")),
    ):
        with pytest.raises(PathRefused, match="symbolic link"):
            await attempt
    for gone in (store.stat(leaf), read_all(store, leaf), store.copy(leaf, B), store.move(leaf, B)):
        with pytest.raises(NotFound):
            await gone
    await store.delete([leaf])  # a link is no file of ours, so there is nothing to delete
    assert (root / "leaf").is_symlink()
    assert [s.name for s in await list_all(store)] == [A]
    for name in (leaf, Name(b"self")):
        await store.write(name, source_of(b"mine"))
        assert not (root / os.fsdecode(name)).is_symlink() and await read_all(store, name) == b"mine"
    assert os.listdir(outside) == ["secret"] and (outside / "secret").read_bytes() == b"s"
    assert stages(root) == []


async def test_folders_and_specials_are_not_files(tmp_path: Path, system: System) -> None:
    store = FolderStore(tmp_path, system)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in (Name(b"folder"), Name(b"pipe")):
        with pytest.raises(NotFound):
            await store.stat(name)
        with pytest.raises(NotFound):
            await read_all(store, name)
        await store.delete([name])
    assert await list_all(store) == []
    with pytest.raises(Unreadable, match="folder is there"):
        await store.write(Name(b"folder"), source_of(b"x"))
    await store.write(A, source_of(b"1"))
    with pytest.raises(Conflict, match="file where a folder is wanted"):
        await store.write(Name(b"a/below"), source_of(b"x"))
    with pytest.raises(NotFound):
        await store.stat(Name(b"a/below"))
    await store.delete([Name(b"a/below")])
    assert sorted(os.listdir(tmp_path)) == ["a", "folder", "pipe"]


async def test_a_missing_root_is_never_made(tmp_path: Path, system: System) -> None:
    store = FolderStore(tmp_path / "unmounted", system)
    for attempt in (store.probe(), store.stat(A), read_all(store, A), store.write(A, source_of(b"")), list_all(store)):
        with pytest.raises(SiteUnreachable, match="mount it or correct its url"):
            await attempt
    with pytest.raises(SiteUnreachable):
        await store.write_many(stream([(A, source_of(b""))]))
    assert not (tmp_path / "unmounted").exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SiteUnreachable):
        await FolderStore(tmp_path / "file", system).probe()


async def test_a_full_disk_keeps_old_files_and_no_stages(small_disk: Path, system: System) -> None:
    store = FolderStore(small_disk, system)
    with pytest.raises(TargetFull):
        await store.probe()  # 4 MiB are not room enough to start with
    await store.write(A, source_of(b"old"))
    sessions: list[Session] = []

    async def keep(session: Session) -> None:
        sessions.append(session)

    with pytest.raises(TargetFull, match="small/a: writing failed: no space left"):
        await store.write(A, source_of(bytes(9 << 20)), None, keep)
    with pytest.raises(TargetFull):
        await store.write_many(stream([(Name(b"m/%d" % i), source_of(bytes(900_000))) for i in range(9)]))
    assert await read_all(store, A) == b"old" and stages(small_disk) == [] == sessions
    assert [s.name for s in await list_all(store)] == [A]
    await store.write(B, source_of(bytes(3 << 20)))
    with pytest.raises(TargetFull):
        await store.copy(B, Name(b"c"))
    assert stages(small_disk) == [] and await store.stat(B)


async def test_what_landed_before_the_disk_was_full_is_told(small_disk: Path) -> None:
    store = FolderStore(small_disk)
    files = [(Name(b"small"), source_of(b"1")), (Name(b"large"), source_of(bytes(9 << 20))), (A, source_of(b"2"))]
    answers = await store.write_many(stream(files))
    assert isinstance(answers[0], Stat) and [type(a) for a in answers[1:]] == [TargetFull, TargetFull]
    assert [s.name for s in await list_all(store)] == [b"small"]


def test_denied_files_and_folders(tmp_path: Path) -> None:
    """In a process without root's rights, since root may read everything."""
    script = """
import asyncio, os, sys
from everysite.errors import Forbidden, Unreadable
from everysite.stores.folder import FolderStore
from tests.stores.adapters import list_all, read_all, source_of
async def refused(kind, attempt):
    try:
        await attempt
    except kind as err:
        assert sys.argv[1] in str(err), err
    else:
        raise SystemExit(f"{attempt} was allowed")
async def main():
    store = FolderStore(sys.argv[1])
    await refused(Unreadable, read_all(store, b"secret"))
    await refused(Unreadable, store.copy(b"secret", b"open/copy"))
    await refused(Unreadable, store.write(b"new", source_of(b"x")))
    await refused(Unreadable, store.delete([b"secret"]))
    await refused(Unreadable, list_all(store))
    await refused(Unreadable, store.stat(b"closed/file"))
    await refused(Forbidden, store.probe())
    first, second = await store.write_many(stream())
    assert isinstance(first, Unreadable) and second.name == b"open/new", (first, second)
async def stream():
    yield b"new", source_of(b"x")
    yield b"open/new", source_of(b"x", mode=0o444)
asyncio.run(main())
"""
    root = tmp_path / "root"
    (root / "closed").mkdir(parents=True)
    (root / "open").mkdir()
    (root / "secret").write_bytes(b"s")
    os.chmod(root / "secret", 0)
    os.chmod(root / "closed", 0)
    os.chmod(root / "open", 0o777)
    os.chmod(root, 0o555)
    here = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all", sys.executable, "-c", script, str(root)],  # root, but without its powers
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{here / 'src'}:{here}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(root)) == ["closed", "open", "secret"] and os.listdir(root / "open") == ["new"]


async def test_no_way_out_leaves_a_stage(tmp_path: Path, system: System) -> None:
    store = FolderStore(tmp_path, system)

    async def refuse(names: Collection[Name]) -> Collection[Name]:
        return []

    async def breaks(offset: int) -> AsyncIterator[bytes]:
        yield b"12"
        raise SourceChanged("it changed")

    for source, may in (
        (replace(source_of(b"123"), digest="0" * 64), None),
        (replace(source_of(b"123"), open=breaks), None),
        (source_of(b"123"), refuse),
    ):
        with pytest.raises((DigestMismatch, SourceChanged, StaleLease)):
            await (store.write(A, source, may_publish=may) if may else store.write(A, source))
        answers = await (
            store.write_many(stream([(A, source)]), may) if may else store.write_many(stream([(A, source)]))
        )
        assert isinstance(answers[0], EverysiteError)
    with pytest.raises(SiteUnreachable):
        await Cut(store, after=1).write(A, source_of(b"123"))
    assert os.listdir(tmp_path) == []


async def test_a_damaged_stage_is_not_trusted(tmp_path: Path, system: System) -> None:
    store, sessions, data = FolderStore(tmp_path, system), list[Session](), bytes(range(200))

    async def keep(session: Session) -> None:
        sessions.append(session)

    for damage in ("flip", "cut", "longer", "gone", "link"):
        with pytest.raises(SiteUnreachable):
            await Cut(store, after=100).write(A, source_of(data), None, keep)
        (left,) = stages(tmp_path)
        stage = tmp_path / left
        if damage == "flip":
            stage.write_bytes(b"\xff" + stage.read_bytes()[1:])
        elif damage == "cut":
            os.truncate(stage, 50)
        elif damage == "longer":
            stage.write_bytes(stage.read_bytes() + b"bytes after the last safe one" * 20)
        else:
            stage.unlink()
        if damage == "link":
            stage.symlink_to("/etc/hostname")
        written = await store.write(A, source_of(data), sessions[-1], keep)
        assert written.digest == source_of(data).digest and await read_all(store, A) == data
        assert [s for s in stages(tmp_path) if not (tmp_path / s).is_symlink()] == []


async def test_folders_deeper_than_are_kept_open(tmp_path: Path, system: System) -> None:
    store, deep = FolderStore(tmp_path, system), Name(b"/".join([b"d"] * 600))
    await store.write(deep, source_of(b"1"))
    await store.move(deep, Name(deep + b"2"))
    assert [s.name for s in await list_all(store)] == [deep + b"2"] and await read_all(store, Name(deep + b"2")) == b"1"


async def test_set_id_bits_do_not_travel(tmp_path: Path, system: System) -> None:
    store = FolderStore(tmp_path, system)
    await store.write(A, source_of(b"", mode=0o6755))
    await store.write_many(stream([(B, source_of(b"", mode=0o4711))]))
    assert [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("a", "dir/b")] == [0o755, 0o711]


async def test_a_thread_that_polls_never_sees_a_torn_file(tmp_path: Path, system: System) -> None:
    store, stop, torn = FolderStore(tmp_path, system), threading.Event(), list[int]()
    await store.write(A, source_of(b"0" * 300_000))

    def poll() -> None:
        while not stop.is_set():
            data = (tmp_path / "a").read_bytes()
            if len(data) != 300_000 or len(set(data)) != 1:
                torn.append(len(data))

    reader = threading.Thread(target=poll)
    reader.start()
    for i in range(40):
        source = source_of(b"%d" % (i % 10) * 300_000)
        await (store.write(A, source) if i % 2 else store.write_many(stream([(A, source)])))
    stop.set()
    reader.join()
    assert torn == []


async def test_a_file_written_to_while_it_is_read(tmp_path: Path, system: System) -> None:
    store = FolderStore(tmp_path, system)
    (tmp_path / "a").write_bytes(bytes(9 << 20))
    with pytest.raises(SourceChanged):
        async for _ in store.read(A):
            with open(tmp_path / "a", "r+b") as file:
                file.write(b"changed")
    (tmp_path / "a").write_bytes(b"")
    seen = b""
    await store.write(A, source_of(b"1" * (9 << 20)))
    async for piece in store.read(A):
        seen += piece
        await store.write(A, source_of(b"2"))  # whoever reads goes on with the file it opened
    assert seen == b"1" * (9 << 20)


async def test_nothing_stays_open(tmp_path: Path, system: System) -> None:
    store = FolderStore(tmp_path, system)
    await store.write_many(stream([(Name(b"%d/f" % i), source_of(b"x")) for i in range(30)]))
    before = len(os.listdir("/proc/self/fd"))
    for name in (Name(b"1/f"), Name(b"2/f")):
        await store.copy(name, A)
        await store.move(A, B)
        pieces = store.read(B)
        await anext(pieces)
        await pieces.aclose()  # type: ignore[attr-defined]
        with pytest.raises(PathRefused):
            await store.write(Name(b"../x"), source_of(b""))
    await list_all(store)
    assert len(os.listdir("/proc/self/fd")) == before
