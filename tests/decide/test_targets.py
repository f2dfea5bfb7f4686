from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.decide.values import switches

from everysite.decide.targets import (
    STATE_FIELDS,
    is_destination_key,
    parse_state_key,
    priority,
    spell_state,
    state_keys,
    truth,
    wanted,
)
from everysite.model.replica import Replica

names = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("body", "everywhere", "expected", "rule"),
    [
        ({"sync_paris": True, "syncEverywhere": False}, False, True, "sync_paris is true"),
        ({"sync_paris": "false"}, True, False, "sync_paris is false"),
        ({"syncEverywhere": 0}, True, False, "syncEverywhere of the file is false"),
        ({"sync_paris": "perhaps", "syncEverywhere": "1"}, False, True, "syncEverywhere of the file is true"),
        ({}, True, True, "syncEverywhere of all files is true"),
        ({"sync_paris": None}, False, False, "syncEverywhere of all files is false"),
        ({"origin": "Paris", "sync_paris": True}, True, False, "paris is the origin of the file"),
    ],
)
def test_the_first_rule_that_speaks_decides(body: dict[str, Any], everywhere: bool, expected: bool, rule: str) -> None:
    verdict = wanted(body, "paris", everywhere)
    assert (verdict.wanted, verdict.rule) == (expected, rule)


@given(switches, switches, st.booleans())
def test_the_origin_is_never_a_target(own: Any, file: Any, everywhere: bool) -> None:
    body = {"origin": "paris", "sync_paris": own, "syncEverywhere": file}
    assert not wanted(body, "paris", everywhere).wanted


@given(switches, switches, st.booleans())
def test_the_rule_follows_the_order_of_the_specification(own: Any, file: Any, everywhere: bool) -> None:
    body = {"origin": "rome", "sync_paris": own, "syncEverywhere": file}
    spoken = [truth(own), truth(file), everywhere]
    assert wanted(body, "paris", everywhere).wanted == next(word for word in spoken if word is not None)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5), (-3, -3), (2.9, 2), ("12", 12), ("-1.5", -1), ("high", 0), (True, 0), (None, 0), ([1], 0), ({}, 0),
        (2**40, 2**31 - 1), (-(2**40), -(2**31)), (float("inf"), 0), (float("nan"), 0), (1e300, 2**31 - 1),
    ],
)  # fmt: skip
def test_priority_is_a_32_bit_number(value: Any, number: int) -> None:
    assert priority({"sync_priority": value}) == number


def test_no_priority_is_0() -> None:
    assert priority({}) == 0


@given(names)
def test_a_state_key_parses_back_to_its_field_and_site(site: str) -> None:
    parsed = [parse_state_key(key, {site}) for key in state_keys(site)]
    assert parsed == [(field, site) for field in STATE_FIELDS.values()]
    assert all(parse_state_key(key, {site + "x"}) is None for key in state_keys(site))


@pytest.mark.parametrize(
    "key", ["synced", "synced_", "sync_paris", "time", "_synced_paris", "Synced_paris", "syncError"]
)
def test_other_keys_are_no_state(key: str) -> None:
    assert parse_state_key(key, {"paris", ""} - {""}) is None


times = st.integers(0, 9)
copies = st.builds(
    Replica,
    element=st.just(1),
    site=st.just(1),
    synced=times,
    error=times,
    error_text=st.sampled_from(["", "disk full"]),
    modified=times,
    deleted=times,
)


@given(copies, names)
def test_spelling_a_state_loses_nothing(replica: Replica, site: str) -> None:
    shown = spell_state(replica, site)
    read = {field: value for key, value in shown.items() for field, _ in [parse_state_key(key, {site}) or ("", "")]}
    for field in STATE_FIELDS.values():
        assert read.get(field, type(getattr(replica, field))()) == getattr(replica, field)


@pytest.mark.parametrize(
    ("key", "expected"),
    [("syncEverywhere", True), ("sync_paris", True), ("sync_priority", False), ("sync_priority2", True),
     ("synced_paris", False), ("sync_", False), ("sync_a b", False)],
)  # fmt: skip
def test_destination_keys(key: str, expected: bool) -> None:
    assert is_destination_key(key) is expected
