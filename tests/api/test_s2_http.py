"""Section 2 of the wire contract: addresses, bodies, answer shapes, errors; and section 14: what is not served any more."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import PASSWORD, Api, Run
from tests.web.wire import ask

from everysite.web.options import Options

pytestmark = pytest.mark.anyio
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Accept": "application/json"}


async def test_s2_every_route_works_with_and_without_a_slash(api: Api) -> None:
    for number, slash in enumerate(("", "/")):
        key = f"/slash/{number}"
        asks: list[tuple[str, str, Any, int]] = [
            ("POST", "create", {"_id": key}, 201),
            ("POST", "read", key, 200),
            ("GET", f"read/{key}", None, 200),
            ("PUT", "update", {"_id": key, "k": 1}, 200),
            ("POST", "upsert", {"_id": key, "k": 2}, 200),
            ("PUT", "lock", key, 200),
            ("PUT", "unlock", key, 200),
            ("POST", "comment", {"#parent": key, "comment": "c"}, 201),
            ("POST", "publish", {"_id": f"{key}-p", "comment": "", "origin": "paris"}, 201),
            ("POST", "graph/0", key, 200),
            ("POST", "search_mongo", {"query": {"_id": key}}, 200),
            ("GET", "verify", None, 200),
            ("GET", "health", None, 200),
        ]
        for method, path, body, status in asks:
            end = "" if path.startswith("read/") else slash  # there the slash is part of the identifier
            answer = await api.ask(method, f"/api/{path}{end}", body)
            assert answer.status == status, (path, answer.text)
        assert (await api.ask("DELETE", f"/api/delete{slash}", key)).status == 200
        said = {"username": "user", "password": PASSWORD}
        assert (await api.ask("POST", f"/api/signIn{slash}", said, as_="")).status == 200


@pytest.mark.parametrize(
    "path", ["read", "search", "search_one", "graph/0", "graph_backwards/1", "graph_forwards/1", "file"]
)
async def test_s2_an_empty_rest_is_400_and_without_the_slash_404(api: Api, path: str) -> None:
    assert (await api.ask("GET", f"/api/{path}/")).status == 400
    assert (await api.ask("GET", f"/api/{path}")).status == 404


async def test_s2_json_bodies_may_be_scalars_and_strings(api: Api) -> None:
    await api.create({"_id": "scalar"})
    assert (await api.ask("POST", "/api/read", "scalar")).json["_id"] == "scalar"
    for wrong in (b"1", b"true", b"null", b'""'):
        answer = await api.ask("POST", "/api/read", wrong)
        assert (answer.status, answer.text.startswith("Read error: Bad request")) == (400, True)


async def test_s2_forms_have_nested_keys_and_all_values_are_strings(api: Api) -> None:
    made = await api.ask("POST", "/api/create", b"_id=form1&a[b]=1&a[c][d]=x+y&n=5&l[]=1&l[]=2", headers=FORM)
    assert (made.status, made.json["a"], made.json["n"]) == (201, {"b": "1", "c": {"d": "x y"}}, "5")
    assert made.json["l"] == ["1", "2"]
    several = await api.ask("POST", "/api/create", b"_id[]=form2&_id[]=form3&k=%C3%BC%26", headers=FORM)
    assert [(found["_id"], found["k"]) for found in several.json] == [("form2", "ü&"), ("form3", "ü&")]
    changed = await api.ask("PUT", "/api/update/", b"_id=form1&n=6", headers=FORM)
    assert (changed.status, changed.json["n"]) == (200, "6")
    signed = await api.ask("POST", "/api/signIn/", f"username=user&password={PASSWORD}".encode(), as_="", headers=FORM)
    assert signed.status == 200


async def test_s2_a_form_makes_no_operators_and_no_objects_of_the_program(api: Api) -> None:
    for body in (b"username[$ne]=x&password[$ne]=y", b"username[]=admin&password[]=a-password"):
        assert (await api.ask("POST", "/api/signIn/", body, as_="", headers=FORM)).status in (400, 401)
    answer = await api.ask("POST", "/api/create", b"_id=proto&__proto__[x]=1&constructor[y]=2", headers=FORM)
    assert (answer.status, answer.json["__proto__"]) == (201, {"x": "1"})
    for body in (
        b"a=1&a[b]=2",
        b"a[b]=1&a=2",
        b"a" + b"[x]" * 200 + b"=1",
        b"&".join(b"k%d=1" % i for i in range(2000)),
    ):
        assert (await api.ask("POST", "/api/create", b"_id=never&" + body, headers=FORM)).status == 400
    assert (await api.ask("POST", "/api/read", "never")).status == 404


async def test_s2_fifty_mb_are_taken_and_more_is_413(api: Api) -> None:
    limit = 50 << 20
    head, tail = b'{"_id": "big", "text": "', b'"}'
    fits = head + b"x" * (limit - len(head) - len(tail)) + tail
    assert (await api.ask("POST", "/api/create", fits)).status == 201
    answer = await api.ask("PUT", "/api/update", fits + b" ")
    assert (answer.status, "50 MB" in answer.text) == (413, True)
    assert (await api.ask("DELETE", "/api/delete", "big")).status == 200


async def test_s2_too_many_items_are_413_and_name_the_cap(run: Run) -> None:
    async with run(Options(max_batch=10), batch=10) as small:
        for method, path, body in (
            ("POST", "create", [{}] * 11),
            ("POST", "create", {"_id": [str(i) for i in range(11)]}),
            ("POST", "read", ["x"] * 11),
            ("DELETE", "delete", ["x"] * 11),
        ):
            answer = await small.ask(method, f"/api/{path}", body)
            assert (answer.status, "10" in answer.text) == (413, True), path
        assert (await small.ask("GET", "/api/read/" + ",".join("x" * 11))).status == 413


@pytest.mark.parametrize(
    "media", ["text/xml", "multipart/form-data; boundary=x", "application/octet-stream", "image/png"]
)
async def test_s2_other_content_types_make_no_empty_element(api: Api, media: str) -> None:
    before = (await api.ask("GET", "/api/status")).json["elements"]
    answer = await api.ask("POST", "/api/create", b"<no-json/>", headers={"Content-Type": media})
    assert (answer.status, answer.text.startswith("Create error: ")) == (415, True)
    assert (await api.ask("GET", "/api/status")).json["elements"] == before
    parsed = await api.ask("POST", "/api/create", b'{"k": 1}', headers={"Content-Type": media})
    assert (parsed.status, parsed.json["k"]) == (201, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b"",
        b'{"a": 1}\n{"b": 2}',
        b'{"a": NaN}',
        b"\xff",
        b'{"a": "\xff"}',
        b"[" * 9999,
        b'{"a":1,}',
        b"\0",
    ],
)
async def test_s2_malformed_json_is_400_as_text(api: Api, body: bytes) -> None:
    for method, path in (
        ("POST", "create"),
        ("POST", "read"),
        ("PUT", "update"),
        ("DELETE", "delete"),
        ("POST", "upsert"),
    ):
        answer = await api.ask(method, f"/api/{path}/", body)
        assert (answer.status, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8"), path
        assert "error: Bad request (empty or not well-formed)" in answer.text.splitlines()[0]


async def test_s2_commas_split_paths_and_never_json(api: Api) -> None:
    await api.create({"_id": "c1"}, {"_id": "c2"}, {"_id": "c1,c2"})
    assert [found["_id"] for found in (await api.ask("GET", "/api/read/c1,c2")).json] == ["c1", "c2"]
    assert [found["_id"] for found in (await api.ask("GET", "/api/read/c1%2Cc2")).json] == ["c1", "c2"]
    assert (await api.ask("POST", "/api/read", "c1,c2")).json["_id"] == "c1,c2"
    assert (await api.ask("POST", "/api/graph/0", "c1,c2")).json[0]["_id"] == "c1,c2"
    assert (await api.ask("PUT", "/api/lock", "c1,c2")).json["_id"] == "c1,c2"
    assert (await api.ask("DELETE", "/api/delete", "c1,c2")).json == "c1,c2"
    assert [found["_id"] for found in (await api.ask("POST", "/api/read", ["c1", "c2"])).json] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("rest", "key"),
    [
        ("/raw/b", "/raw/b"),
        ("//raw//c", "//raw//c"),
        ("%2F%2Fraw%2F%2Fc", "//raw//c"),
        ("/raw/pack/", "/raw/pack/"),
        ("/raw/a%20b", "/raw/a b"),
        ("/raw/a+b", "/raw/a+b"),
        ("/raw/100%25", "/raw/100%"),
        ("/raw/%2541", "/raw/%41"),
        ("/raw/%C3%BC", "/raw/ü"),
        ("/raw/../x", "/raw/../x"),
        ("/raw/.", "/raw/."),
        ("/raw/;.*%3C%3E%23", "/raw/;.*<>#"),
        ("/raw/q%3Fa=1", "/raw/q?a=1"),
    ],
)
async def test_s2_the_rest_of_a_path_is_the_value_decoded_once(api: Api, rest: str, key: str) -> None:
    await api.ask("POST", "/api/upsert", {"_id": key})
    answer = await api.ask("GET", f"/api/read/{rest}")
    assert (answer.status, answer.json["_id"]) == (200, key)
    assert (await api.ask("GET", f"/api/graph/1/{rest}")).json[0]["_id"] == key


async def test_s2_the_rest_of_a_search_and_a_version_too(api: Api) -> None:
    await api.create({"_id": "/rest//v", "url": "http://h//x?a=1"})
    assert (await api.ask("GET", "/api/search/url:http://h//x?a=1")).json == ["/rest//v"]
    assert (await api.ask("GET", "/api/search_one/url:http://h//x?a=1")).json["_id"] == "/rest//v"
    assert (await api.ask("POST", "/api/version//rest//v", {"file": "/rest//v"})).json["_id"] == "/rest//v"


async def test_s2_the_method_may_be_named_in_a_header(api: Api) -> None:
    await api.create({"_id": "over"})
    named = {"X-HTTP-Method-Override": "PUT"}
    assert (await api.ask("POST", "/api/update", {"_id": "over", "k": 1}, headers=named)).json["k"] == 1
    named = {"X-HTTP-Method-Override": "DELETE"}
    assert (await api.ask("POST", "/api/delete", "over", headers=named)).json == "over"
    assert (await api.ask("PUT", "/api/delete", "over", headers=named)).status == 405  # on POST only


async def test_s2_the_named_method_does_not_get_around_rights_or_foreign_pages(api: Api) -> None:
    named = {
        "X-HTTP-Method-Override": "GET",
        "Origin": "https://evil.example",
        "Cookie": f"token={api.tokens['admin']}",
    }
    assert (await api.ask("POST", "/api/verify", {}, as_="", headers=named)).status == 403
    named = {"X-HTTP-Method-Override": "DELETE"}
    assert (await api.ask("POST", "/api/delete", "x", as_="guest", headers=named)).status == 403


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_s2_unknown_routes_are_404(api: Api, method: str) -> None:
    for path in ("/api/nothing", "/api/nothing/", "/api/readd/x", "/apix", "/favicon.ico", "/api//read/x"):
        assert (await api.ask(method, path)).status == 404, path


async def test_s2_unknown_methods_are_404_or_405(api: Api) -> None:
    for method, path in (
        ("PATCH", "update"),
        ("GET", "create"),
        ("POST", "delete"),
        ("GET", "lock"),
        ("TRACE", "verify"),
    ):
        answer = await api.ask(method, f"/api/{path}/")
        assert answer.status in (404, 405)
        assert answer.status == 404 or answer.headers["allow"]


async def test_s2_answers_are_json_in_utf_8(api: Api) -> None:
    for answer in (
        await api.ask("POST", "/api/create", {"_id": "utf", "k": "ü"}),
        await api.ask("GET", "/api/read/utf"),
    ):
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert "ü".encode() in answer.body


# --- the table of answer shapes -------------------------------------------------------------------------------------


async def test_s2_shape_create_read_delete(api: Api) -> None:
    one = await api.ask("POST", "/api/create", {"_id": "s1"})
    assert one.json["_id"] == "s1"
    assert [found["_id"] for found in (await api.ask("POST", "/api/create", [{"_id": "s2"}])).json] == ["s2"]
    assert [found["_id"] for found in (await api.ask("POST", "/api/create", {"_id": ["s3", "s4"]})).json] == [
        "s3",
        "s4",
    ]
    assert (await api.ask("POST", "/api/create", {"_id": ["s5"]})).json["_id"] == "s5"
    assert [found["_id"] for found in (await api.ask("POST", "/api/read", ["s1"])).json] == ["s1"]
    assert [found["_id"] for found in (await api.ask("POST", "/api/read", ["s1", "s2"])).json] == ["s1", "s2"]
    assert (await api.ask("DELETE", "/api/delete", "s1")).json == "s1"
    assert (await api.ask("DELETE", "/api/delete", ["s2"])).json == ["s2"]
    assert (await api.ask("DELETE", "/api/delete", ["s3", "s4"])).json == ["s3", "s4"]


async def test_s2_shape_get_read(api: Api) -> None:
    await api.create({"_id": "g1"}, {"_id": "g2"})
    assert (await api.ask("GET", "/api/read/g1")).json["_id"] == "g1"
    assert [found["_id"] for found in (await api.ask("GET", "/api/read/g1,g2")).json] == ["g1", "g2"]


@pytest.mark.parametrize(("method", "verb"), [("PUT", "update"), ("POST", "upsert")])
async def test_s2_shape_update_upsert_lock(api: Api, method: str, verb: str) -> None:
    a, b = f"{verb}-a", f"{verb}-b"
    await api.create({"_id": a}, {"_id": b})
    assert (await api.ask(method, f"/api/{verb}", {"_id": a, "k": 1})).json["k"] == 1
    assert (await api.ask(method, f"/api/{verb}", [{"_id": a, "k": 2}])).json["k"] == 2  # the quirk
    both = [{"_id": a, "k": 3}, {"_id": b, "k": 3}]
    assert [found["_id"] for found in (await api.ask(method, f"/api/{verb}", both)).json] == [a, b]
    assert [found["_id"] for found in (await api.ask(method, f"/api/{verb}", {"_id": [a, b], "k": 4})).json] == [a, b]
    assert (await api.ask("PUT", "/api/lock", [a])).json["_id"] == a
    assert [found["_id"] for found in (await api.ask("PUT", "/api/lock", [a, b])).json] == [a, b]


async def test_s2_shape_publish_graph_search_are_always_arrays(api: Api) -> None:
    item = {"_id": "/always", "comment": "", "origin": "paris"}
    assert (await api.ask("POST", "/api/publish", item)).json[0]["_id"] == "/always"
    assert (await api.ask("GET", "/api/graph/0//always")).json[0]["_id"] == "/always"
    assert (await api.ask("POST", "/api/graph/0", "/always")).json[0]["_id"] == "/always"
    assert (await api.ask("GET", "/api/search/_id:/always")).json == ["/always"]
    assert (await api.ask("GET", "/api/search/_id:/no-such-thing")).json == []


async def test_s2_shape_comment(api: Api) -> None:
    await api.create({"_id": "/commented"})
    one = await api.ask("POST", "/api/comment", {"#parent": "/commented", "comment": "c"})
    assert one.json["#parent"] == "/commented"
    several = await api.ask("POST", "/api/comment", {"#parent": ["/commented"], "comment": "c"})
    assert [found["#parent"] for found in several.json] == ["/commented"]


async def test_s2_some_missing_are_null_in_their_places_and_207(api: Api) -> None:
    await api.create({"_id": "m1"}, {"_id": "m3"})
    asked = ["m1", "m2", "m3", "m4"]
    for method, path, body in (
        ("POST", "/api/read", asked),
        ("GET", "/api/read/" + ",".join(asked), None),
        ("PUT", "/api/update", [{"_id": key, "k": 1} for key in asked]),
        ("PUT", "/api/lock", asked),
        ("PUT", "/api/unlock", asked),
        ("POST", "/api/comment", {"#parent": asked, "comment": "c"}),
        ("DELETE", "/api/delete", asked),
    ):
        answer = await api.ask(method, path, body)
        assert (answer.status, [found is None for found in answer.json]) == (207, [False, True, False, True]), path
    created = await api.ask("POST", "/api/create", [{"_id": "m5"}, {"_id": "m5"}, {"_id": "m6"}])
    assert (created.status, [found and found["_id"] for found in created.json]) == (207, ["m5", None, "m6"])
    items = [{"_id": key, "comment": "", "origin": "paris"} for key in ("/m1", "/m1", "/m2")]
    published = await api.ask("POST", "/api/publish", items)
    assert (published.status, [found and found["_id"] for found in published.json[:3]]) == (207, ["/m1", None, "/m2"])
    assert len(published.json) == 5


async def test_s2_all_missing_is_the_error_of_the_operation(api: Api) -> None:
    none = ["gone1", "gone2"]
    for method, path, sent in (
        ("POST", "read", none),
        ("PUT", "update", [{"_id": key, "k": 1} for key in none]),
        ("PUT", "lock", none),
        ("PUT", "unlock", none),
        ("DELETE", "delete", none),
        ("POST", "graph/0", none),
        ("POST", "comment", {"#parent": none, "comment": "c"}),
        ("POST", "version/gone1", {"file": "f"}),
    ):
        answer = await api.ask(method, f"/api/{path}", sent)
        assert answer.status == 404, (path, answer.text)
    await api.create({"_id": "/taken"})
    body: Any
    for body in ({"_id": "/taken"}, [{"_id": "/taken"}, {"_id": "/taken"}]):
        assert (await api.ask("POST", "/api/create", body)).status == 409
    assert (await api.ask("POST", "/api/publish", {"_id": "/taken", "comment": "", "origin": "x"})).status == 409


async def test_s2_upsert_never_gives_207(api: Api) -> None:
    answer = await api.ask("POST", "/api/upsert", [{"_id": "u-new", "k": 1}, {"_id": "u-new", "k": 2}, {"_id": "u-2"}])
    assert answer.status == 200
    assert None not in answer.json


async def test_s2_duplicates_are_answered_each_when_read(api: Api) -> None:
    await api.create({"_id": "dup"})
    assert [found["_id"] for found in (await api.ask("POST", "/api/read", ["dup", "dup"])).json] == ["dup", "dup"]
    assert [found["_id"] for found in (await api.ask("GET", "/api/read/dup,dup")).json] == ["dup", "dup"]


# --- errors ---------------------------------------------------------------------------------------------------------

ERRORS: list[tuple[str, str, Any, str]] = [
    ("POST", "create", [], "Create error: Bad request (empty or not well-formed)"),
    ("POST", "create", {"_id": "/err"}, "Create error: Conflict"),
    ("POST", "read", [], "Read error: Bad request (empty or not well-formed)"),
    ("GET", "read/", None, "Read error: Bad request (empty or not well-formed)"),
    ("GET", "read", None, "Read error: Not found"),
    ("POST", "read", "/none", "Read error: Not found"),
    ("PUT", "update", {}, "Update error: Bad request (empty or not well-formed)"),
    ("PUT", "update", {"_id": "/none", "k": 1}, "Update error: Not found"),
    ("POST", "upsert", 5, "Upsert error: Bad request (empty or not well-formed)"),
    ("DELETE", "delete", {}, "Remove error: Bad request (empty or not well-formed)"),
    ("DELETE", "delete", "/none", "Remove error: Not found"),
    ("POST", "graph/0", "/none", "Graph error: Not found"),
    ("GET", "graph/0/", None, "Graph error: Bad request (empty or not well-formed)"),
    ("GET", "search/", None, "Search error: Bad request (empty or not well-formed)"),
    ("GET", "search_one/", None, "Search_one error: Bad request (empty or not well-formed)"),
    ("POST", "search_mongo", {"query": {"$where": "1"}}, "Search_mongo error: Bad request (empty or not well-formed)"),
    ("PUT", "lock", "/none", "Lock error: Not found"),
    ("PUT", "lock", {}, "Lock error: Bad request (empty or not well-formed)"),
    ("PUT", "unlock", "/err", "Unlock error: Conflict"),
    ("POST", "publish", {}, "Publish error: Bad request (empty or not well-formed)"),
    ("POST", "publish", {"_id": "/err", "comment": "", "origin": "x"}, "Publish error: Conflict"),
    ("POST", "version//none", {"file": "f"}, "Version error: Not found"),
    ("POST", "version//err", {}, "Version error: Bad request (empty or not well-formed)"),
    ("POST", "comment", {"#parent": "/none", "comment": "c"}, "Comment error: Not found"),
    ("POST", "comment", {"#parent": "/err"}, "Comment error: Bad request (empty or not well-formed)"),
    ("GET", "file//none", None, "File error: Not found"),
]


@pytest.mark.parametrize(("method", "path", "body", "line"), ERRORS, ids=[f"{e[1]} {e[3][-9:]}" for e in ERRORS])
async def test_s2_errors_are_short_texts_with_the_stated_words(
    api: Api, method: str, path: str, body: Any, line: str
) -> None:
    await api.ask("POST", "/api/create", {"_id": "/err"})
    answer = await api.ask(method, f"/api/{path}", body)
    assert answer.status in (400, 404, 409)
    assert answer.text.splitlines()[0] == line
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    asked = await api.ask(method, f"/api/{path}", body, headers=JSON)
    assert (asked.status, asked.headers["content-type"]) == (answer.status, "application/json; charset=utf-8")
    assert asked.json["error"]
    assert asked.json["code"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "create"),
        ("POST", "publish"),
        ("POST", "comment"),
        ("PUT", "lock"),
        ("PUT", "unlock"),
        ("POST", "version/x"),
        ("PUT", "update"),
        ("POST", "upsert"),
        ("DELETE", "delete"),
        ("POST", "upload"),
    ],
)
async def test_s2_a_403_names_the_route(api: Api, method: str, path: str) -> None:
    answer = await api.ask(method, f"/api/{path}", {"_id": "x"}, as_="guest")
    said = f"Access /api/{path} error: Forbidden (permission required)"
    assert (answer.status, answer.text.splitlines()[0]) == (403, said)
    assert (await api.ask(method, f"/api/{path}", {"_id": "x"}, as_="guest", headers=JSON)).json["code"] == "forbidden"


async def test_s2_a_401_is_a_json_string(api: Api) -> None:
    for token in ("", "wrong"):
        answer = await ask(api.port, "POST", "/api/read", "x", token)
        assert (answer.status, answer.headers["content-type"]) == (401, "application/json; charset=utf-8")
        assert isinstance(answer.json, str)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        asked = await ask(api.port, "POST", "/api/read", "x", token, JSON)
        assert (asked.status, asked.json["code"]) == (401, "sign-in-needed")
    wrong = await api.ask("POST", "/api/signIn", {"username": "admin", "password": "no"}, as_="")
    assert (wrong.status, isinstance(wrong.json, str)) == (401, True)


async def test_s2_what_a_client_sent_is_never_an_error_of_ours(api: Api) -> None:
    odd = [
        "/api/read/%",
        "/api/read/%zz",
        "/api/search/%",
        "/api/graph/x/y",
        "/api/graph/-1/y",
        "/api/read/%00",
        "/api/read/,",
    ]
    for path in odd:
        assert (await api.ask("GET", path)).status < 500, path
    body: Any
    for body in (
        {"_id": 5},
        {"_id": None},
        {"_id": {}},
        {"_id": [1]},
        {"_id": []},
        [None],
        ["x"],
        {"$set": 1},
        {"": 1},
        "x",
        5,
    ):
        for method, path in (
            ("POST", "create"),
            ("PUT", "update"),
            ("POST", "upsert"),
            ("POST", "publish"),
            ("PUT", "lock"),
        ):
            assert (await api.ask(method, f"/api/{path}", body)).status < 500, (path, body)


async def test_s2_every_answer_says_how_it_may_be_used(api: Api) -> None:
    for answer in (
        await api.ask("GET", "/api/health"),
        await api.ask("GET", "/api/read/none"),
        await api.ask("OPTIONS", "/api/read"),
        await api.ask("GET", "/api/verify", as_=""),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


async def test_s2_head_is_get_without_a_body(api: Api) -> None:
    await api.create({"_id": "head"})
    for path in (
        "/api/read/head",
        "/api/search/*",
        "/api/verify",
        "/api/health",
        "/api/docs",
        "/api/openapi.json",
        "/",
    ):
        get, head = await api.ask("GET", path), await api.ask("HEAD", path)
        assert (head.status, head.headers["content-type"]) == (get.status, get.headers["content-type"])


async def test_s2_below_a_base_path_everything_is_the_same(run: Run) -> None:
    async with run(Options(base_path="/sync")) as api:
        await api.create({"_id": "/sync/x"})
        for base in ("", "/sync"):
            assert (await api.ask("GET", f"{base}/api/read//sync/x")).json["_id"] == "/sync/x"
            denied = await api.ask("POST", f"{base}/api/create/", {}, as_="guest")
            assert denied.text.startswith("Access /api/create/ error: ")


# --- section 14: old aliases ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/"),
        ("POST", "/api"),
        ("GET", "/api//a"),
        ("GET", "/api/x1"),
        ("PUT", "/api/x1,x2"),
        ("DELETE", "/api/x1"),
        ("PUT", "/api/"),
        ("DELETE", "/api/"),
        ("PUT", "/api/update/x1"),
        ("PUT", "/api/update//a"),
        ("DELETE", "/api/delete/x1"),
        ("DELETE", "/api/delete//a"),
        ("PUT", "/api/lock/x1"),
        ("PUT", "/api/unlock/x1"),
        ("GET", "/api/graph/x1"),
        ("GET", "/api/graph/x1,x2"),
        ("GET", "/api/graph//a"),
        ("POST", "/api/import"),
    ],
)
async def test_s14_what_trackers_dropped_is_404(api: Api, method: str, path: str) -> None:
    await api.ask("POST", "/api/upsert", [{"_id": "x1"}, {"_id": "x2"}, {"_id": "/a"}])
    assert (await api.ask(method, path, {"_id": "x1", "k": 1} if method != "GET" else None)).status == 404
    assert "k" not in (await api.ask("GET", "/api/read/x1")).json


async def test_s2_numbered_keys_of_a_form_are_an_array(api: Api) -> None:
    async def stored(text: str) -> Any:
        answer = await api.ask("POST", "/api/create/", text.encode(), headers=FORM)
        assert answer.status == 201, answer.text
        return answer.json

    two = await stored("_id[0]=/numbered/a&_id[1]=/numbered/b&shots[1][n]=2&shots[0][n]=1")
    assert [element["_id"] for element in two] == ["/numbered/a", "/numbered/b"]
    assert two[0]["shots"] == [{"n": "1"}, {"n": "2"}]
    mixed = await stored("_id=/numbered/c&frames[0]=x&frames[first]=y&far[21]=z")
    assert (mixed["frames"], mixed["far"]) == ({"0": "x", "first": "y"}, {"21": "z"})


async def test_s2_errors_name_what_is_missing_or_taken(api: Api) -> None:
    await api.create({"_id": "/named/a"})
    asks: list[tuple[str, str, Any, str]] = [
        ("POST", "create", {"_id": "/named/a"}, "/named/a: already tracked"),
        ("POST", "create", {"_id": ["/named/a"] * 5}, "/named/a, /named/a, /named/a and 2 more: already tracked"),
        ("GET", "read//no/1,/no/2", None, "/no/1, /no/2: no such element"),
        ("PUT", "update", [{"_id": "/no/1", "k": 1}], "/no/1: no such element"),
        ("POST", "comment", {"#parent": "/no/1", "comment": "c"}, "/no/1: no such element"),
        ("POST", "version//no/1", {"file": "f"}, "/no/1: no such element"),
        ("POST", "graph/0", ["/no/1"], "/no/1: no such element"),
        ("PUT", "unlock", "/named/a", "/named/a is not locked"),
        ("POST", "publish", {"comment": "", "origin": "paris"}, "_id is missing"),
        ("POST", "publish", {"_id": "/named/b", "comment": 5, "origin": "paris"}, "comment is 5"),
        ("POST", "publish", {"_id": "/named//b", "comment": "", "origin": "paris"}, "two slashes in a row"),
        ("POST", "search_mongo", {"queryobj": 5}, "queryobj is a text"),
        ("PUT", "create", {}, "PUT is not offered here; the method has to be POST"),
    ]
    for method, path, body, said in asks:
        answer = await api.ask(method, f"/api/{path}", body)
        assert answer.status in (400, 404, 405, 409), path
        assert said in answer.text, (path, body, answer.text)
    assert (await api.ask("PUT", "/api/lock/", "/named/a", as_="user")).status == 200
    assert "/named/a is locked by" in (await api.ask("PUT", "/api/lock/", ["/no", "/named/a"])).text
