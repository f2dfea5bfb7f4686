from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from everysite.decide.compare import Difference, Entry, compare

small = st.integers(0, 2)
entries = st.builds(
    Entry, st.binary(min_size=1, max_size=2), small, small, small, small, st.sampled_from([0o600, 0o644])
)
listings = st.lists(entries, unique_by=lambda entry: entry.name, max_size=12).map(sorted)


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
