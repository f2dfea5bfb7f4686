"""Who gets a lock, who loses one, and whose change of a locked file counts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.decide.locks import holder, to_lock, to_unlock, works_at
from everysite.errors import Conflict
from everysite.model.element import Body

KEYS = [f"/{number}" for number in range(6)]
names = st.sampled_from(["", "me", "you"])
elements = st.lists(st.none() | names.map(lambda name: {"lock": name} if name else {}), max_size=6)


@pytest.mark.parametrize(
    ("body", "who"), [({}, ""), ({"lock": None}, ""), ({"lock": ""}, ""), ({"lock": False}, ""), ({"lock": 5}, "5")]
)
def test_odd_values_of_the_key(body: Body, who: str) -> None:
    assert holder(body) == who


@given(elements)
def test_locking_takes_all_that_are_free_or_nothing(bodies: Sequence[Body | None]) -> None:
    held = [holder(body) for body in bodies if body is not None]
    if "you" in held:
        with pytest.raises(Conflict):
            to_lock(KEYS[: len(bodies)], bodies, "me")
    else:
        assert to_lock(KEYS[: len(bodies)], bodies, "me") == [body == {} for body in bodies]


@given(elements, st.booleans())
def test_unlocking_gives_back_what_may_be_given_back_or_nothing(bodies: Sequence[Body | None], anybodys: bool) -> None:
    held = [holder(body) for body in bodies if body is not None]
    foreign = "you" in held and not anybodys
    if foreign or (held and not any(held)):
        with pytest.raises(Conflict):
            to_unlock(KEYS[: len(bodies)], bodies, "me", anybodys)
    else:
        assert to_unlock(KEYS[: len(bodies)], bodies, "me", anybodys) == [bool(body) for body in bodies]


@pytest.mark.parametrize(
    ("user", "here"),
    [
        (None, False),
        ({}, False),
        ({"site": "paris"}, True),
        ({"site": "PARIS"}, True),
        ({"site": ["tokyo", "paris"]}, True),
        ({"site": "tokyo"}, False),
        ({"site": 5}, False),
        ({"site": [None]}, False),
    ],
)
def test_who_works_where(user: Body | None, here: bool) -> None:
    assert works_at(user, "paris") is here
