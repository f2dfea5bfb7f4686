from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from everysite.decide.elements import (
    RESTRICTED,
    changed_keys,
    clean,
    merge_update,
    publish_problem,
    stamped,
    unfold,
    without,
)
from everysite.errors import BadRequest
from everysite.model.clock import Version
from everysite.model.element import Element

names = st.sampled_from(["a", "b", "c", "time", "sync_paris"])
scalars = st.one_of(st.booleans(), st.integers(0, 2), st.text(max_size=2))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=2)),
    max_leaves=5,
)
bodies = st.dictionaries(names, values, max_size=4)
changes = st.dictionaries(
    st.one_of(names, st.builds("{}.{}".format, names, names)), st.one_of(st.none(), values), max_size=3
)


def merged(body: dict[str, Any], change: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return merge_update(body, change)
    except BadRequest:
        return None


@given(bodies, changes)
def test_an_update_changes_no_value_it_was_given(body: dict[str, Any], change: dict[str, Any]) -> None:
    before = copy.deepcopy((body, change))
    merged(body, change)
    assert (body, change) == before


@given(bodies, st.dictionaries(names, st.one_of(st.none(), values), max_size=3))
def test_top_level_keys_are_set_or_deleted(body: dict[str, Any], change: dict[str, Any]) -> None:
    after = merge_update(body, change)
    for key in body.keys() | change.keys():
        expected = change[key] if key in change else body[key]
        assert after.get(key) == expected
        assert (key in after) == (expected is not None)


@given(bodies, changes)
def test_an_update_twice_is_an_update_once(body: dict[str, Any], change: dict[str, Any]) -> None:
    once = merged(body, change)
    if once is not None and not any(a != b and b.startswith(a + ".") for a in change for b in change):
        assert merged(once, change) == once


def test_dotted_keys_reach_into_objects() -> None:
    body = {"a": {"b": {"c": 1, "d": 2}}, "x": 1}
    assert merge_update(body, {"a.b.c": 5}) == {"a": {"b": {"c": 5, "d": 2}}, "x": 1}
    assert merge_update(body, {"a.b.c": None}) == {"a": {"b": {"d": 2}}, "x": 1}
    assert merge_update(body, {"n.m": 1})["n"] == {"m": 1}
    assert merge_update(body, {"n.m": None}) == body
    assert merge_update(body, {"a": {"z": 0}})["a"] == {"z": 0}
    assert merge_update(body, {"_id": "other"}) == body


@pytest.mark.parametrize("key", ["$set", "a.$b", "", "a..b", ".a", "x.y"])
def test_keys_that_lead_nowhere_are_refused(key: str) -> None:
    with pytest.raises(BadRequest, match="key"):
        merge_update({"x": 1}, {key: 1})


@given(
    st.dictionaries(st.sampled_from([*RESTRICTED, "a", "time.x", "active"]), scalars),
    st.sampled_from(["guest", "user", "editor"]),
)
def test_only_admins_write_restricted_keys(body: dict[str, Any], who: Any) -> None:
    kept = clean(body, who)
    assert kept.keys() == body.keys() - RESTRICTED - {"time.x"}
    assert kept.get("active", False) is False
    assert clean(body, "admin") == {key: value for key, value in body.items() if key.split(".")[0] != "password"}


PUBLISH = {"_id": "/a", "comment": "", "origin": "paris"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"_id": None}, "_id"),
        ({"_id": "a"}, "'/'"),
        ({"_id": "/../a"}, "'..'"),
        ({"_id": "/a//b"}, "two slashes"),
        ({"_id": "/a\0"}, "NUL"),
        ({"_id": []}, "at least one"),
        ({"_id": ["/a", 5]}, "5"),
        ({"comment": None}, "comment"),
        ({"comment": 5}, "comment"),
        ({"origin": None}, "origin is missing"),
        ({"origin": "a b"}, "no site name"),
        ({"origin": "support"}, "reserved"),
        ({"origin": ["paris"]}, "origin"),
        ({"$where": 1}, "'$'"),
    ],
)
def test_what_is_wrong_with_a_publish_is_said(change: dict[str, Any], word: str) -> None:
    problem = publish_problem(PUBLISH | change)
    assert problem is not None and word in problem


@pytest.mark.parametrize("item", [None, [], "x", 5])
def test_a_publish_is_an_object(item: Any) -> None:
    assert publish_problem(item) is not None


def test_a_publish_of_one_or_several_paths() -> None:
    assert publish_problem(PUBLISH) is None
    assert publish_problem(PUBLISH | {"_id": ["/a", "/pack/"], "own": {"x": None}}) is None
    assert [item["_id"] for item in unfold(PUBLISH | {"_id": ["/a", "/b"]})] == ["/a", "/b"]
    assert unfold(PUBLISH) == [PUBLISH]


versions = st.builds(Version, st.integers(1, 9), st.integers(0, 3))


@given(bodies, bodies, versions, versions)
def test_only_changed_keys_get_the_new_version(
    before: dict[str, Any], after: dict[str, Any], first: Version, second: Version
) -> None:
    old = stamped(None, Element("/a", before), first)
    assert (old.version, old.late) == (first, {})
    new = stamped(old, replace(old, body=after), second)
    assert new.version == first
    assert set(new.late) - {"time"} == set(changed_keys(before, after)) - {"time"}
    assert set(new.late.values()) <= {second}
    assert stamped(new, new, Version(99, 0)) == new


def test_what_belongs_together_gets_one_version() -> None:
    old = stamped(None, Element("/a", {"time": 1, "author": "ann", "note": 1, "origin": "paris"}), Version(1, 0))
    new = stamped(old, replace(old, body=old.body | {"time": 2}), Version(2, 0))
    assert new.late == dict.fromkeys(["author", "origin", "time"], Version(2, 0))


def test_true_and_1_are_two_values() -> None:
    assert changed_keys({"a": True, "b": [1], "c": {"d": 0}}, {"a": 1, "b": [1], "c": {"d": False}}) == ["a", "c"]


def test_keys_are_taken_out() -> None:
    assert without({"a": 1, "b": 2}, ["b", "z"]) == {"a": 1}
