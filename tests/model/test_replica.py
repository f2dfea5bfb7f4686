from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.model.replica import Replica, State, state

times = st.integers(0, 3)
replicas = st.builds(
    Replica,
    element=st.just(1),
    site=st.just(1),
    gen=times,
    synced=times,
    syncing=times,
    error=times,
    attempted=times,
    modified=times,
    deleted=times,
)


@pytest.mark.parametrize(
    ("replica", "shown"),
    [
        (None, "missing"),
        (Replica(1, 1), "missing"),
        (Replica(1, 1, gen=2, synced=5), "current"),
        (Replica(1, 1, gen=3, synced=5), "current"),
        (Replica(1, 1, gen=1, synced=5), "outdated"),
        (Replica(1, 1, gen=2, synced=5, deleted=6), "missing"),
        (Replica(1, 1, gen=1, synced=5, syncing=6), "in progress"),
        (Replica(1, 1, gen=1, synced=5, error=23, attempted=6), "failed"),
        (Replica(1, 1, gen=2, synced=7, error=23, attempted=6), "current"),
        (Replica(1, 1, error=23, attempted=6), "failed"),
        (Replica(1, 1, gen=2, synced=5, syncing=6, modified=6), "conflict"),
    ],
)
def test_the_first_match_is_shown(replica: Replica | None, shown: State) -> None:
    assert state(replica, 2) == shown


@given(replicas, times)
def test_current_means_that_nothing_is_wrong(replica: Replica, gen: int) -> None:
    if state(replica, gen) == "current":
        assert replica.synced and replica.gen >= gen
        assert not (replica.modified or replica.syncing or replica.deleted)
        assert not replica.error or replica.attempted < replica.synced


@given(replicas, times)
def test_new_content_never_makes_a_copy_better(replica: Replica, gen: int) -> None:
    if state(replica, gen) != "current":
        assert state(replica, gen + 1) == state(replica, gen)
    else:
        assert state(replica, gen + 1) in ("current", "outdated")
