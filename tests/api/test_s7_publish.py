"""Section 7 of the wire contract: publish, comment, version."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import Api, Run

from everysite.tracker.events import Told
from everysite.web.options import Options

pytestmark = pytest.mark.anyio
ITEM = {"comment": "first", "origin": "online"}


async def publish(api: Api, body: Any, as_: str = "user") -> Any:
    return await api.ask("POST", "/api/publish/", body, as_)


async def comment(api: Api, body: Any, as_: str = "user") -> Any:
    return await api.ask("POST", "/api/comment/", body, as_)


async def version(api: Api, key: str, body: Any, as_: str = "user") -> Any:
    return await api.ask("POST", f"/api/version/{key}", body, as_)


async def children(api: Api, key: str) -> list[Any]:
    ids = (await api.ask("POST", "/api/search_mongo/", {"query": {"#parent": key}})).json["ids"]
    return (await api.ask("POST", "/api/read/", ids)).json if ids else []


# --- publish ---


async def test_s7_publish_answers_elements_and_then_their_children(api: Api) -> None:
    keys = {"file_mtime": 1500000000000, "file_size": 5, "version": 3, "sync_priority": 2, "own": {"a": 1}}
    answer = await publish(api, {"_id": "/p/one.exr", **ITEM, **keys})
    assert answer.status == 201
    element, child = answer.json
    assert element["_id"] == "/p/one.exr"
    assert child["#parent"] == "/p/one.exr"
    assert child["_id"] != element["_id"]
    for found in (element, child):
        assert {name: found[name] for name in (*ITEM, *keys)} == {**ITEM, **keys}
        assert found["author"] == "user"
        assert found["time"] == element["time"]
    assert await children(api, "/p/one.exr") == [child]


async def test_s7_publish_takes_an_array_of_paths(api: Api) -> None:
    answer = await publish(api, {"_id": ["/p/2a", "/p/2b"], **ITEM})
    assert answer.status == 201
    assert [e["_id"] for e in answer.json[:2]] == ["/p/2a", "/p/2b"]
    assert [e["#parent"] for e in answer.json[2:]] == ["/p/2a", "/p/2b"]
    both = await publish(api, [{"_id": ["/p/2c"], **ITEM}, {"_id": "/p/2d/", **ITEM}])
    assert [e.get("#parent") or e["_id"] for e in both.json] == ["/p/2c", "/p/2d/"] * 2


async def test_s7_publish_of_some_tracked_is_207_and_of_all_409(api: Api) -> None:
    await publish(api, {"_id": "/p/3", **ITEM})
    some = await publish(api, [{"_id": ["/p/3", "/p/4"], **ITEM}, {"_id": "/p/4", **ITEM}])
    assert some.status == 207
    assert [e and e["_id"] for e in some.json[:3]] == [None, "/p/4", None]
    assert [e["#parent"] for e in some.json[3:]] == ["/p/4"]
    for body in ({"_id": "/p/3", **ITEM}, {"_id": ["/p/3", "/p/4"], **ITEM}):
        assert (await publish(api, body)).status == 409
    assert len(await children(api, "/p/3")) == 1


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {},
        5,
        [None],
        {"_id": "/p/5", "comment": "c"},
        {"_id": "/p/5", "origin": "online"},
        {"comment": "c", "origin": "online"},
        {"_id": "p/5", **ITEM},
        {"_id": [], **ITEM},
        {"_id": ["/p/5", "no path"], **ITEM},
        {"_id": ["/p/5", 5], **ITEM},
        {"_id": "/p/../5", **ITEM},
        {"_id": "/p//5", **ITEM},
        {"_id": "/p/5", "comment": 5, "origin": "online"},
        {"_id": "/p/5", "comment": None, "origin": "online"},
        {"_id": "/p/5", "comment": "", "origin": "no/site name"},
        {"_id": "/p/5", "comment": "", "origin": "priority"},
        [{"_id": "/p/5", **ITEM}, {"_id": "/p/6", "comment": ""}],
        [{"_id": "/p/5", **ITEM}, None],
    ],
)
async def test_s7_a_wrong_publish_is_400_and_stores_nothing(api: Api, body: Any) -> None:
    sent = b"null" if body is None else body
    assert (await publish(api, sent)).status == 400
    assert (await api.ask("POST", "/api/read/", "/p/5")).status == 404
    assert await children(api, "/p/5") == []


async def test_s7_publish_tells_of_elements_and_of_children(api: Api) -> None:
    heard: list[Told] = []
    stop = api.service.events.listen(heard.append)
    answer = await publish(api, {"_id": ["/p/7", "/p/8"], **ITEM})
    assert (await publish(api, {"_id": "/p/7", **ITEM})).status == 409
    stop()
    assert [list(told.created) for told in heard] == [answer.json[:2], answer.json[2:]]


async def test_s7_state_of_sites_may_come_with_a_publish(api: Api) -> None:
    await api.create({"_id": "vol/p", "class": "volume", "name": "p", "url": ""})
    await publish(api, {"_id": "/p/9", "comment": "", "origin": "p", "synced_p": 1500000000000, "sync_p": False})
    found = (await api.ask("POST", "/api/read/", "/p/9")).json
    assert (found["synced_p"], found["sync_p"]) == (1500000000000, False)
    refused = await publish(api, {"_id": "/p/10", "comment": "", "origin": "p", "synced_p": "soon"})
    assert refused.status == 400
    assert (await api.ask("POST", "/api/read/", "/p/10")).status == 404


# --- comment ---


async def test_s7_a_comment_on_one_parent_is_one_object(api: Api) -> None:
    await api.create({"_id": "m1"})
    answer = await comment(api, {"#parent": "m1", "comment": "look", "extra": [1]})
    assert answer.status == 201
    found = answer.json
    assert (found["#parent"], found["comment"], found["extra"], found["author"]) == ("m1", "look", [1], "user")
    assert found["time"] > 1_500_000_000_000
    assert await children(api, "m1") == [found]


async def test_s7_a_comment_on_several_parents_is_an_array(api: Api) -> None:
    await api.create({"_id": "m2"}, {"_id": "m3"})
    answer = await comment(api, {"#parent": ["m3", "m2"], "comment": "both"})
    assert (answer.status, [c["#parent"] for c in answer.json]) == (201, ["m3", "m2"])
    alone = await comment(api, {"#parent": ["m2"], "comment": "one of an array"})
    assert [c["#parent"] for c in alone.json] == ["m2"]


async def test_s7_an_array_of_comments(api: Api) -> None:
    await api.create({"_id": "m4"}, {"_id": "m5"})
    answer = await comment(api, [{"#parent": "m4", "comment": "a"}, {"#parent": ["m5", "m4"], "comment": "b"}])
    assert (answer.status, [(c["#parent"], c["comment"]) for c in answer.json]) == (
        201,
        [("m4", "a"), ("m5", "b"), ("m4", "b")],
    )
    assert (await comment(api, [{"#parent": "m4", "comment": "c"}])).json[0]["comment"] == "c"


async def test_s7_some_parents_missing_is_207_and_all_404(api: Api) -> None:
    await api.create({"_id": "m6"})
    some = await comment(api, {"#parent": ["none", "m6"], "comment": "c"})
    assert (some.status, some.json[0], some.json[1]["#parent"]) == (207, None, "m6")
    for parent in ("none", ["none"], ["none", "nor"]):
        assert (await comment(api, {"#parent": parent, "comment": "c"})).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"#parent": "m7"},
        {"#parent": "m7", "comment": ""},
        {"#parent": "m7", "comment": 5},
        {"#parent": "m7", "comment": None},
        {"comment": "c"},
        {"#parent": [], "comment": "c"},
        {"#parent": "", "comment": "c"},
        {"#parent": None, "comment": "c"},
        {"#parent": 5, "comment": "c"},
        {"#parent": ["m7", None], "comment": "c"},
        {"#parent": "m7", "comment": "c", "$x": 1},
        [{"#parent": "m7", "comment": "c"}, {"#parent": "m7"}],
        [],
        "m7",
    ],
)
async def test_s7_a_wrong_comment_is_400_and_stores_nothing(api: Api, body: Any) -> None:
    await api.ask("POST", "/api/upsert/", {"_id": "m7"})
    assert (await comment(api, body)).status == 400
    assert await children(api, "m7") == []


async def test_s7_comments_are_found_by_their_parent_whatever_its_id(api: Api) -> None:
    key = "0123456789abcdef01234567"
    await api.create({"_id": key}, {"_id": "m8"})
    await comment(api, {"#parent": [key, "m8"], "comment": "found"})
    assert len(await children(api, key)) == 1


async def test_s7_comments_may_always_be_an_array(run: Run) -> None:
    async with run(Options(comment_returns="array")) as api:
        await api.create({"_id": "m"})
        answer = await comment(api, {"#parent": "m", "comment": "c"})
        assert (answer.status, [c["comment"] for c in answer.json]) == (201, ["c"])


async def test_s7_a_comment_is_one_create_event(api: Api) -> None:
    await api.create({"_id": "m9"})
    heard: list[Told] = []
    stop = api.service.events.listen(heard.append)
    answer = await comment(api, {"#parent": ["m9", "none"], "comment": "c"})
    stop()
    assert [list(told.created) for told in heard] == [[answer.json[0]]]


# --- version ---


@pytest.mark.parametrize(
    ("file", "kept"),
    [
        ("/v/scene.ma", "/v/scene_{time}.ma"),
        ("scene.v1.ma", "scene.v1_{time}.ma"),
        ("/dir.x/scene", "/dir.x/scene_{time}"),
        ("/v/package/", "/v/package_{time}/"),
        ("/v/package.x/", "/v/package.x_{time}/"),
        (".hidden", ".hidden_{time}"),
    ],
)
async def test_s7_the_old_state_is_kept_under_the_old_file_name(api: Api, file: str, kept: str) -> None:
    [old] = await api.create({"_id": f"v {file}", "file": file, "k": 1, "version": 9, "time": 1500000000000})
    answer = await version(api, f"v%20{file}", {"file": "/v/new.ma", "n": 2}, "editor")
    assert answer.status == 201
    [child] = await children(api, f"v {file}")
    assert child["file"] == kept.format(time=1500000000000)
    assert "version" not in child
    assert (child["#parent"], child["k"], child["author"], child["time"]) == (old["_id"], 1, "admin", old["time"])


async def test_s7_the_element_is_reduced_to_the_new_keys(api: Api) -> None:
    await api.create({"_id": "v1", "file": "a.ma", "old": 1})
    answer = await version(api, "v1", {"file": "b.ma", "new": 2}, "editor")
    assert answer.json.keys() == {"_id", "file", "new", "author", "time", "version"}
    assert (answer.json["file"], answer.json["author"], answer.json["version"]) == ("b.ma", "editor", 2)
    assert (await api.ask("POST", "/api/read/", "v1")).json == answer.json


async def test_s7_versions_are_counted_and_comments_are_not(api: Api) -> None:
    await api.create({"_id": "v2", "file": "a.ma"})
    for number in (2, 3, 4):
        await comment(api, {"#parent": "v2", "comment": "c", "file": "attached.png"})
        assert (await version(api, "v2", {"file": "a.ma"})).json["version"] == number


async def test_s7_a_version_of_what_had_no_file_is_counted_too(api: Api) -> None:
    await api.create({"_id": "v3"})
    assert [(await version(api, "v3", {"file": "x"})).json["version"] for _ in range(3)] == [2, 3, 4]


@pytest.mark.parametrize(
    "body", [{}, {"file": ""}, {"file": 5}, {"file": None}, {"n": 1}, [], "x", {"file": "f", "$x": 1}]
)
async def test_s7_a_version_without_a_file_is_400(api: Api, body: Any) -> None:
    await api.ask("POST", "/api/upsert/", {"_id": "v4", "file": "a"})
    assert (await version(api, "v4", body)).status == 400
    assert await children(api, "v4") == []


async def test_s7_a_version_of_nothing(api: Api) -> None:
    assert (await version(api, "v%20none", {"file": "f"})).status == 404
    assert (await version(api, "", {"file": "f"})).status == 400


async def test_s7_a_version_of_what_somebody_else_has_locked_is_409(api: Api) -> None:
    await api.create({"_id": "v5", "file": "a"})
    await api.ask("PUT", "/api/lock/", "v5", "user")
    for rank in ("editor", "admin"):
        assert (await version(api, "v5", {"file": "b"}, rank)).status == 409
    assert await children(api, "v5") == []
    assert (await version(api, "v5", {"file": "b"}, "user")).status == 201


async def test_s7_a_version_of_a_path_with_slashes_and_commas(api: Api) -> None:
    await api.create({"_id": "/v/a, b//c.ma", "file": "x"})
    assert (await version(api, "/v/a,%20b//c.ma", {"file": "y"})).json["_id"] == "/v/a, b//c.ma"


async def test_s7_users_and_sites_have_no_versions(api: Api) -> None:
    assert (await version(api, "@admin", {"file": "f"}, "admin")).status == 403
    assert (await api.ask("GET", "/api/verify/")).json["class"] == "admin"


async def test_s7_a_version_by_form(api: Api) -> None:
    await api.create({"_id": "v6", "file": "a"})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await api.ask("POST", "/api/version/v6", b"file=b.ma&n=1", "user", headers)
    assert (answer.status, answer.json["file"], answer.json["n"]) == (201, "b.ma", "1")
