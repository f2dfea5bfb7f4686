"""Section 1 of the wire contract: elements, identifiers, values, and the keys the server sets."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.api.conftest import Api, Run

pytestmark = pytest.mark.anyio
ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


async def read(api: Api, key: str, as_: str = "admin") -> Any:
    answer = await api.ask("POST", "/api/read/", key, as_)
    return answer.json if answer.status == 200 else None


async def test_s1_a_missing_id_is_generated_unique_and_sortable(api: Api) -> None:
    made = [(await api.create({"kind": "s1"}))[0]["_id"] for _ in range(3)]
    made += [element["_id"] for element in await api.create(*({"kind": "s1"} for _ in range(50)))]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


async def test_s1_an_empty_object_makes_an_element_with_the_servers_keys(api: Api) -> None:
    answer = await api.ask("POST", "/api/create/", {}, "user")
    assert answer.status == 201
    assert answer.json.keys() == {"_id", "author", "time"}


async def test_s1_an_array_as_id_is_unfolded_in_order(api: Api) -> None:
    answer = await api.ask("POST", "/api/create/", {"_id": ["s1 b", "s1 a"], "k": {"deep": [1]}}, "user")
    assert answer.status == 201
    assert [(e["_id"], e["k"]) for e in answer.json] == [("s1 b", {"deep": [1]}), ("s1 a", {"deep": [1]})]
    alone = await api.ask("POST", "/api/create/", {"_id": ["s1 alone"]})
    assert alone.json["_id"] == "s1 alone"
    updated = await api.ask("PUT", "/api/update/", {"_id": ["s1 a", "s1 b"], "n": 1})
    assert [(e["_id"], e["n"]) for e in updated.json] == [("s1 a", 1), ("s1 b", 1)]
    upserted = await api.ask("POST", "/api/upsert/", {"_id": ["s1 a", "s1 c"], "n": 2})
    assert [(e["_id"], e["n"]) for e in upserted.json] == [("s1 c", 2), ("s1 a", 2)]


@pytest.mark.parametrize("verb", ["create", "upsert"])
async def test_s1_a_ulid_takes_the_place_of_the_pattern(api: Api, verb: str) -> None:
    answer = await api.ask("POST", f"/api/{verb}/", {"_id": f"s1-{verb}-{{#}}-x-{{#}}", "k": 1})
    found = re.fullmatch(f"s1-{verb}-(.{{26}})-x-(.{{26}})", answer.json["_id"])
    assert found is not None
    assert ULID.fullmatch(found[1]) and ULID.fullmatch(found[2]) and found[1] != found[2]
    assert (await read(api, answer.json["_id"]))["k"] == 1


async def test_s1_the_pattern_is_a_setting(run: Run) -> None:
    async with run(id_pattern="<id>") as api:
        made = await api.create({"_id": "a-<id>"}, {"_id": "b-{#}"})
        assert ULID.fullmatch(made[0]["_id"].removeprefix("a-"))
        assert made[1]["_id"] == "b-{#}"


async def test_s1_null_as_text_generates_in_upsert_and_is_a_name_in_create(api: Api) -> None:
    made = await api.ask("POST", "/api/upsert/", [{"_id": "null", "s1": 1}, {"_id": "null", "s1": 2}])
    assert made.status == 200
    assert len({e["_id"] for e in made.json} | {"null"}) == 3
    assert (await api.create({"_id": "null"}))[0]["_id"] == "null"


@pytest.mark.parametrize(
    "key",
    [
        "/file/;.*?<>#%",
        " spaces  in it ",
        "/ünï/cödé/🎬.exr",
        "a,b",
        "//two//slashes",
        "/a/../b",
        "/",
        "%41",
        "'\"\\`$x",
        "ｆｕｌｌ",
    ],
)
async def test_s1_any_characters_are_legal(api: Api, key: str) -> None:
    assert (await api.create({"_id": key, "s1": True}))[0]["_id"] == key
    assert (await read(api, key))["s1"] is True
    assert (await api.ask("PUT", "/api/update/", {"_id": key, "s1": 2})).json["s1"] == 2
    assert (await api.ask("DELETE", "/api/delete/", key)).json == key


async def test_s1_24_hex_digits_stay_the_text_they_are(api: Api) -> None:
    upper, lower = "ABCDEF0123456789ABCDEF01", "abcdef0123456789abcdef01"
    made = await api.create({"_id": upper, "n": 1}, {"_id": lower, "n": 2})
    assert [e["_id"] for e in made] == [upper, lower]
    assert (await api.ask("GET", f"/api/read/{upper},{lower}")).json == made


@pytest.mark.parametrize("key", ["", 5, 1.5, None, {}, {"a": 1}, True, [], [""], ["ok", 5], [None], [["x"]], "nul\0"])
@pytest.mark.parametrize(("method", "verb"), [("POST", "create"), ("POST", "upsert"), ("PUT", "update")])
async def test_s1_what_is_no_identifier_is_refused(api: Api, method: str, verb: str, key: Any) -> None:
    answer = await api.ask(method, f"/api/{verb}/", {"_id": key, "k": 1})
    assert answer.status == 400, answer.text
    assert (await api.ask("GET", "/api/health")).status == 200
    assert await read(api, "ok") is None


@pytest.mark.parametrize("name", ["$set", "$where", "$"])
@pytest.mark.parametrize(
    ("method", "verb"), [("POST", "create"), ("POST", "upsert"), ("PUT", "update"), ("POST", "publish")]
)
async def test_s1_keys_that_start_with_a_dollar_are_refused(api: Api, method: str, verb: str, name: str) -> None:
    await api.ask("POST", "/api/upsert/", {"_id": "/s1/dollar", "kept": 1})
    item = {"_id": "/s1/dollar", "comment": "", "origin": "online", name: {"kept": 2}}
    assert (await api.ask(method, f"/api/{verb}/", item)).status == 400
    assert (await api.ask(method, f"/api/{verb}/", {**item, "_id": "/s1/new dollar"})).status == 400
    assert (await read(api, "/s1/dollar"))["kept"] == 1
    assert await read(api, "/s1/new dollar") is None


async def test_s1_the_id_never_changes(api: Api) -> None:
    await api.create({"_id": "s1 stays"})
    for verb, method in (("update", "PUT"), ("upsert", "POST")):
        answer = await api.ask(method, f"/api/{verb}/", {"_id": "s1 stays", "_id.x": "y", "k": 1})
        assert answer.status == 400
    assert (await read(api, "s1 stays")).keys() == {"_id", "author", "time"}


async def test_s1_null_deletes_in_update_and_in_upsert_of_what_is_there(api: Api) -> None:
    await api.create({"_id": "s1 null", "a": 1, "b": 2, "c": 3})
    assert "a" not in (await api.ask("PUT", "/api/update/", {"_id": "s1 null", "a": None})).json
    answer = await api.ask("POST", "/api/upsert/", {"_id": "s1 null", "b": None, "absent": None})
    assert {"a", "b", "absent"}.isdisjoint(answer.json)
    assert answer.json["c"] == 3


@pytest.mark.parametrize("verb", ["create", "upsert"])
async def test_s1_null_is_a_value_of_a_new_element(api: Api, verb: str) -> None:
    answer = await api.ask("POST", f"/api/{verb}/", {"_id": f"s1 null value {verb}", "a": None})
    assert answer.json["a"] is None


async def test_s1_dotted_keys_reach_inside_in_update_and_are_literal_in_create(api: Api) -> None:
    [made] = await api.create({"_id": "s1 dots", "a.b": 1, "a": {"b": 2, "c": 3}})
    assert made["a.b"] == 1
    answer = await api.ask("PUT", "/api/update/", {"_id": "s1 dots", "a.b": 4, "x.y": 5})
    assert (answer.json["a"], answer.json["x"]) == ({"b": 4, "c": 3}, {"y": 5})


async def test_s1_an_object_in_update_replaces_the_whole_old_object(api: Api) -> None:
    await api.create({"_id": "s1 object", "a": {"b": 2, "c": 3}})
    assert (await api.ask("PUT", "/api/update/", {"_id": "s1 object", "a": {"b": 9}})).json["a"] == {"b": 9}


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), 0, 1.5, -0.25, 1e300, 14045678901234, True, "5", [], {}, [None, {"x": []}]]
)
async def test_s1_values_come_back_as_they_were(api: Api, value: Any) -> None:
    [made] = await api.create({"v": value})
    found = (await read(api, made["_id"]))["v"]
    assert found == value
    assert type(found) is type(value)


async def test_s1_author_and_time_are_the_servers(api: Api) -> None:
    sent = {"author": "forged", "time": 1, "k": 1}
    for rank in ("user", "editor"):
        [made] = await api.create(sent, as_=rank)
        assert made["author"] == rank
        assert made["time"] > 1_500_000_000_000
    upserted = await api.ask("POST", "/api/upsert/", sent, "editor")
    assert (upserted.json["author"], upserted.json["time"] > 1) == ("editor", True)


async def test_s1_an_admin_may_supply_author_and_time(api: Api) -> None:
    [made] = await api.create({"author": "ada", "time": 14045678901234})
    assert (made["author"], made["time"]) == ("ada", 14045678901234)
    [again] = await api.create({"author": None, "time": None})
    assert again["author"] == "admin"
    assert again["time"] > 1_500_000_000_000


@pytest.mark.parametrize(("method", "verb"), [("PUT", "update"), ("POST", "upsert")])
async def test_s1_updates_leave_author_and_time_alone(api: Api, method: str, verb: str) -> None:
    key = f"s1 alone {verb}"
    [made] = await api.create({"_id": key}, as_="user")
    for sent in ({"k": 1}, {"k": 2, "author": "forged", "time": 5}, {"k": 3, "author": None, "time.x": 1}):
        answer = await api.ask(method, f"/api/{verb}/", {"_id": key, **sent}, "editor")
        assert (answer.json["author"], answer.json["time"]) == ("user", made["time"])


async def test_s1_form_bodies_carry_texts(api: Api) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await api.ask("POST", "/api/create/", b"_id[]=s1+f1&_id[]=s1+f2&a[b]=1", headers=form)
    assert answer.status == 201
    assert [(e["_id"], e["a"]) for e in answer.json] == [("s1 f1", {"b": "1"}), ("s1 f2", {"b": "1"})]
    updated = await api.ask("PUT", "/api/update/", b"_id=s1+f1&n=5", headers=form)
    assert updated.json["n"] == "5"


async def test_s1_a_body_that_is_no_json_makes_no_element(api: Api) -> None:
    heard: list[Any] = []
    stop = api.service.events.listen(heard.append)
    for kind, body in (("text/plain", b"hello"), ("multipart/form-data; boundary=x", b"--x--")):
        answer = await api.ask("POST", "/api/create/", body, headers={"Content-Type": kind})
        assert answer.status == 415
    stop()
    assert heard == []
