"""Scans of real trees against a real index: what is told, what is held afterwards, and what is told again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from everysite.errors import Cancelled, Refused, SiteUnreachable, Transient
from everysite.index.contract import Index
from everysite.index.sqlite import open as open_index
from everysite.model.path import key_of, name_in
from everysite.model.site import Mapping
from everysite.observe.scan import forget, scan
from everysite.observe.scanned import Scanned, describe, last_lines
from everysite.tracker.agent_messages import Announced, SeenItem

pytestmark = pytest.mark.anyio

MAPPING = Mapping(1, "file:///unused/", id=7)


class Listener:
    """A tracker as far as announcements go: it keeps, by key, the digest it was told, and every batch."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: list[list[SeenItem]] = []
        self.firsts: list[bool] = []
        self.before: Callable[[list[SeenItem]], None] = lambda items: None
        self.refuses: set[str] = set()

    async def __call__(self, items: list[SeenItem], first: bool) -> Announced:
        self.before(items)
        self.batches.append(items)
        self.firsts.append(first)
        for item in items:
            if item.key not in self.refuses:
                self._take(item)
        return Announced({"new": len(items)}, dict.fromkeys(self.refuses, "no"))

    def _take(self, item: SeenItem) -> None:
        if item.was.endswith("/"):
            moved = {k: d for k, d in self.files.items() if k.startswith(item.was)}
            for key, digest in moved.items():
                del self.files[key]
                self.files[item.key + key[len(item.was) :]] = digest
        elif item.content is None:
            self.files.pop(item.key, None)
        else:
            self.files.pop(item.was, None)
            self.files[item.key] = item.content.digest

    @property
    def told(self) -> list[SeenItem]:
        return [item for batch in self.batches for item in batch]

    def clear(self) -> None:
        self.batches.clear()
        self.firsts.clear()


class Scene:
    """A tree, what is held of it, and who listens."""

    def __init__(self, root: Path, held: Index) -> None:
        self.root, self.held, self.listener = root, held, Listener()

    async def scan(self, **more: object) -> Scanned:
        return await scan(os.fsencode(self.root), MAPPING, self.held, self.listener, **more)  # type: ignore[arg-type]

    async def changes(self) -> list[SeenItem]:
        """What a scan tells now."""
        self.listener.clear()
        await self.scan()
        return self.listener.told

    def write(self, name: str, data: bytes | str, age: float = 10) -> Path:
        """A file, last written `age` s ago."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
        return path

    def tree(self) -> dict[str, bytes]:
        found = {}
        for folder, folders, names in os.walk(os.fsencode(self.root)):
            if b".everysite" in folders:
                folders.remove(b".everysite")
            for name in names:
                path = folder + b"/" + name
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        found[key_of(os.path.relpath(path, os.fsencode(self.root)))] = blake3(file.read()).digest()
        return found

    async def held_files(self) -> dict[str, bytes]:
        def unit(tx: object) -> dict[str, bytes]:
            held = tx.held  # type: ignore[attr-defined]
            return {
                key_of(f.path + b"/" + file.name if f.path else file.name): file.digest
                for f in held.folders(MAPPING.id)
                for file in held.files(f.id)
            }

        return await self.held.read(unit)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    (tmp_path / "tree").mkdir()
    index = open_index(str(tmp_path / "held.db"))
    yield Scene(tmp_path / "tree", index)
    await index.close()


async def test_a_first_scan_tells_every_file_and_the_second_nothing(scene: Scene) -> None:
    for number in range(50):
        scene.write(f"d{number % 5}/e/{number}", f"data {number}")
    first = await scene.scan()
    assert scene.listener.files == scene.tree() == await scene.held_files()
    assert (first.files, set(scene.listener.firsts)) == (50, {True})
    assert await scene.changes() == []


async def test_only_differences_are_told(scene: Scene) -> None:
    for number in range(20):
        scene.write(f"d/{number}", f"data {number}")
    await scene.scan()
    scene.write("d/3", "changed")
    scene.write("d/new", "new")
    (scene.root / "d/4").unlink()
    told = await scene.changes()
    assert sorted((item.key, item.content is None) for item in told) == [
        ("/d/3", False),
        ("/d/4", True),
        ("/d/new", False),
    ]
    assert scene.listener.files == scene.tree() == await scene.held_files()
    assert scene.listener.firsts == [False, False]
    assert await scene.changes() == []


async def test_a_change_that_keeps_size_and_mtime_is_found(scene: Scene) -> None:
    path = scene.write("a", "one")
    await scene.scan()
    was = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    [item] = await scene.changes()
    assert item.content is not None and item.content.digest == blake3(b"two").digest()


async def test_a_touched_inode_alone_is_not_worth_telling(scene: Scene) -> None:
    path = scene.write("a", "one")
    await scene.scan()
    os.link(path, scene.root / "b")  # moves the ctime
    (scene.root / "b").unlink()
    assert await scene.changes() == []
    assert await scene.changes() == []


async def test_a_changed_mode_is_told(scene: Scene) -> None:
    scene.write("a", "one").chmod(0o600)
    await scene.scan()
    (scene.root / "a").chmod(0o755)
    [item] = await scene.changes()
    assert item.content is not None and item.content.mode == 0o755


async def test_a_renamed_file_is_one_rename(scene: Scene) -> None:
    scene.write("d/a", "one")
    scene.write("d/b", "two")
    await scene.scan()
    (scene.root / "e").mkdir()
    (scene.root / "d/a").rename(scene.root / "e/c")
    [item] = await scene.changes()
    assert (item.key, item.was) == ("/e/c", "/d/a")
    assert scene.listener.files == scene.tree() == await scene.held_files()


async def test_a_file_moved_by_copying_is_a_rename_too(scene: Scene) -> None:
    scene.write("a", "one")
    await scene.scan()
    scene.write("z/a", "one")
    (scene.root / "a").unlink()
    [item] = await scene.changes()
    assert (item.key, item.was) == ("/z/a", "/a")


async def test_empty_files_are_not_taken_for_one_another(scene: Scene) -> None:
    scene.write("a", "")
    await scene.scan()
    scene.write("b", "")
    (scene.root / "a").unlink()
    told = await scene.changes()
    assert [(item.key, item.was) for item in told] in (
        [("/b", ""), ("/a", "")],
        [("/b", "/a")],
    )  # an inode may come back


async def test_a_copy_is_a_new_file(scene: Scene) -> None:
    scene.write("a", "one")
    await scene.scan()
    scene.write("b", "one")
    [item] = await scene.changes()
    assert (item.key, item.was) == ("/b", "")


async def test_a_renamed_folder_is_one_rename_whatever_is_in_it(scene: Scene) -> None:
    for number in range(30):
        scene.write(f"old/sub{number % 3}/{number}", str(number))
    await scene.scan()
    (scene.root / "old").rename(scene.root / "new")
    scene.write("new/sub1/added", "added")
    told = await scene.changes()
    assert [(item.key, item.was) for item in told] == [("/new/", "/old/"), ("/new/sub1/added", "")]
    assert scene.listener.files == scene.tree() == await scene.held_files()
    assert await scene.changes() == []


async def test_folders_renamed_inside_each_other_keep_their_files(scene: Scene) -> None:
    for name in ("a/1", "a/b/2", "a/b/c/3", "x/4"):
        scene.write(name, name)
    await scene.scan()
    (scene.root / "a/b/c").rename(scene.root / "c")
    (scene.root / "a").rename(scene.root / "x/a")
    (scene.root / "x").rename(scene.root / "y")
    told = await scene.changes()
    assert scene.listener.files == scene.tree() == await scene.held_files()
    assert all(item.was.endswith("/") for item in told), told
    assert await scene.changes() == []


async def test_a_folder_whose_rename_is_refused_is_told_file_by_file(scene: Scene) -> None:
    scene.write("old/a", "one")
    await scene.scan()
    (scene.root / "old").rename(scene.root / "new")

    def refuse(items: list[SeenItem]) -> None:
        if items[0].key.endswith("/"):
            raise Refused("no folders today")

    scene.listener.before = refuse
    [item] = await scene.changes()
    assert (item.key, item.was) == ("/new/a", "/old/a")
    assert scene.listener.files == scene.tree() == await scene.held_files()


async def test_deleted_folders_are_told_file_by_file(scene: Scene) -> None:
    for number in range(5):
        scene.write(f"d/e/{number}", str(number))
    scene.write("keep", "x")
    await scene.scan()
    for path in (scene.root / "d/e").iterdir():
        path.unlink()
    (scene.root / "d/e").rmdir()
    (scene.root / "d").rmdir()
    assert sorted(item.key for item in await scene.changes()) == [f"/d/e/{n}" for n in range(5)]
    assert await scene.held_files() == scene.tree()
    assert await scene.changes() == []


async def test_an_emptied_tree_is_deleted_but_an_unmounted_one_is_not(scene: Scene) -> None:
    scene.write("a", "one")
    await scene.scan()
    scene.root.rename(scene.root.parent / "mounted")
    with pytest.raises(SiteUnreachable, match="mount it"):
        await scene.scan()
    scene.root.mkdir()
    with pytest.raises(SiteUnreachable, match="another, empty folder"):
        await scene.scan()
    scene.root.rmdir()
    (scene.root.parent / "mounted").rename(scene.root)
    assert await scene.changes() == []
    (scene.root / "a").unlink()
    assert [item.key for item in await scene.changes()] == ["/a"]


async def test_a_restored_tree_is_compared(scene: Scene) -> None:
    scene.write("a", "one")
    scene.write("b", "two")
    await scene.scan()
    scene.root.rename(scene.root.parent / "lost")
    scene.root.mkdir()
    scene.write("a", "one", age=99)
    told = await scene.changes()
    assert [item.key for item in told if item.content is None] == ["/b"]
    assert scene.listener.files == scene.tree()


async def test_a_file_that_is_being_written_is_left_for_the_next_scan(scene: Scene) -> None:
    scene.write("still", "whole")
    path = scene.write("growing", "half", age=0)
    stop = threading.Event()

    def grow() -> None:
        while not stop.wait(0.02):
            with path.open("ab") as file:
                file.write(b"more")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        done = await scene.scan()
    finally:
        stop.set()
        writer.join()
    assert (set(scene.listener.files), done.unsettled) == ({"/still"}, 1)
    assert [item.key for item in await scene.changes()] == ["/growing"]
    assert scene.listener.files == scene.tree()


async def test_a_file_written_a_moment_ago_is_told(scene: Scene) -> None:
    scene.write("fresh", "whole", age=0)
    assert [item.key for item in await scene.changes()] == ["/fresh"]


async def test_a_crash_before_the_answer_repeats_the_announcement(scene: Scene) -> None:
    for number in range(10):
        scene.write(f"d/{number}", str(number))

    def cut(items: list[SeenItem]) -> None:
        raise Transient("the line is cut")

    scene.listener.before = cut
    with pytest.raises(Transient):
        await scene.scan()
    assert await scene.held_files() == {}
    scene.listener.before = lambda items: None
    assert len(await scene.changes()) == 10
    assert set(scene.listener.firsts) == {True}
    assert scene.listener.files == scene.tree() == await scene.held_files()


async def test_a_file_that_goes_while_the_answer_is_lost_is_told_as_gone(scene: Scene) -> None:
    """The tracker took the announcement, the agent was killed before it wrote that down, then the file went."""
    scene.write("a", "one")
    scene.write("keep", "x")

    def lose_the_answer(items: list[SeenItem]) -> None:
        for item in items:
            scene.listener._take(item)
        raise Transient("killed")

    scene.listener.before = lose_the_answer
    with pytest.raises(Transient):
        await scene.scan()
    scene.listener.before = lambda items: None
    (scene.root / "a").unlink()
    await scene.scan()
    assert scene.listener.files == scene.tree() == await scene.held_files()


async def test_a_file_that_goes_from_a_folder_renamed_around_a_lost_answer_is_told_as_gone(scene: Scene) -> None:
    """The tracker knows the file below the folder's new name by the time it is told that it has gone."""
    scene.write("one/keep", "x")
    await scene.scan()
    scene.write("one/a", "one")

    def lose_the_answer(items: list[SeenItem]) -> None:
        for item in items:
            scene.listener._take(item)
        raise Transient("killed")

    scene.listener.before = lose_the_answer
    with pytest.raises(Transient):
        await scene.scan()
    scene.listener.before = lambda items: None
    (scene.root / "one" / "a").unlink()
    (scene.root / "one").rename(scene.root / "two")
    await scene.scan()
    assert scene.listener.files == scene.tree() == await scene.held_files()


async def test_a_folder_renamed_twice_around_a_lost_answer_keeps_its_files(scene: Scene) -> None:
    scene.write("one/a", "a")
    scene.write("one/b", "b")
    await scene.scan()
    (scene.root / "one").rename(scene.root / "two")

    def lose_the_answer(items: list[SeenItem]) -> None:
        for item in items:
            scene.listener._take(item)
        raise Transient("killed")

    scene.listener.before = lose_the_answer
    with pytest.raises(Transient):
        await scene.scan()
    scene.listener.before = lambda items: None
    (scene.root / "two").rename(scene.root / "three")
    await scene.scan()
    assert scene.listener.files == scene.tree() == await scene.held_files()


async def test_what_the_tracker_refuses_is_an_error_and_is_told_again(scene: Scene) -> None:
    scene.write("a", "one")
    scene.write("b", "two")
    scene.listener.refuses = {"/a"}
    done = await scene.scan()
    assert (done.exit_code, last_lines(done)) == (23, "/a: no")
    scene.listener.refuses = set()
    assert [item.key for item in await scene.changes()] == ["/a"]


async def test_links_and_specials_are_not_files(scene: Scene) -> None:
    scene.write("a", "one")
    (scene.root / "link").symlink_to("a")
    (scene.root / "up").symlink_to("..")
    os.mkfifo(scene.root / "pipe")
    await scene.scan()
    assert set(scene.listener.files) == {"/a"}


@pytest.mark.parametrize("name", [b"line\nbreak", b"not \xff utf-8", b"n" * 255, "ümlaut".encode(), b" ", b"a,b;*?"])
async def test_odd_names_are_told_and_come_back(scene: Scene, name: bytes) -> None:
    path = os.fsencode(scene.root) + b"/d\xfe/" + name
    os.mkdir(os.path.dirname(path))
    os.close(os.open(path, os.O_CREAT))
    [item] = await scene.changes()
    assert name_in(item.key) == b"d\xfe/" + name
    os.unlink(path)
    assert [(gone.key, gone.content) for gone in await scene.changes()] == [(item.key, None)]


async def test_our_own_files_are_not_part_of_the_tree(scene: Scene) -> None:
    scene.write(".everysite/trash/2026-01-01/a", "old")
    scene.write("d/.everysite-0123456789abcdef.part", "half")
    scene.write("d/a", "one")
    await scene.scan()
    assert set(scene.listener.files) == {"/d/a"}


async def test_what_is_left_out_later_is_not_called_deleted(scene: Scene) -> None:
    scene.write("a.tmp", "one")
    scene.write("b", "two")
    await scene.scan()
    scene.listener.clear()
    await scene.scan(skip=lambda path, folder: path.endswith(b".tmp"))
    assert scene.listener.told == []


async def test_unreadable_folders_are_errors_and_not_deletions(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.write("d/e/a", "one")
    scene.write("f/b", "two")
    await scene.scan()
    real = os.open

    def refuse(path: bytes, *args: int, **more: object) -> int:
        if isinstance(path, bytes) and path.endswith(b"/d"):
            raise PermissionError(13, "denied")
        return real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("everysite.observe.walk.os.open", refuse)
    scene.write("f/b", "changed")
    scene.listener.clear()
    done = await scene.scan()
    assert [item.key for item in scene.listener.told] == ["/f/b"]
    assert (done.exit_code, "access denied" in last_lines(done)) == (23, True)


async def test_work_done_meanwhile_is_not_mistaken_for_a_change(scene: Scene) -> None:
    """A file that arrives and is written down between the walk and the announcement is nobody's news."""
    scene.write("a", "one")
    await scene.scan()
    scene.write("a", "two")
    turn = asyncio.Lock()
    scene.listener.clear()
    await turn.acquire()
    scanning = asyncio.create_task(scene.scan(turn=turn))
    await asyncio.sleep(0.1)
    other = Listener()
    await scan(os.fsencode(scene.root), MAPPING, scene.held, other)
    turn.release()
    await scanning
    assert [item.key for item in other.told] == ["/a"]
    assert scene.listener.told == []


async def test_a_scan_that_is_stopped_goes_on_later(scene: Scene) -> None:
    for number in range(2500):
        scene.write(f"d{number % 10}/{number}", str(number))
    stop = threading.Event()
    scene.listener.before = lambda items: stop.set()
    with pytest.raises(Cancelled):
        await scene.scan(stop=stop)
    known = set(scene.listener.files)
    assert 0 < len(known) < 2500
    scene.listener.before = lambda items: None
    told = await scene.changes()
    assert not known & {item.key for item in told}
    assert scene.listener.files == scene.tree()


async def test_after_forgetting_everything_is_told_again(scene: Scene) -> None:
    scene.write("d/a", "one")
    await scene.scan()
    await forget(MAPPING.id, scene.held)
    assert [item.key for item in await scene.changes()] == ["/d/a"]
    assert scene.listener.firsts == [True]


async def test_a_scan_says_how_it_went(scene: Scene) -> None:
    scene.write("a", "one")
    assert describe(await scene.scan()).endswith("s: 1 new")
    assert describe(await scene.scan()).endswith("s: nothing new")


names = st.sampled_from(["a", "b", "c", "d/a", "d/b", "d/e/a", "f/a", "f/g/h"])
contents = st.sampled_from([b"", b"1", b"2", b"3"])
folders = st.sampled_from(["a", "d", "d/e", "f", "f/g", "d/a"])
elsewhere = st.sampled_from(["x", "d/x", "f/y", "z"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), names, contents),
        st.tuples(st.just("unlink"), names),
        st.tuples(st.just("move"), folders, elsewhere),
        st.tuples(st.just("scan")),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=25)
@given(steps)
def test_whatever_happens_to_a_tree_the_tracker_knows_it_after_a_scan(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]]
) -> None:
    async def play() -> None:
        place = tmp_path_factory.mktemp("play")
        (place / "tree").mkdir()
        index = open_index(str(place / "held.db"))
        scene = Scene(place / "tree", index)
        try:
            for step in [*steps, ("scan",)]:
                await do(scene, step)
            assert scene.listener.files == scene.tree() == await scene.held_files()
            assert await scene.changes() == []
        finally:
            await index.close()

    asyncio.run(play())


async def do(scene: Scene, step: tuple[object, ...]) -> None:
    match step:
        case ("write", str(name), bytes(data)):
            with contextlib.suppress(OSError):  # a folder is there
                scene.write(name, data)
        case ("unlink", str(name)):
            if (scene.root / name).is_file():
                (scene.root / name).unlink()
        case ("move", str(old), str(new)):
            source, target = scene.root / old, scene.root / new
            if source.exists() and not target.exists() and source not in target.parents:
                target.parent.mkdir(parents=True, exist_ok=True) if not target.parent.is_file() else None
                if target.parent.is_dir():
                    source.rename(target)
        case ("scan",):
            await scene.scan()
