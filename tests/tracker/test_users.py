"""The rules of user elements, as the verbs that write elements use them."""

from __future__ import annotations

from typing import Any

import pytest

from everysite.errors import BadRequest, Forbidden
from everysite.model.element import Element
from everysite.tracker.operation import Caller
from everysite.tracker.passwords import Passwords
from everysite.tracker.users import UserElements, bare, class_of, is_user

pytestmark = pytest.mark.anyio
ADMIN, EDITOR = Caller("admin", "admin"), Caller("ed", "editor")
NARROW = Caller("admin", "admin", prefix="/shots/", scoped=True)


@pytest.fixture
def users() -> UserElements:
    return UserElements(Passwords(), lambda: None)


async def test_passwords_are_taken_out_of_every_item(users: UserElements) -> None:
    given: list[tuple[str, dict[str, Any]]] = [
        ("@a", {"password": "0" * 32, "n": 1}),
        ("b", {"n": 2}),
        ("@c", {"password": None}),
    ]
    items, kept = await users.take_passwords(ADMIN, given)
    assert items == [("@a", {"n": 1}), ("b", {"n": 2}), ("@c", {})]
    assert kept.keys() == {"@a"} and kept["@a"].startswith("md5:$argon2id$")
    assert given[0][1]["password"], "what came in is not ours to change"
    for caller in (EDITOR, NARROW):
        items, kept = await users.take_passwords(caller, given)
        assert (items[0], kept) == (("@a", {"n": 1}), {})


def test_plain_documents_stay_as_they_are(users: UserElements) -> None:
    body = {"class": "shot", "n": 1}
    assert users.checked(EDITOR, "x", None, body) is body
    with pytest.raises(BadRequest, match="only a user has a password"):
        users.checked(ADMIN, "x", None, body, "md5:...")


@pytest.mark.parametrize(
    ("key", "body", "name", "rank"),
    [
        ("@anna", {}, "anna", "guest"),
        ("@anna", {"username": "@anna", "class": "editor"}, "anna", "editor"),
        ("54f0", {"username": "anna"}, "anna", "guest"),
        ("@Anna-B.2", {}, "Anna-B.2", "guest"),
    ],
)
def test_a_user_gets_what_every_user_has(
    users: UserElements, key: str, body: dict[str, Any], name: str, rank: str
) -> None:
    made = users.checked(ADMIN, key, None, body)
    assert (made["username"], made["class"]) == (name, rank)
    for caller in (EDITOR, NARROW):
        with pytest.raises(Forbidden):
            users.checked(caller, key, None, body)


def test_a_user_stays_the_user_they_are(users: UserElements) -> None:
    for key in ("@anna", "54f0"):
        before = Element(key, {"username": "anna", "class": "user"})
        assert users.checked(ADMIN, key, before, {"class": "user"})["username"] == "anna"
        assert users.checked(ADMIN, key, before, {"username": "anna"})["class"] == "guest"
        with pytest.raises(BadRequest, match=r"stays|has to be"):
            users.checked(ADMIN, key, before, {"username": "bert"})


@pytest.mark.parametrize(
    "name", ["", " ", "@", "a b", "a/b", "a,b", "a@b", "x" * 65, "Support", "agent", "ANONYMOUS", 5, None]
)
def test_names_that_are_none(name: object) -> None:
    with pytest.raises(BadRequest):
        bare(name)


def test_what_a_user_is() -> None:
    assert is_user("@anna", {}) and is_user("x", {"username": "anna"}) and not is_user("x", {"user": 1})
    assert [class_of({"class": c}) for c in ("admin", "root", 5, None, ["admin"])] == ["admin"] + ["guest"] * 4
