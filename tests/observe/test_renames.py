"""Which new file a lost one became."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from everysite.index.contract import HeldFile
from everysite.observe.renames import Renames


def file(inode: int, letter: int = 1, name: bytes = b"f") -> HeldFile:
    """Letter 0 stands for an empty file."""
    return HeldFile(name, letter, 0, 0, inode, 0o644, bytes([letter]) * 32)


files = st.builds(file, st.integers(1, 4), st.integers(0, 3))
lost = st.dictionaries(st.binary(min_size=1, max_size=2), files, max_size=8)


@given(lost, st.lists(files, max_size=8))
def test_a_pair_has_one_content_and_each_path_is_used_once(gone: dict[bytes, HeldFile], found: list[HeldFile]) -> None:
    renames = Renames(gone)
    pairs = [(renames.take(each), each) for each in found]
    paths = [path for path, _ in pairs if path]
    assert len(paths) == len(set(paths))
    assert all(renames.taken(path) for path in paths)
    for path, each in pairs:
        if path:
            assert gone[path].digest == each.digest
            assert each.size or gone[path].inode == each.inode


@given(lost)
def test_a_renamed_tree_is_found_whole(gone: dict[bytes, HeldFile]) -> None:
    numbered = {path: file(number, each.size) for number, (path, each) in enumerate(gone.items(), 1)}
    renames = Renames(numbered)
    assert [renames.take(each) for each in numbered.values()] == list(numbered)


def test_the_inode_decides_between_equal_contents() -> None:
    renames = Renames({b"a": file(1), b"b": file(2)})
    assert [renames.take(file(2)), renames.take(file(1))] == [b"b", b"a"]


def test_the_name_decides_where_the_inode_does_not() -> None:
    renames = Renames({b"x/one": file(1), b"x/two": file(2)})
    assert renames.take(file(9, name=b"two")) == b"x/two"


def test_empty_files_are_paired_by_inode_only() -> None:
    assert Renames({b"a": file(1, 0)}).take(file(3, 0)) == b""
    assert Renames({b"a": file(1, 0)}).take(file(1, 0)) == b"a"


def test_a_reused_inode_with_other_content_is_another_file() -> None:
    assert Renames({b"a": file(1, 1)}).take(file(1, 2)) == b""
