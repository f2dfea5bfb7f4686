"""What the demo does to trees, and how it proves them equal."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from everysite.cli import edits, trees
from everysite.cli.trees import Tree, check, differences, digests, fill, look, standard_library
from everysite.errors import NotFound, Refused, Unreadable

ODD = b"bad-\xff-name\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Twenty files in four folders, one with an odd name, a link and a stage that are no files of the tree."""
    root = tmp_path / "tree"
    for number in range(20):
        path = root / f"folder-{number % 4}" / f"file-{number:02}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}\n" * (number + 1))
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    with open(os.path.join(os.fsencode(root), ODD), "wb") as file:
        file.write(b"x")
    (root / "link").symlink_to("folder-0/file-00.txt")
    (root / ".everysite-0123456789abcdef.part").write_text("half")
    return root


def test_filling_keeps_bytes_names_and_times(tree: Path, tmp_path: Path) -> None:
    files, size = fill(Tree(tree, "it"), tmp_path / "copy")
    assert files == 21
    assert look(tmp_path / "copy") == look(tree)
    copy = digests(tmp_path / "copy")
    assert copy == digests(tree)
    assert copy.size == size
    assert ODD in copy.files


@pytest.mark.parametrize("kind", ["missing", "more", "other"])
def test_every_difference_is_found(tree: Path, tmp_path: Path, kind: str) -> None:
    copy = tmp_path / "copy"
    fill(Tree(tree, "it"), copy)
    victim = copy / "folder-1" / "file-05.txt"
    found = victim.stat()
    if kind == "missing":
        victim.unlink()
    elif kind == "more":
        (copy / "more").write_text("")
    else:
        victim.write_bytes(b"C" + victim.read_bytes()[1:])  # same size and time: only the digest can tell
        os.utime(victim, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert look(copy) == look(tree)
    assert len(differences(digests(tree), digests(copy))) == 1


def test_edits_do_what_they_say(tree: Path, tmp_path: Path) -> None:
    before = digests(tree)
    assert edits.add(tree, "new", 5) == 5
    changed, renamed, removed = edits.change(tree, 3), edits.rename(tree, 3), edits.remove(tree, 3)
    after = digests(tree)
    assert (changed, renamed, removed) == (3, 3, 3)
    assert len(after.files) == len(before.files) + 5 - 3
    kept = [name for name, digest in before.files.items() if after.files.get(name) == digest]
    assert len(kept) < len(before.files) - 3
    assert sum(b"renamed-" in name for name in after.files) >= 1
    moved = edits.rename_folder(tree)
    assert moved is not None
    assert (tree / moved[0]).is_dir()
    assert len(digests(tree).files) == len(after.files)
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_an_empty_tree_has_no_folder_to_rename(tmp_path: Path) -> None:
    assert edits.rename_folder(tmp_path) is None


def test_a_tree_that_cannot_be_shown_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder"):
        check(Tree(tmp_path / "nowhere", "it"), tmp_path / "home")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="no regular files"):
        fill(Tree(tmp_path / "empty", "it"), tmp_path / "copy")
    for home in (tree, tree / "home", tmp_path / "x" / ".." / "tree" / "home"):
        with pytest.raises(Refused, match="inside"):
            check(Tree(tree, "it"), home)
    check(Tree(tree, "it"), tmp_path)


def test_an_unreadable_file_is_named(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that goes between the look and the copy cannot be read, whoever we are (root may read all the others)."""
    victim = os.fsencode(tree / "folder-2" / "file-02.txt")
    found = [(os.path.relpath(victim, os.fsencode(tree)), os.stat(victim))]
    os.unlink(victim)
    monkeypatch.setattr(trees, "_files", lambda *_: iter(found))
    with pytest.raises(Unreadable, match=r"file-02\.txt"):
        fill(Tree(tree, "it"), tmp_path / "copy")


def test_a_vanished_tree_is_unreadable_or_empty(tree: Path) -> None:
    shutil.rmtree(tree)
    assert look(tree) == {}


def test_the_default_tree_is_a_real_one() -> None:
    tree = standard_library()
    assert (tree.root / "argparse.py").is_file()
