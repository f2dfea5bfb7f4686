from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from everysite.decide.compare import Difference, Entry, Lost, compare, pair_renames

small = st.integers(0, 2)
entries = st.builds(
    Entry, st.binary(min_size=1, max_size=2), small, small, small, small, st.sampled_from([0o600, 0o644])
)
listings = st.lists(entries, unique_by=lambda entry: entry.name, max_size=12).map(sorted)
paths = st.binary(min_size=1, max_size=2)
lost = st.builds(
    lambda path, inode, letter: Lost(path, inode, bytes([letter]) * 32, letter),  # letter 0: an empty file
    paths,
    st.integers(1, 4),
    st.integers(0, 3),
)
sides = st.lists(lost, unique_by=lambda file: file.path, max_size=8)


def by_dict(held: list[Entry], seen: list[Entry]) -> Difference:
    old, new = {entry.name: entry for entry in held}, {entry.name: entry for entry in seen}
    return Difference(
        [entry for entry in seen if entry.name not in old],
        [e for e in seen if e.name in old and e[1:5] != old[e.name][1:5]],
        [entry for entry in held if entry.name not in new],
    )


@given(listings, listings)
def test_comparing_is_what_two_dicts_say(held: list[Entry], seen: list[Entry]) -> None:
    assert compare(held, seen) == by_dict(held, seen)


@given(listings, listings)
def test_carrying_a_difference_out_leaves_none(held: list[Entry], seen: list[Entry]) -> None:
    difference = compare(held, seen)
    tree = {entry.name: entry for entry in held}
    for entry in difference.removed:
        del tree[entry.name]
    tree |= {entry.name: entry for entry in (*difference.added, *difference.changed)}
    assert compare(sorted(tree.values()), seen) == Difference([], [], [])


@given(listings)
def test_a_mode_alone_is_seen_by_its_ctime_only(held: list[Entry]) -> None:
    assert compare(held, [entry._replace(mode=0o755) for entry in held]).changed == []
    assert compare(held, [entry._replace(mode=0o755, ctime_ns=9) for entry in held]).changed != [] or not held


@given(sides, sides)
def test_a_pair_has_one_content_and_each_path_is_used_once(removed: list[Lost], added: list[Lost]) -> None:
    pairs = pair_renames(removed, added)
    old, new = {file.path: file for file in removed}, {file.path: file for file in added}
    for before, after in pairs:
        assert old[before].digest == new[after].digest
        assert old[before].size or old[before].inode == new[after].inode
    assert len({before for before, _ in pairs}) == len({after for _, after in pairs}) == len(pairs)


@given(sides)
def test_a_renamed_tree_is_found_whole(removed: list[Lost]) -> None:
    numbered = [file._replace(inode=number) for number, file in enumerate(removed)]
    added = [file._replace(path=b"moved/" + file.path) for file in reversed(numbered)]
    assert sorted(pair_renames(numbered, added)) == sorted((file.path, b"moved/" + file.path) for file in numbered)


def file(path: bytes, inode: int, letter: int = 1, size: int = 9) -> Lost:
    return Lost(path, inode, bytes([letter]) * 32, size)


def test_the_inode_decides_between_equal_contents() -> None:
    removed = [file(b"a", 1), file(b"b", 2)]
    added = [file(b"x", 2), file(b"y", 1)]
    assert sorted(pair_renames(removed, added)) == [(b"a", b"y"), (b"b", b"x")]


def test_equal_contents_without_inodes_are_not_guessed() -> None:
    assert pair_renames([file(b"a", 1), file(b"b", 2)], [file(b"x", 3)]) == []
    assert pair_renames([file(b"a", 1)], [file(b"x", 3), file(b"y", 4)]) == []
    assert pair_renames([file(b"a", 1)], [file(b"x", 3)]) == [(b"a", b"x")]


def test_empty_files_are_paired_by_inode_only() -> None:
    assert pair_renames([file(b"a", 1, size=0)], [file(b"x", 3, size=0)]) == []
    assert pair_renames([file(b"a", 1, size=0)], [file(b"x", 1, size=0)]) == [(b"a", b"x")]


def test_a_reused_inode_with_other_content_is_another_file() -> None:
    assert pair_renames([file(b"a", 1, 1)], [file(b"x", 1, 2)]) == []
