from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from everysite.model.clock import Version, tick

moments = st.integers(0, 2**45)
versions = st.builds(Version, moments, st.integers(0, 1000))


@given(versions, moments)
def test_a_version_is_newer_than_the_last_and_never_behind_the_wall(last: Version, now: int) -> None:
    following = tick(last, now)
    assert following > last
    assert following.ms >= now


@given(st.lists(moments, min_size=2, max_size=30))
def test_versions_rise_whatever_the_wall_clock_does(wall: list[int]) -> None:
    last, seen = Version(0, 0), []
    for now in wall:
        last = tick(last, now)
        seen.append(last)
    assert seen == sorted(set(seen))


def test_a_clock_that_stands_still_counts() -> None:
    assert [tick(Version(5, 0), 5), tick(Version(5, 7), 4), tick(Version(5, 7), 6)] == [(5, 1), (5, 8), (6, 0)]
