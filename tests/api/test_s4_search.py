"""Section 4 of the wire contract: search, search_one, search_mongo."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from tests.api.conftest import Api, Run

pytestmark = pytest.mark.anyio


async def found(api: Api, query: str, as_: str = "admin") -> Any:
    """What search answers for a query, wholly encoded."""
    answer = await api.ask("GET", "/api/search/" + quote(query, safe=""), as_=as_)
    assert answer.status == 200, answer.text
    return answer.json


async def mongo(api: Api, body: Any, as_: str = "admin") -> Any:
    """What search_mongo answers."""
    answer = await api.ask("POST", "/api/search_mongo/", body, as_)
    assert answer.status == 200, answer.text
    return answer.json


@pytest.fixture(scope="module")
async def shots(api: Api) -> Api:
    """Elements that most tests of this module ask for; their key `s4` is theirs alone."""
    await api.create(
        {
            "_id": "s4-c",
            "s4": 1,
            "n": 5,
            "d": "2020-05-01",
            "file": "Floor 1.PNG",
            "deep": {"k": "v"},
            "tags": ["a", "b"],
        },
        {"_id": "s4-a", "s4": 1, "n": "5", "d": "2021-05-01", "file": "roof/tile.png", "deep": {"k": "w"}, "tags": []},
        {"_id": "s4-b", "s4": 1, "n": 40, "d": "2022-05-01", "yes": True, "u": "http://h/x?a=1", "note": "two  words"},
        {"_id": "s4-e", "s4": 1, "n": None, "yes": "true", "u": "http"},
    )
    return api


# --- 4.1 ---------------------------------------------------------------------------------------------------------


async def test_s4_search_answers_identifiers_in_the_order_of_creation(shots: Api) -> None:
    assert await found(shots, "s4:1") == ["s4-c", "s4-a", "s4-b", "s4-e"]


async def test_s4_search_one_answers_the_first_element(shots: Api) -> None:
    answer = await shots.ask("GET", "/api/search_one/s4:1")
    assert (answer.status, answer.json["_id"], answer.json["file"]) == (200, "s4-c", "Floor 1.PNG")
    posted = await shots.ask("POST", "/api/search_one", {"query": "s4:1 n:40"})
    assert posted.json["_id"] == "s4-b"


async def test_s4_an_empty_query_is_refused(shots: Api) -> None:
    for verb in ("search", "search_one"):
        for query in ("", "undefined", "%20", "%20undefined%20"):
            answer = await shots.ask("GET", f"/api/{verb}/{query}")
            assert answer.status == 400, query
            assert answer.text.startswith(f"{verb.capitalize()} error: ")
        assert (await shots.ask("GET", f"/api/{verb}")).status == 404
        assert (await shots.ask("POST", f"/api/{verb}", {"query": " "})).status == 400


async def test_s4_white_space_counts_as_one_space(shots: Api) -> None:
    assert await found(shots, "  s4:1   n:40\t d:2022-05-01 ") == ["s4-b"]


async def test_s4_no_match_is_an_empty_array_and_null(shots: Api) -> None:
    assert await found(shots, "s4:1 n:41") == []
    answer = await shots.ask("GET", "/api/search_one/s4:1%20n:41")
    assert (answer.status, answer.body) == (200, b"null")


async def test_s4_terms_are_joined_and_split_at_the_first_operator(shots: Api) -> None:
    assert await found(shots, "s4:1 d>=2021-05-01") == ["s4-a", "s4-b"]
    assert await found(shots, "s4:1 d>2021-05-01") == ["s4-b"]
    assert await found(shots, "s4:1 d<=2021-05-01") == ["s4-c", "s4-a"]
    assert await found(shots, "s4:1 d<2021-05-01") == ["s4-c"]


async def test_s4_a_star_lists_everything(shots: Api) -> None:
    everything = await found(shots, "*")
    assert {"s4-c", "s4-a", "s4-b", "s4-e", "rsyncGlobalParameters"} <= set(everything)
    assert await found(shots, "* s4:1 n:40") == ["s4-b"]


async def test_s4_keys_may_be_dotted_and_arrays_match_by_member(shots: Api) -> None:
    assert await found(shots, "s4:1 deep.k:v") == ["s4-c"]
    assert await found(shots, "s4:1 tags:b") == ["s4-c"]


async def test_s4_regular_expressions_are_unanchored_and_have_flags(shots: Api) -> None:
    assert await found(shots, "s4:1 file:/loor/") == ["s4-c"]
    assert await found(shots, "s4:1 file:/png$/") == ["s4-a"]
    assert await found(shots, "s4:1 file:/png$/i") == ["s4-c", "s4-a"]
    assert await found(shots, "s4:1 file:/^floor.*png$/gimy") == ["s4-c"]
    assert await found(shots, r"s4:1 file:/roof\/tile/") == ["s4-a"]


async def test_s4_literals_match_the_text_and_the_typed_value(shots: Api) -> None:
    assert await found(shots, "s4:1 n:5") == ["s4-c", "s4-a"]
    assert await found(shots, "s4:1 n>5") == ["s4-b"]
    assert await found(shots, "s4:1 n<=40 n>4") == ["s4-c", "s4-b"]  # the text "5" is after the text "40"
    assert await found(shots, "s4:1 yes:true") == ["s4-b", "s4-e"]
    assert "s4-e" in await found(shots, "s4:1 n:null")
    assert await found(shots, "s4:1 time>1500000000000") == ["s4-c", "s4-a", "s4-b", "s4-e"]


async def test_s4_a_repeated_key_keeps_every_constraint(shots: Api) -> None:
    assert await found(shots, "s4:1 d>2020 d<2021") == ["s4-c"]


async def test_s4_text_after_the_second_operator_belongs_to_the_value(shots: Api) -> None:
    assert await found(shots, "u:http") == ["s4-e"]
    assert await found(shots, "u:http://h/x?a=1") == ["s4-b"]
    assert await found(shots, "u:http://h") == []


async def test_s4_a_space_in_a_literal_belongs_to_it(shots: Api) -> None:
    assert await found(shots, "s4:1 file:/floor 1/i") == ["s4-c"]
    assert await found(shots, 's4:1 file:"Floor 1.PNG"') == ["s4-c"]
    assert await found(shots, 's4:1 note:"two  words"') == ["s4-b"]


async def test_s4_a_broken_expression_is_refused(shots: Api) -> None:
    for text in ("file:/(/", "file:/[/", "file:/a{2,1}/", r"file:/(?<name/"):
        assert (await shots.ask("GET", "/api/search/" + quote(text, safe=""))).status == 400, text


async def test_s4_a_catastrophic_expression_takes_no_time(shots: Api) -> None:
    await shots.create({"_id": "s4-bomb", "bomb": "a" * 30_000 + "!"})
    for pattern in ("(a+)+$", "(a|aa)+$", "(.*a){20}b", "^(([a-z])+.)+[A-Z]([a-z])+$"):
        begun = time.monotonic()
        assert await found(shots, f"bomb:/{pattern}/") == []
        posted = await mongo(shots, {"query": {"bomb": "REGEX_" + pattern}})
        assert posted == {"count": 0, "ids": []}
        assert time.monotonic() - begun < 10, pattern  # a backtracking engine would need years
    refused = await shots.ask("GET", "/api/search/" + quote("bomb:/((a{1000}){1000}){1000}/", safe=""))
    assert refused.status == 400


async def test_s4_the_path_is_decoded_once_and_again_only_if_it_parses(shots: Api) -> None:
    await shots.create({"_id": "s4-%", "s4p": "100%"}, {"_id": "s4-%41", "s4p": "A"})
    for path, there in (("s4p:100%", ["s4-%"]), ("s4p:100%25", ["s4-%"]), ("s4p:100%2525", ["s4-%"])):
        answer = await shots.ask("GET", f"/api/search/{path}")
        assert (answer.status, answer.json) == (200, there), path
    assert (await shots.ask("GET", "/api/search/s4p:%2541")).json == ["s4-%41"]
    assert (await shots.ask("GET", "/api/search/%")).status == 200
    assert (await shots.ask("GET", "/api/search/s4p:%FF%")).json == []


async def test_s4_unencoded_queries_arrive_as_they_are(shots: Api) -> None:
    raw = await shots.ask("GET", "/api/search/file:/^roof.tile.png$/")
    assert raw.json == ["s4-a"]
    assert (await shots.ask("GET", "/api/search/u:http://h/x?a=1")).json == ["s4-b"]


async def test_s4_a_lone_word_is_looked_for_in_identifiers(shots: Api) -> None:
    await shots.create({"_id": "/S4Lone/Shot.ma"})
    assert await found(shots, "s4lone shot") == ["/S4Lone/Shot.ma"]
    assert await found(shots, "s4lone nowhere") == []


async def test_s4_lone_words_may_be_ignored_as_they_once_were(run: Run) -> None:
    async with run(lone_words="ignored") as api:
        await api.create({"_id": "one", "k": 1}, {"_id": "two", "k": 1})
        assert await found(api, "nowhere k:1") == ["one", "two"]
        assert {"one", "two"} <= set(await found(api, "nowhere"))


async def test_s4_an_operator_in_the_first_place_is_no_operator(shots: Api) -> None:
    await shots.create({"_id": "s4:colon"})
    assert await found(shots, ":colon") == ["s4:colon"]


async def test_s4_identifiers_are_found_by_key_too(shots: Api) -> None:
    assert await found(shots, "_id:s4-b") == ["s4-b"]
    assert await found(shots, "_id:/^s4-[ab]$/") == ["s4-a", "s4-b"]


async def test_s4_nobody_without_a_token_searches(shots: Api) -> None:
    for method, path in (("GET", "/api/search/*"), ("GET", "/api/search_one/*"), ("POST", "/api/search_mongo")):
        assert (await shots.ask(method, path, as_="")).status == 401
        assert (await shots.ask(method, path, as_="guest")).status == 200


async def test_s4_no_search_tells_of_passwords(shots: Api) -> None:
    for query in ("password:/./", "password>0", "hash:/./", "credential:/./"):
        assert await found(shots, query) == []
    assert (await mongo(shots, {"query": {"password": {"$exists": True}}}))["count"] == 0


async def test_s4_author_mode_holds_in_every_search(run: Run) -> None:
    async with run(author_mode=True) as api:
        await api.create({"_id": "hers", "k": 1}, as_="user")
        await api.create({"_id": "his", "k": 1}, as_="admin")
        assert await found(api, "k:1", "user") == ["hers"]
        assert await found(api, "k:1") == ["hers", "his"]
        assert (await mongo(api, {"query": {"$or": [{"k": 1}, {"k": 2}]}}, "user")) == {"count": 1, "ids": ["hers"]}
        assert (await api.ask("GET", "/api/search_one/_id:his", as_="user")).body == b"null"


async def test_s4_a_search_that_takes_too_long_is_ended(run: Run) -> None:
    async with run(search_s=0.001) as api:
        await api.ask("POST", "/api/create", [{"_id": f"/x{n}", "t": "a" * 500} for n in range(5_000)])
        answer = await api.ask("GET", "/api/search/t:/" + quote("(a|b)*c", safe="") + "/")
        assert answer.status == 400
        assert "everysite index add" in answer.text
        assert (await api.ask("GET", "/api/search/_id:%2Fx77")).json == ["/x77"]


async def test_s4_all_that_match_are_answered(run: Run) -> None:
    async with run(batch=100) as api:
        for first in range(0, 500, 100):
            await api.create(*({"_id": f"/x{n}", "many": 1} for n in range(first, first + 100)))
        assert len(await found(api, "many:1")) == 500
        assert (await api.ask("POST", "/api/search", {"query": "many:1", "limit": 7})).json == [
            f"/x{n}" for n in range(7)
        ]


# --- 4.2 ---------------------------------------------------------------------------------------------------------


async def test_s4_mongo_answers_count_and_identifiers(shots: Api) -> None:
    assert await mongo(shots, {"query": {"s4": 1}}) == {"count": 4, "ids": ["s4-c", "s4-a", "s4-b", "s4-e"]}


async def test_s4_mongo_limit_and_skip_may_be_texts_and_do_not_change_the_count(shots: Api) -> None:
    for limit, skip in ((2, 1), ("2", "1")):
        body = {"query": {"s4": 1}, "sort": {"_id": 1}, "limit": limit, "skip": skip}
        assert await mongo(shots, body) == {"count": 4, "ids": ["s4-b", "s4-c"]}
    assert (await mongo(shots, {"query": {"s4": 1}, "limit": 0, "skip": 0}))["count"] == 4
    wrong: list[Any] = ["x", -1, [], {}]
    for bad in wrong:
        assert (await shots.ask("POST", "/api/search_mongo", {"query": {}, "limit": bad})).status == 400, bad


async def test_s4_mongo_takes_the_whole_as_a_text(shots: Api) -> None:
    body = {"queryobj": '{"query": {"s4": 1}, "sort": {"_id": -1}, "limit": 1}'}
    assert await mongo(shots, body) == {"count": 4, "ids": ["s4-e"]}
    assert (await shots.ask("POST", "/api/search_mongo", {"queryobj": "{"})).status == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await shots.ask("POST", "/api/search_mongo", b"query[s4]=1&limit=3", headers=form)
    assert (answer.status, answer.json["count"]) == (200, 0)  # values of a form are texts


async def test_s4_mongo_without_a_query_lists_everything(shots: Api) -> None:
    everything = await found(shots, "*")
    bodies: list[Any] = [{}, {"query": {}}, None]
    for body in bodies:
        assert await mongo(shots, body) == {"count": len(everything), "ids": everything}


async def test_s4_mongo_reads_regular_expressions_at_any_depth(shots: Api) -> None:
    assert (await mongo(shots, {"query": {"s4": 1, "file": "REGEX_png$"}}))["ids"] == ["s4-a"]
    assert (await mongo(shots, {"query": {"s4": 1, "file": "RX_png$_RXi"}}))["ids"] == ["s4-c", "s4-a"]
    assert (await mongo(shots, {"query": {"s4": 1, "file": "RX_png$"}}))["ids"] == ["s4-a"]
    deep = {"query": {"$and": [{"s4": 1}, {"$or": [{"file": "REGEX_^Fl"}, {"_id": {"$in": ["REGEX_e$"]}}]}]}}
    assert (await mongo(shots, deep))["ids"] == ["s4-c", "s4-e"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"n": 5}, "c"),
        ({"n": "5"}, "a"),
        ({"deep": {"k": "v"}}, "c"),
        ({"deep.k": "w"}, "a"),
        ({"tags": "a"}, "c"),
        ({"n": {"$eq": 40}}, "b"),
        ({"n": {"$ne": 5}}, "abe"),
        ({"n": {"$gt": 5}}, "b"),
        ({"n": {"$gte": 5, "$lt": 41}}, "cb"),
        ({"n": {"$lte": "9"}}, "a"),
        ({"n": {"$in": [5, None]}}, "ce"),
        ({"n": {"$nin": [5, 40]}}, "ae"),
        ({"yes": {"$exists": True}}, "be"),
        ({"yes": {"$exists": False}}, "ca"),
        ({"d": {"$not": {"$gt": "2021"}}}, "ce"),
        ({"$nor": [{"n": 5}, {"yes": True}]}, "ae"),
        ({"file": {"$regex": "PNG", "$options": "i"}}, "ca"),
        ({"tags": {"$all": ["a", "b"]}}, "c"),
        ({"tags": {"$size": 0}}, "a"),
        ({"tags": {"$elemMatch": {"$gt": "a"}}}, "c"),
        ({"n": {"$type": "string"}}, "a"),
        ({"n": {"$mod": [4, 0]}}, "b"),
    ],
)
async def test_s4_mongo_operators(shots: Api, query: dict[str, Any], ids: str) -> None:
    answer = await mongo(shots, {"query": {"$and": [{"s4": 1}, query]}})
    assert answer == {"count": len(ids), "ids": [f"s4-{each}" for each in ids]}


async def test_s4_mongo_sorts_across_types(shots: Api) -> None:
    values: list[Any] = [True, [[1]], {"a": 1}, "text", 3, None]
    await shots.create(*({"_id": f"s4s-{n}", "s4s": 1, "v": value} for n, value in enumerate(values)))
    await shots.create({"_id": "s4s-none", "s4s": 1})
    up = (await mongo(shots, {"query": {"s4s": 1}, "sort": {"v": 1}}))["ids"]
    assert sorted(up[:2]) == ["s4s-5", "s4s-none"]
    assert up[2:] == ["s4s-4", "s4s-3", "s4s-2", "s4s-1", "s4s-0"]
    down = (await mongo(shots, {"query": {"s4s": 1}, "sort": {"v": -1, "_id": 1}}))["ids"]
    assert down == ["s4s-0", "s4s-1", "s4s-2", "s4s-3", "s4s-4", "s4s-5", "s4s-none"]


@pytest.mark.parametrize(
    "query",
    [
        {"$where": "sleep(1000) || true"},
        {"$and": [{"$where": "1"}]},
        {"$expr": {"$function": {"body": "function() { return true }", "args": [], "lang": "js"}}},
        {"n": {"$function": {}}},
        {"n": {"$nonsense": 1}},
        {"$nonsense": []},
        {"file": {"$regex": "("}},
        {"file": "REGEX_("},
        {"n": {"$mod": [0, 0]}},
        {"n": {"$mod": 3}},
        {"n": {"$in": 5}},
        {"$or": []},
        {"$or": {}},
        {"tags": {"$size": "x"}},
        {"n": {"$type": "nonsense"}},
        "text",
        [1],
        7,
    ],
)
async def test_s4_mongo_refuses_what_it_does_not_know(shots: Api, query: Any) -> None:
    answer = await shots.ask("POST", "/api/search_mongo", {"query": query})
    assert answer.status == 400, answer.text
    assert answer.text.startswith("Search_mongo error: ")


async def test_s4_mongo_refuses_queries_without_bottom(shots: Api) -> None:
    for levels in (60, 500, 100_000):
        deep = b'{"query":' + b'{"$and":[' * levels + b'{"n":1}' + b"]}" * levels + b"}"
        assert (await shots.ask("POST", "/api/search_mongo", deep)).status == 400, levels
        text = json.dumps({"queryobj": deep.decode()}).encode()
        assert (await shots.ask("POST", "/api/search_mongo", text)).status == 400, levels
    many = [{"n": number} for number in range(200_000)]
    assert (await shots.ask("POST", "/api/search_mongo", {"query": {"$or": many}})).status == 400
    patterns = ["REGEX_" + "(a|b)*" * 100] * 2_000
    assert (await shots.ask("POST", "/api/search_mongo", {"query": {"n": {"$in": patterns}}})).status == 400
    long = "/api/search/" + "n:1%20" * 3_000
    assert (await shots.ask("GET", long)).status == 400
    assert (await shots.ask("POST", "/api/search", {"query": "x " * 1_000_000})).status == 400


async def test_s4_numbers_beyond_measure_harm_nobody(shots: Api) -> None:
    for query in ("n:1e999", "n>99999999999999999999999", "n:-0", "n:NaN", "n<Infinity", "n:" + "9" * 3_000):
        assert (await shots.ask("GET", f"/api/search/{query}")).status == 200, query
    for text in ('{"n": 1e999}', '{"n": 123456789012345678901234567890}', '{"n": {"$mod": [1e300, 0]}}'):
        for body in (b'{"query": ' + text.encode() + b"}", json.dumps({"queryobj": f'{{"query": {text}}}'}).encode()):
            assert (await shots.ask("POST", "/api/search_mongo", body)).status in (200, 400), body


async def test_s4_a_query_is_never_sql(shots: Api) -> None:
    odd = [
        "'",
        '"',
        "';DROP TABLE element;--",
        "a'b",
        'a"b',
        "a\\b",
        "$.x",
        "a[0]",
        "%",
        "_",
        "?",
        ":x",
        "a`b",
        "é\u0000",
    ]
    for text in odd:
        for query in ({text: 1}, {"n": text}, {text: {"$gt": text}}, {f"a.{text}": {"$exists": True}}):
            body = {"query": query, "sort": {text: 1}}
            assert (await shots.ask("POST", "/api/search_mongo", body)).status in (200, 400), body
        assert (await shots.ask("PUT", "/api/indexes/" + quote(text, safe=""), {})).status in (200, 400), text
        assert (await shots.ask("GET", "/api/search/" + quote(f"{text}:{text}", safe=""))).status in (200, 400)
        await shots.ask("DELETE", "/api/indexes/" + quote(text, safe=""))
    assert await found(shots, "s4:1 n:40") == ["s4-b"]


# --- indexes -----------------------------------------------------------------------------------------------------


async def test_s4_an_admin_indexes_a_key_while_running(shots: Api) -> None:
    before = (await shots.ask("GET", "/api/indexes")).json["keys"]
    assert {"_id", "#parent", "src_id", "tgt_id", "time", "origin"} <= set(before)
    for _ in range(2):
        added = await shots.ask("PUT", "/api/indexes/deep.k", {})
        assert (added.status, "deep.k" in added.json["keys"]) == (200, True)
    assert await found(shots, "deep.k:w") == ["s4-a"]
    assert await found(shots, "s4:1 deep.k>v") == ["s4-a"]
    assert (await shots.ask("DELETE", "/api/indexes/deep.k")).json["keys"] == before
    assert await found(shots, "deep.k:w") == ["s4-a"]
    assert (await shots.ask("DELETE", "/api/indexes/deep.k")).status == 404
    assert (await shots.ask("DELETE", "/api/indexes/time")).status == 404
    for bad in ("$where", "a..b", "a%00", "x" * 300):
        assert (await shots.ask("PUT", f"/api/indexes/{bad}", {})).status == 400, bad


async def test_s4_only_an_admin_changes_indexes(shots: Api) -> None:
    for method in ("PUT", "DELETE"):
        assert (await shots.ask(method, "/api/indexes/n", {}, as_="editor")).status == 403
        assert (await shots.ask(method, "/api/indexes/n", {}, as_="")).status == 401
