"""Token buckets, and the count of failed sign-ins built on them. Time is an argument."""

from __future__ import annotations

import pytest

from everysite.errors import TooManyAttempts
from everysite.index.contract import AuditRow
from everysite.tracker.attempts import Attempts
from everysite.tracker.buckets import Buckets


def test_a_bucket_empties_and_fills_at_its_rate() -> None:
    buckets = Buckets(60)
    assert [buckets.take("a", 0) for _ in range(60)] == [0] * 60
    wait = buckets.take("a", 0)
    assert 1000 <= wait <= 1002
    assert buckets.take("b", 0) == 0
    assert buckets.take("a", wait) == 0
    assert buckets.take("a", wait) > 0
    assert [buckets.take("a", 1_000_000) for _ in range(61)].count(0) == 60


def test_no_limit_and_what_is_given_back() -> None:
    assert all(Buckets(0).take("a", 0) == 0 for _ in range(1000))
    buckets = Buckets(1)
    for _ in range(5):
        assert buckets.take("a", 0) == 0
        buckets.give_back("a", 0)
    assert buckets.wait("a", 0) == 0
    buckets.take("a", 0)
    assert buckets.wait("a", 0) == buckets.take("a", 0) > 0


def test_memory_is_bounded() -> None:
    buckets = Buckets(2)
    for n in range(30_000):
        buckets.take(n, 0)
    assert len(buckets._buckets) == 20_000


def fail(attempts: Attempts, account: str, address: str, now: int = 0) -> bool:
    """Whether a failure was let through."""
    try:
        attempts.enter(account, address, now)
    except TooManyAttempts:
        return False
    return True


def test_an_account_is_guarded_whatever_the_address_and_an_address_whatever_the_account() -> None:
    attempts = Attempts(5)
    assert [fail(attempts, "anna", f"192.0.2.{n}") for n in range(6)] == [True] * 5 + [False]
    assert not fail(attempts, "@ANNA", "192.0.2.77")
    attempts = Attempts(5)
    assert [fail(attempts, f"user{n}", "192.0.2.1") for n in range(16)] == [True] * 15 + [False]


def test_who_signed_in_from_their_address_is_not_locked_out_by_guesses_from_elsewhere() -> None:
    attempts = Attempts(3)
    attempts.enter("anna", "10.0.0.7", 0)
    attempts.succeeded("anna", "10.0.0.7", 0)
    assert [fail(attempts, "anna", "192.0.2.1") for _ in range(4)] == [True] * 3 + [False]
    assert fail(attempts, "anna", "10.0.0.7")


def test_attempts_at_the_same_moment_count_before_any_of_them_failed() -> None:
    attempts = Attempts(4)
    assert [fail(attempts, "anna", "a") for _ in range(5)] == [True] * 4 + [False]
    with pytest.raises(TooManyAttempts, match=r"try again in 16 s") as raised:
        attempts.enter("anna", "a", 0)
    assert raised.value.wait_s == 16


def test_failures_before_a_restart_count() -> None:
    attempts = Attempts(3)
    attempts.remember([AuditRow(n, "anna", "sign-in failed", address="192.0.2.1") for n in range(3)])
    assert not fail(attempts, "anna", "192.0.2.9", 10)
    assert fail(attempts, "bert", "192.0.2.9", 10)
