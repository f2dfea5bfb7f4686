from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.decide.retry import delay, verdict
from everysite.errors import (
    Cancelled,
    DigestMismatch,
    EverysiteError,
    SiteUnreachable,
    StaleLease,
    TargetFull,
    Transient,
    Unreadable,
)
from everysite.model.site import Policy

spreads = st.floats(0, 1, exclude_max=True)
tries = st.integers(0, 10_000)
firsts = st.floats(0.01, 60)
longests = st.floats(60, 1e6)


@given(tries, firsts, longests, spreads)
def test_a_wait_never_shrinks_with_more_failures_and_stays_in_its_bounds(
    count: int, first: float, longest: float, spread: float
) -> None:
    wait = delay(count, first, longest, spread)
    assert 0 <= wait <= longest
    assert wait <= delay(count + 1, first, longest, spread)
    assert wait <= delay(count, first, longest, 0)


def test_the_curve_doubles_up_to_the_longest_wait() -> None:
    assert [delay(n, 5, 60, 0) for n in range(1, 7)] == [5, 10, 20, 40, 60, 60]
    assert delay(3, 5, 60, 0.5) == 10


@given(st.sampled_from([Transient("x"), DigestMismatch("x"), Unreadable("x"), EverysiteError("x")]), tries, spreads)
def test_without_end_nothing_is_given_up(error: EverysiteError, count: int, spread: float) -> None:
    retry = verdict(error, count, Policy(), 1000, spread)
    assert retry.counts and not retry.halt and not retry.give_up
    assert 1000 <= retry.run_at <= 1000 + 3_600_000


@pytest.mark.parametrize("error", [Transient("x"), Unreadable("x")])
@pytest.mark.parametrize(("count", "expected"), [(0, False), (1, False), (2, True), (3, True)])
def test_retry_count_is_all_tries_together(error: EverysiteError, count: int, expected: bool) -> None:
    assert verdict(error, count, Policy(retry_count=3), 0, 0).give_up is expected


@pytest.mark.parametrize("error", [SiteUnreachable("x"), TargetFull("x")])
def test_an_unreachable_site_halts_and_costs_no_try(error: EverysiteError) -> None:
    retry = verdict(error, 50, Policy(retry_count=3), 1000, 0)
    assert (retry.run_at, retry.counts, retry.halt, retry.give_up) == (6000, False, True, False)


@pytest.mark.parametrize("error", [Cancelled("x"), StaleLease("x")])
def test_a_stop_on_purpose_costs_nothing(error: EverysiteError) -> None:
    retry = verdict(error, 2, Policy(retry_count=3), 1000, 0)
    assert (retry.run_at, retry.counts, retry.halt, retry.give_up) == (1000, False, False, False)


def test_a_refused_file_waits_longer_than_a_passing_failure() -> None:
    transient, refused = (verdict(error, 0, Policy(), 0, 0).run_at for error in (Transient("x"), Unreadable("x")))
    assert transient == 5_000
    assert refused == 320_000
