"""What an agent holds, on every engine."""

from __future__ import annotations

import pytest

from everysite.errors import BadRequest
from everysite.index.contract import HeldFile, HeldFolder, Index

pytestmark = pytest.mark.anyio


def file(name: bytes, digest: int = 0) -> HeldFile:
    return HeldFile(name, 1, -2, 3, 2**62, 0o644, bytes([digest]) * 32)


async def put(index: Index, *paths: bytes) -> None:
    split = [path.rpartition(b"/") for path in paths]
    await index.run(lambda t: t.held.put(1, [(folder, file(leaf, len(folder))) for folder, _, leaf in split]))


async def tree(index: Index) -> list[bytes]:
    folders = await index.read(lambda t: t.held.folders(1))
    found = []
    for folder in folders:
        files = await index.read(lambda t, f=folder: t.held.files(f.id))  # type: ignore[misc]
        found += [b"/".join(part for part in (folder.path, f.name) if part) for f in files]
    return sorted(found)


async def paths(index: Index) -> list[bytes]:
    return [folder.path for folder in await index.read(lambda t: t.held.folders(1))]


async def test_folders_are_made_with_their_parents(index: Index) -> None:
    made = await index.run(lambda t: t.held.put_folder(1, HeldFolder(b"a/\xff/c", 5, b"print")))
    assert await paths(index) == [b"", b"a", b"a/\xff", b"a/\xff/c"]
    assert await index.read(lambda t: t.held.folder(1, b"a/\xff/c")) == made
    assert (made.inode, made.fingerprint) == (5, b"print")
    parent = await index.read(lambda t: t.held.folder(1, b"a/\xff"))
    assert parent is not None
    assert (parent.id, parent.inode, parent.fingerprint) == (made.parent, 0, b"")
    assert await index.read(lambda t: t.held.folder(1, b"a/none")) is None
    assert await index.read(lambda t: t.held.folder(2, b"a")) is None
    again = await index.run(lambda t: t.held.put_folder(1, HeldFolder(b"a/\xff/c", 6, b"other")))
    assert (again.id, again.inode, again.fingerprint) == (made.id, 6, b"other")


async def test_the_root_is_a_folder_like_others(index: Index) -> None:
    root = await index.run(lambda t: t.held.put_folder(1, HeldFolder(b"", 9, b"p")))
    await put(index, b"x")
    assert await index.read(lambda t: t.held.folder(1, b"")) == HeldFolder(b"", 9, b"", root.id, 0)
    assert [f.name for f in await index.read(lambda t: t.held.files(root.id))] == [b"x"]


async def test_files_come_back_as_put_sorted_by_bytes(index: Index) -> None:
    await put(index, b"d/b", b"d/\xff", b"d/a", b"d/B", b"top")
    folder = await index.read(lambda t: t.held.folder(1, b"d"))
    assert folder is not None
    assert await index.read(lambda t: t.held.files(folder.id)) == [file(n, 1) for n in (b"B", b"a", b"b", b"\xff")]
    got = await index.read(lambda t: t.held.get(1, [b"top", b"d/none", b"none/a", b"d/a"]))
    assert got == [file(b"top"), None, None, file(b"a", 1)]
    await index.run(lambda t: t.held.put(1, [(b"d", file(b"a", 9))]))
    assert await index.read(lambda t: t.held.get(1, [b"d/a"])) == [file(b"a", 9)]
    assert await index.read(lambda t: t.held.get(2, [b"d/a"])) == [None]


async def test_put_and_remove_clear_the_fingerprint_of_their_folder_only(index: Index) -> None:
    async def prints() -> dict[bytes, bytes]:
        return {f.path: f.fingerprint for f in await index.read(lambda t: t.held.folders(1))}

    for path in (b"", b"a", b"b"):
        await index.run(lambda t, p=path: t.held.put_folder(1, HeldFolder(p, 1, b"p")))  # type: ignore[misc]
    await put(index, b"a/x")
    assert await prints() == {b"": b"p", b"a": b"", b"b": b"p"}
    await index.run(lambda t: t.held.put_folder(1, HeldFolder(b"a", 1, b"p")))
    await index.run(lambda t: t.held.remove(1, [b"a/x", b"b/none", b"none/x"]))
    assert await prints() == {b"": b"p", b"a": b"", b"b": b""}
    assert await tree(index) == []


async def test_moving_a_folder_keeps_ids_and_all_below(index: Index) -> None:
    await put(index, b"a/b/c/x", b"a/b/y", b"a/z")
    before = await index.read(lambda t: t.held.folder(1, b"a/b/c"))
    await index.run(lambda t: t.held.move_folder(1, b"a/b", b"new/place"))
    after = await index.read(lambda t: t.held.folder(1, b"new/place/c"))
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert await tree(index) == [b"a/z", b"new/place/c/x", b"new/place/y"]
    assert await paths(index) == [b"", b"a", b"new", b"new/place", b"new/place/c"]


async def test_a_folder_already_there_is_merged(index: Index) -> None:
    await put(index, b"a/same/one", b"a/same/both", b"a/only", b"b/same/both", b"b/same/two", b"b/kept")
    await index.run(lambda t: t.held.put(1, [(b"a/same", file(b"both", 99))]))
    await index.run(lambda t: t.held.move_folder(1, b"a", b"b"))
    assert await tree(index) == [b"b/kept", b"b/only", b"b/same/both", b"b/same/one", b"b/same/two"]
    assert await index.read(lambda t: t.held.get(1, [b"b/same/both"])) == [file(b"both", 99)]
    assert await paths(index) == [b"", b"b", b"b/same"]


async def test_a_folder_may_take_the_place_of_its_parent(index: Index) -> None:
    await put(index, b"a/b/b/x", b"a/b/y", b"a/z")
    await index.run(lambda t: t.held.move_folder(1, b"a/b", b"a"))
    assert await tree(index) == [b"a/b/x", b"a/y", b"a/z"]


@pytest.mark.parametrize(("path", "to"), [(b"a", b"a/b"), (b"a", b""), (b"", b"a"), (b"a", b"a/b/c/d")])
async def test_impossible_moves_are_refused(index: Index, path: bytes, to: bytes) -> None:
    await put(index, b"a/b/x")
    with pytest.raises(BadRequest):
        await index.run(lambda t: t.held.move_folder(1, path, to))
    assert await tree(index) == [b"a/b/x"]


async def test_moves_to_itself_or_of_nothing_change_nothing(index: Index) -> None:
    await put(index, b"a/x")
    await index.run(lambda t: t.held.move_folder(1, b"a", b"a"))
    await index.run(lambda t: t.held.move_folder(1, b"none", b"b"))
    assert await paths(index) == [b"", b"a"]


async def test_removing_a_folder_takes_all_below(index: Index) -> None:
    await put(index, b"a/b/x", b"a/y", b"ab/z")
    await index.run(lambda t: t.held.put(2, [(b"a", file(b"x"))]))
    await index.run(lambda t: t.held.remove_folder(1, b"a"))
    assert await tree(index) == [b"ab/z"]
    assert await paths(index) == [b"", b"ab"]
    assert await index.read(lambda t: t.held.with_digest(1, [bytes([3]) * 32])) == {}
    await index.run(lambda t: t.held.remove_folder(1, b""))
    assert await paths(index) == []
    assert await index.read(lambda t: t.held.get(2, [b"a/x"])) == [file(b"x")]


async def test_with_digest_names_one_file_of_this_mapping(index: Index) -> None:
    one, two, three, none = (bytes([n]) * 32 for n in (1, 2, 3, 4))
    files = [(b"", file(b"top", 1)), (b"a/b", file(b"x", 2)), (b"a/b", file(b"y", 2)), (b"c", file(b"z", 2))]
    await index.run(lambda t: t.held.put(1, files))
    await index.run(lambda t: t.held.put(2, [(b"q", file(b"z", 3))]))
    got = await index.read(lambda t: t.held.with_digest(1, [one, two, three, none]))
    assert got[one] == b"top"
    assert got.pop(two) in {b"a/b/x", b"a/b/y", b"c/z"}
    assert set(got) == {one}
    assert await index.read(lambda t: t.held.with_digest(1, [])) == {}
    await index.run(lambda t: t.held.move_folder(1, b"a", b"m"))
    assert (await index.read(lambda t: t.held.with_digest(1, [two])))[two] in {b"m/b/x", b"m/b/y", b"c/z"}


async def test_the_journal_of_stages(index: Index) -> None:
    await index.run(lambda t: t.held.stage(1, [b"b/\xff", b"a", b"a"]))
    await index.run(lambda t: t.held.stage(1, [b"a"]))
    await index.run(lambda t: t.held.stage(2, [b"z"]))
    assert await index.read(lambda t: t.held.staged(1)) == [b"a", b"b/\xff"]
    await index.run(lambda t: t.held.unstage(1, [b"a", b"none"]))
    await index.run(lambda t: t.held.unstage(1, []))
    await index.run(lambda t: t.held.stage(1, []))
    assert await index.read(lambda t: t.held.staged(1)) == [b"b/\xff"]
    assert await index.read(lambda t: t.held.staged(2)) == [b"z"]
