"""Section 3 of the wire contract: create, read, update, upsert, delete; and the shapes of their answers (section 2)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import Api, Run

from everysite.tracker.events import Told
from everysite.web.options import Options

pytestmark = pytest.mark.anyio


async def exists(api: Api, key: str) -> bool:
    return (await api.ask("POST", "/api/read/", key)).status == 200


# --- read ---


async def test_s3_read_refuses_what_is_no_identifier(api: Api) -> None:
    bodies: list[object] = [[], {}, [{}], 5, None]
    for body in bodies:
        assert (await api.ask("POST", "/api/read/", body)).status == 400, body


async def test_s3_read_answers_in_the_order_and_number_asked(api: Api) -> None:
    one, two = await api.create({"_id": "r1"}, {"_id": "r2"})
    assert (await api.ask("POST", "/api/read/", "r1", "guest")).json == one
    assert (await api.ask("POST", "/api/read/", ["r1"], "guest")).json == [one]
    assert (await api.ask("POST", "/api/read/", ["r2", "r1", "r2"], "guest")).json == [two, one, two]
    assert (await api.ask("GET", "/api/read/r1", as_="guest")).json == one
    assert (await api.ask("GET", "/api/read/r2,r1", as_="guest")).json == [two, one]


async def test_s3_read_of_some_missing_is_207_and_of_all_404(api: Api) -> None:
    [one] = await api.create({"_id": "r3"})
    some = await api.ask("POST", "/api/read/", ["r0", "r3", "r00"])
    assert (some.status, some.json) == (207, [None, one, None])
    for body in ("r0", ["r0"], ["r0", "r00"]):
        assert (await api.ask("POST", "/api/read/", body)).status == 404


# --- create ---


async def test_s3_create_answers_what_it_stored_in_the_shape_of_the_request(api: Api) -> None:
    one = await api.ask("POST", "/api/create/", {"_id": "c1", "k": 1}, "user")
    assert (one.status, one.json["_id"], one.json["k"]) == (201, "c1", 1)
    assert (await api.ask("POST", "/api/read/", "c1")).json == one.json
    array = await api.ask("POST", "/api/create/", [{"_id": "c2"}], "user")
    assert (array.status, [e["_id"] for e in array.json]) == (201, ["c2"])


async def test_s3_create_of_some_taken_is_207_and_of_all_409(api: Api) -> None:
    [old] = await api.create({"_id": "c3", "k": "old"})
    some = await api.ask("POST", "/api/create/", [{"_id": "c4"}, {"_id": "c3", "k": "new"}, {"_id": "c5"}])
    assert some.status == 207
    assert [e and e["_id"] for e in some.json] == ["c4", None, "c5"]
    for body in ({"_id": "c3"}, [{"_id": "c3"}], [{"_id": "c3"}, {"_id": "c4"}], {"_id": ["c3", "c4"]}):
        assert (await api.ask("POST", "/api/create/", body)).status == 409
    assert (await api.ask("POST", "/api/read/", "c3")).json == old


async def test_s3_the_second_of_two_with_one_id_is_a_conflict(api: Api) -> None:
    answer = await api.ask("POST", "/api/create/", [{"_id": "c6", "k": 1}, {"_id": "c6", "k": 2}])
    assert answer.status == 207
    assert [e and e["k"] for e in answer.json] == [1, None]
    assert (await api.ask("POST", "/api/read/", "c6")).json["k"] == 1


@pytest.mark.parametrize("body", [[{"_id": "c7"}, None], [{"_id": "c7"}, "x"], [], None, 5, "text", [[{"_id": "c7"}]]])
async def test_s3_create_refuses_and_stores_nothing(api: Api, body: Any) -> None:
    sent = b"null" if body is None else body
    assert (await api.ask("POST", "/api/create/", sent)).status == 400
    assert not await exists(api, "c7")


async def test_s3_create_may_answer_identifiers(run: Run) -> None:
    async with run(Options(create_returns="ids")) as api:
        assert (await api.ask("POST", "/api/create/", {"_id": "a"})).json == "a"
        assert (await api.ask("POST", "/api/create/", [{"_id": "b"}])).json == ["b"]
        some = await api.ask("POST", "/api/create/", [{"_id": "a"}, {"_id": "c"}])
        assert (some.status, some.json) == (207, [None, "c"])


# --- update ---


async def test_s3_update_answers_the_whole_element_alone_when_there_is_one(api: Api) -> None:
    await api.create({"_id": "u1", "a": 1}, {"_id": "u2"})
    alone = await api.ask("PUT", "/api/update/", {"_id": "u1", "b": 2}, "editor")
    assert (alone.status, alone.json["a"], alone.json["b"]) == (200, 1, 2)
    assert (await api.ask("PUT", "/api/update/", [{"_id": "u1", "b": 3}], "editor")).json["b"] == 3
    both = await api.ask("PUT", "/api/update/", [{"_id": "u2", "b": 4}, {"_id": "u1", "b": 4}], "editor")
    assert [e["_id"] for e in both.json] == ["u2", "u1"]


async def test_s3_update_never_creates(api: Api) -> None:
    await api.create({"_id": "u3"})
    assert (await api.ask("PUT", "/api/update/", {"_id": "u none", "k": 1})).status == 404
    some = await api.ask("PUT", "/api/update/", [{"_id": "u none", "k": 1}, {"_id": "u3", "k": 1}])
    assert (some.status, [e and e["k"] for e in some.json]) == (207, [None, 1])
    assert not await exists(api, "u none")


@pytest.mark.parametrize(
    "body", [None, [], {}, {"_id": "u4"}, {"k": 1}, [{"_id": "u4", "k": 1}, {"_id": "u4"}], 5, "x"]
)
async def test_s3_update_refuses_and_changes_nothing(api: Api, body: Any) -> None:
    await api.ask("POST", "/api/upsert/", {"_id": "u4", "k": 0})
    sent = b"null" if body is None else body
    assert (await api.ask("PUT", "/api/update/", sent)).status == 400
    assert (await api.ask("POST", "/api/read/", "u4")).json["k"] == 0


async def test_s3_two_updates_of_one_element_are_applied_in_order(api: Api) -> None:
    await api.create({"_id": "u5", "n": 0}, {"_id": "u6", "n": 0})
    items = [{"_id": "u5", "n": 1, "a": 1}, {"_id": "u6", "n": 5}, {"_id": "u5", "n": 2, "a": None}]
    answer = await api.ask("PUT", "/api/update/", items)
    assert [e["n"] for e in answer.json] == [1, 5, 2]
    found = (await api.ask("POST", "/api/read/", "u5")).json
    assert (found["n"], "a" in found) == (2, False)


# --- upsert ---


async def test_s3_upsert_answers_created_ones_first(api: Api) -> None:
    await api.create({"_id": "p1", "n": 0}, {"_id": "p2", "n": 0})
    items = [{"_id": "p1", "n": 1}, {"_id": "p3", "n": 2}, {"_id": "p2", "n": 3}, {"_id": "p4", "n": 4}]
    answer = await api.ask("POST", "/api/upsert/", items, "editor")
    assert answer.status == 200
    assert [(e["_id"], e["n"]) for e in answer.json] == [("p3", 2), ("p4", 4), ("p1", 1), ("p2", 3)]
    assert [e["author"] for e in answer.json] == ["editor", "editor", "admin", "admin"]


async def test_s3_upsert_of_nothing_is_an_empty_array(api: Api) -> None:
    answer = await api.ask("POST", "/api/upsert/", [])
    assert (answer.status, answer.json) == (200, [])


async def test_s3_upsert_of_an_id_alone_leaves_the_element(api: Api) -> None:
    [old] = await api.create({"_id": "p5", "kept": [1]})
    answer = await api.ask("POST", "/api/upsert/", {"_id": "p5"})
    assert (answer.status, answer.json) == (200, old)
    assert (await api.ask("POST", "/api/read/", "p5")).json == old
    assert (await api.ask("POST", "/api/upsert/", {"_id": "p6"})).json["_id"] == "p6"


async def test_s3_upserts_of_one_element_are_applied_in_order(api: Api) -> None:
    answer = await api.ask(
        "POST", "/api/upsert/", [{"_id": "p7", "n": 1}, {"_id": "p7", "n": 2}, {"_id": "p7", "m": 3}]
    )
    assert [e.get("n") for e in answer.json] == [1, 2, 2]
    assert (await api.ask("POST", "/api/read/", "p7")).json["m"] == 3


async def test_s3_upsert_of_one_is_answered_alone(api: Api) -> None:
    assert (await api.ask("POST", "/api/upsert/", [{"_id": "p8"}])).json["_id"] == "p8"
    assert (await api.ask("POST", "/api/upsert/", {"_id": ["p8"], "k": 1})).json["k"] == 1


# --- delete ---


async def test_s3_delete_answers_identifiers(api: Api) -> None:
    await api.create(*({"_id": f"d{n}"} for n in range(5)))
    assert (await api.ask("DELETE", "/api/delete/", "d0", "editor")).json == "d0"
    assert (await api.ask("DELETE", "/api/delete/", ["d1"], "editor")).json == ["d1"]
    some = await api.ask("DELETE", "/api/delete/", ["d2", "d0", "d3", "d2"], "editor")
    assert (some.status, some.json) == (207, ["d2", None, "d3", None])
    assert (await api.ask("DELETE", "/api/delete/", ["d0", "d1"], "editor")).status == 404
    assert [await exists(api, f"d{n}") for n in range(5)] == [False, False, False, False, True]


@pytest.mark.parametrize("body", [5, [5], ["d6", 5], {}, [], None, True, {"_id": "d6"}, [{"_id": "d6"}], [None], ""])
async def test_s3_delete_of_no_identifier_deletes_nothing(api: Api, body: Any) -> None:
    """The reference deletes the whole collection for a number."""
    await api.ask("POST", "/api/upsert/", {"_id": "d6"})
    sent = b"null" if body is None else body
    assert (await api.ask("DELETE", "/api/delete/", sent)).status == 400
    assert await exists(api, "d6")


async def test_s3_delete_leaves_children_and_links(api: Api) -> None:
    await api.create(
        {"_id": "d7"}, {"_id": "d7 child", "#parent": "d7"}, {"_id": "d7 link", "src_id": "d7", "tgt_id": "d4"}
    )
    assert (await api.ask("DELETE", "/api/delete/", "d7")).status == 200
    assert await exists(api, "d7 child")
    assert await exists(api, "d7 link")


# --- all of them ---


async def test_s3_a_request_that_is_refused_stores_none_of_its_items(api: Api) -> None:
    await api.create({"_id": "t1", "n": 0})
    items = [{"_id": "t1", "n": 1}, {"_id": "t2"}, {"_id": "t3", "$x": 1}]
    for verb in ("create", "upsert"):
        assert (await api.ask("POST", f"/api/{verb}/", items)).status == 400
    assert (await api.ask("PUT", "/api/update/", items)).status == 400
    # A user is refused in the middle of the unit, after others were written.
    items = [{"_id": "t1", "n": 1}, {"_id": "t1", "n": 2}, {"_id": "@admin", "n": 1}]
    assert (await api.ask("PUT", "/api/update/", items, "editor")).status == 403
    assert (await api.ask("POST", "/api/upsert/", items, "editor")).status == 403
    assert (await api.ask("POST", "/api/read/", "t1")).json["n"] == 0
    assert not await exists(api, "t2")


async def test_s3_works_without_a_trailing_slash_and_by_override(api: Api) -> None:
    assert (await api.ask("POST", "/api/create", {"_id": "t4"})).status == 201
    override = {"X-HTTP-Method-Override": "DELETE"}
    assert (await api.ask("POST", "/api/delete", "t4", headers=override)).json == "t4"


@pytest.mark.parametrize(
    ("method", "verb", "body", "least"),
    [
        ("POST", "create", {"_id": "x"}, "user"),
        ("PUT", "update", {"_id": "x none", "k": 1}, "editor"),
        ("POST", "upsert", {"_id": "x"}, "editor"),
        ("DELETE", "delete", "x none", "editor"),
        ("PUT", "lock", "x none", "user"),
        ("PUT", "unlock", "x none", "user"),
        ("POST", "comment", {"#parent": "x none", "comment": "c"}, "user"),
        ("POST", "publish", {"_id": "/x", "comment": "", "origin": "online"}, "user"),
        ("POST", "version/x none", {"file": "f"}, "user"),
    ],
)
async def test_s3_the_class_is_asked_before_existence(api: Api, method: str, verb: str, body: Any, least: str) -> None:
    ranks = ["", "guest", "user", "editor", "admin"]
    target = f"/api/{verb}".replace(" ", "%20")
    for rank in ranks:
        answer = await api.ask(method, target, body, rank)
        refused = ranks.index(rank) < ranks.index(least)
        assert (answer.status in (401, 403)) == refused, (rank, answer.text)
    await api.ask("DELETE", "/api/delete/", ["x", "/x"])


async def test_s3_restricted_keys_are_dropped_for_all_but_admins(api: Api) -> None:
    """An editor who could write these could sign in as anybody."""
    sent = {"class": "admin", "username": "eve", "disable": False, "author": "ada", "time": 5, "active": True}
    secret = {"password": "5f4dcc3b5aa765d61d8327deb882cf99"}
    answers = [
        await api.ask("POST", "/api/create/", {"_id": "eve", **sent, **secret}, "user"),
        await api.ask("PUT", "/api/update/", {"_id": "eve", **sent, **secret}, "editor"),
        await api.ask("POST", "/api/upsert/", {"_id": "eve", **sent, **secret}, "editor"),
        await api.ask("POST", "/api/upsert/", {"_id": "eve two", **sent, **secret}, "editor"),
        await api.ask("POST", "/api/comment/", {"#parent": "eve", "comment": "c", **sent, **secret}, "user"),
        await api.ask("POST", "/api/version/eve", {"file": "f", **sent, **secret}, "user"),
    ]
    for answer in answers:
        assert {"class", "username", "disable", "password"}.isdisjoint(answer.json), answer.text
        assert answer.json["author"] in ("user", "editor")
        assert answer.json["time"] > 5
        assert answer.json["active"] is False
    published = await api.ask(
        "POST", "/api/publish/", {"_id": "/eve", "comment": "", "origin": "online", **sent, **secret}, "user"
    )
    assert all({"class", "username", "disable", "password"}.isdisjoint(e) for e in published.json)


@pytest.mark.parametrize("name", ["class.x", "username.x", "password.x", "author.x"])
async def test_s3_restricted_keys_cannot_be_reached_by_dots(api: Api, name: str) -> None:
    await api.ask("POST", "/api/upsert/", {"_id": "dots"}, "editor")
    answer = await api.ask("PUT", "/api/update/", {"_id": "dots", name: "admin", "k": 1}, "editor")
    assert answer.status == 200
    assert answer.json.keys() == {"_id", "author", "time", "k"}


async def test_s3_users_sites_and_globals_are_out_of_reach_below_admin(api: Api) -> None:
    await api.create({"_id": "site/s3", "class": "volume", "name": "s3", "url": ""})
    for key in ("@admin", "@editor", "site/s3", "rsyncGlobalParameters"):
        before = (await api.ask("POST", "/api/read/", key)).json
        for method, verb, body in (
            ("PUT", "update", {"_id": key, "email": "eve@example.com", "password": "x"}),
            ("POST", "upsert", {"_id": key, "email": "eve@example.com"}),
            ("DELETE", "delete", key),
            ("PUT", "lock", key),
            ("PUT", "unlock", key),
            ("POST", f"version/{key}", {"file": "f"}),
        ):
            answer = await api.ask(method, f"/api/{verb}", body, "editor")
            assert answer.status == 403, (verb, key, answer.text)
        assert (await api.ask("POST", "/api/read/", key)).json == before
    for key in ("@eve", "rsyncGlobalParameters"):
        assert (await api.ask("POST", "/api/create/", {"_id": key}, "editor")).status in (403, 409)
        assert (await api.ask("POST", "/api/upsert/", {"_id": key, "k": 1}, "editor")).status == 403


async def test_s3_an_editors_element_with_name_and_url_is_no_site(api: Api) -> None:
    made = await api.create({"_id": "trap", "name": "trap", "url": "file:///srv/trap/"}, as_="editor")
    assert "class" not in made[0]
    await api.ask("PUT", "/api/update/", {"_id": "trap", "k": 1})
    assert (await api.ask("GET", "/api/sites/trap")).status == 404


async def test_s3_an_admin_makes_changes_and_deletes_users_as_elements(api: Api) -> None:
    digest = "5f4dcc3b5aa765d61d8327deb882cf99"  # MD5 of "password"
    made = await api.ask("POST", "/api/create/", {"username": "bea", "password": digest, "class": "user"})
    assert (made.status, made.json["_id"], made.json["class"]) == (201, "@bea", "user")
    assert "password" not in made.json
    signed = await api.ask("POST", "/api/signIn/", {"username": "bea", "password": "password"}, as_="")
    assert signed.status == 200
    headers = {"Authorization": f"Bearer {signed.json['token']}"}
    assert (await api.ask("GET", "/api/verify/", as_="", headers=headers)).json["_id"] == "@bea"
    new = "8f14e45fceea167a5a36dedd4bea2543" + "0" * 8
    assert (await api.ask("PUT", "/api/update/", {"_id": "@bea", "password": new})).status == 200
    assert (await api.ask("GET", "/api/verify/", as_="", headers=headers)).status == 401
    assert digest not in (await api.ask("GET", "/api/read/@bea")).text
    assert (await api.ask("DELETE", "/api/delete/", "@bea")).json == "@bea"
    assert (await api.ask("POST", "/api/signIn/", {"username": "bea", "password": "password"}, as_="")).status == 401
    assert (await api.ask("GET", "/api/users")).text.count("bea") == 0


async def test_s3_the_last_admin_stays(api: Api) -> None:
    for method, verb, body in (
        ("DELETE", "delete", ["@admin"]),
        ("PUT", "update", {"_id": "@admin", "class": "user"}),
        ("POST", "upsert", {"_id": "@admin", "disable": True}),
    ):
        assert (await api.ask(method, f"/api/{verb}", body)).status == 409
    assert (await api.ask("GET", "/api/verify/")).json["class"] == "admin"


async def test_s3_an_admin_makes_changes_and_deletes_sites_as_elements(api: Api) -> None:
    made = await api.ask("POST", "/api/create/", {"_id": "vol/lima", "name": "lima", "url": "file:///srv/lima"})
    assert (made.json["class"], made.json["url"]) == ("volume", "file:///srv/lima/")
    site = await api.ask("GET", "/api/sites/lima")
    assert site.json["mappings"][0]["url"] == "file:///srv/lima/"
    await api.ask("PUT", "/api/update/", {"_id": "vol/lima", "prefix": "/shots/"})
    assert (await api.ask("GET", "/api/sites/lima")).json["mappings"][0]["prefix"] == "/shots/"
    upserted = await api.ask("POST", "/api/upsert/", {"_id": "vol/lima", "paused": True})
    assert upserted.json["paused"] is True
    assert (await api.ask("GET", "/api/sites/lima")).json["paused"] is True
    assert (await api.ask("PUT", "/api/update/", {"_id": "vol/lima", "prefix": "../x"})).status == 400
    taken = {"_id": "vol/lima2", "class": "volume", "name": "LIMA", "url": ""}
    assert (await api.ask("POST", "/api/create/", taken)).status == 409
    assert (await api.ask("DELETE", "/api/delete/", "vol/lima")).status == 200
    assert (await api.ask("GET", "/api/sites/lima")).status == 404
    await api.create({"_id": "vol/quito", "class": "volume", "name": "quito", "url": ""})
    assert (await api.ask("PUT", "/api/update/", {"_id": "vol/quito", "class": None})).status == 200
    assert (await api.ask("GET", "/api/sites/quito")).status == 404


async def test_s3_author_mode_treats_foreign_elements_as_missing(run: Run) -> None:
    async with run(author_mode=True) as api:
        await api.create({"_id": "mine", "n": 0}, as_="user")
        await api.create({"_id": "theirs", "n": 0}, as_="editor")
        await api.create({"_id": "shared", "n": 0, "author": ["user", "editor"]})
        for rank in ("user", "editor"):
            own, foreign = ("mine", "theirs") if rank == "user" else ("theirs", "mine")
            for method, verb, body in (
                ("POST", "read", foreign),
                ("GET", f"read/{foreign}", None),
                ("PUT", "update", {"_id": foreign, "n": 1}),
                ("DELETE", "delete", foreign),
                ("PUT", "lock", foreign),
                ("PUT", "unlock", foreign),
                ("POST", "comment", {"#parent": foreign, "comment": "c"}),
                ("POST", f"version/{foreign}", {"file": "f"}),
            ):
                assert (await api.ask(method, f"/api/{verb}", body, rank)).status == 404, (rank, verb)
            assert (await api.ask("POST", "/api/upsert/", {"_id": foreign, "n": 1}, rank)).status == 409
            some = await api.ask("POST", "/api/read/", [own, foreign, "shared"], rank)
            assert (some.status, [e and e["_id"] for e in some.json]) == (207, [own, None, "shared"])
            assert (await api.ask("PUT", "/api/update/", {"_id": own, "n": 2}, rank)).json["n"] == 2
            assert (await api.ask("POST", "/api/upsert/", {"_id": own, "n": 3}, rank)).json["n"] == 3
        assert (await api.ask("PUT", "/api/update/", {"_id": "shared", "author": "user", "n": 1}, "user")).status == 200
        assert (await api.ask("POST", "/api/read/", "shared")).json["author"] == ["user", "editor"]
        assert (await api.ask("DELETE", "/api/delete/", "mine", "user")).json == "mine"
        assert (await api.ask("POST", "/api/upsert/", {"_id": "new", "n": 1}, "guest")).status == 403


async def test_s3_one_event_a_request_and_no_nulls(api: Api) -> None:
    await api.create({"_id": "e1", "n": 0})
    heard: list[Told] = []
    stop = api.service.events.listen(heard.append)

    async def told(method: str, verb: str, body: Any) -> list[tuple[list[str], list[str], list[str]]]:
        heard.clear()
        await api.ask(method, f"/api/{verb}/", body)
        return [([b["_id"] for b in t.created], [b["_id"] for b in t.updated], list(t.removed)) for t in heard]

    assert await told("POST", "create", [{"_id": "e1"}, {"_id": "e2"}, {"_id": "e3"}]) == [(["e2", "e3"], [], [])]
    assert await told("PUT", "update", [{"_id": "e1", "n": 1}, {"_id": "e none", "n": 1}]) == [([], ["e1"], [])]
    assert heard[0].updated[0]["n"] == 1
    assert await told("POST", "upsert", [{"_id": "e1", "n": 2}, {"_id": "e4"}, {"_id": "e2"}]) == [(["e4"], ["e1"], [])]
    assert await told("DELETE", "delete", ["e2", "e none", "e3"]) == [([], [], ["e2", "e3"])]
    for method, verb, body in (
        ("POST", "create", {"_id": "e1"}),
        ("PUT", "update", {"_id": "e none", "n": 1}),
        ("POST", "upsert", []),
        ("DELETE", "delete", "e none"),
        ("POST", "create", [{"_id": "e9"}, {"$": 1}]),
    ):
        assert await told(method, verb, body) == []
    stop()
