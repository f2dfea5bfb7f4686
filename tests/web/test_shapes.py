"""What goes in and what comes out, in the forms of existing clients and of programs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.web.stub import Stub
from tests.web.wire import ask

from everysite.tracker.messages import Ids, Items, LogAsked, Query, SiteChange, TokenId, WhyAsked
from everysite.web.server import Running

pytestmark = pytest.mark.anyio
PROGRAMS = {"Content-Type": "application/vnd.everysite+json"}


@pytest.fixture(autouse=True)
def elements(fresh: None, stub: Stub) -> None:
    stub.elements.update({key: {"_id": key, "n": 1} for key in ("/a", "/b", "/c/", "//odd", "/p%q", "/ü", "/\uef80")})


async def test_health_needs_no_sign_in_and_no_slash(server: Running) -> None:
    for path in ("/api/health", "/api/health/"):
        answer = await ask(server.port, "GET", path)
        assert (answer.status, answer.json["status"]) == (200, "ok")
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert (await ask(server.port, "HEAD", "/api/health", headers={"Content-Length": "0"})).status == 200


@pytest.mark.parametrize(
    ("body", "status", "answered"),
    [
        ("/a", 200, {"_id": "/a", "n": 1}),
        (["/a"], 200, [{"_id": "/a", "n": 1}]),
        (["/b", "/none"], 207, [{"_id": "/b", "n": 1}, None]),
        ("/none", 404, None),
        (["/none", "/nor"], 404, None),
        ([], 400, None),
        ({}, 400, None),
        ([{"_id": "/a"}], 400, None),
        (7, 400, None),
        ([7], 400, None),
        (None, 400, None),
        ("", 400, None),
        (["/a\0"], 400, None),
        ("/a\0", 400, None),
    ],
)
async def test_read_by_body(server: Running, body: Any, status: int, answered: Any) -> None:
    sent = b"null" if body is None else body
    for path in ("/api/read", "/api/read/"):
        answer = await ask(server.port, "POST", path, sent, "t-guest")
        assert answer.status == status, answer.text
        if answered is not None:
            assert answer.json == answered
        else:
            assert answer.text.startswith("Read error: ")


@pytest.mark.parametrize(
    ("rest", "keys"),
    [
        ("/a", ["/a"]),
        ("/a,/b", ["/a", "/b"]),
        ("/c/", ["/c/"]),
        ("//odd", ["//odd"]),
        ("%2F%2Fodd", ["//odd"]),
        ("/p%25q", ["/p%q"]),
        ("/p%q", ["/p%q"]),
        ("/%C3%BC", ["/ü"]),
        ("/%EE%BE%80", ["/\uef80"]),
        ("/%80", ["/\uef80"]),
        ("/p%2525q", ["/p%25q"]),
        ("/a%2C/b", ["/a", "/b"]),
        ("/a/../b", ["/a/../b"]),
        ("/a/./b;c=1*$^|", ["/a/./b;c=1*$^|"]),
    ],
)
async def test_read_by_path_takes_the_rest_as_it_is(server: Running, stub: Stub, rest: str, keys: list[str]) -> None:
    answer = await ask(server.port, "GET", f"/api/read/{rest}", token="t-guest")
    assert stub.asked == [Ids(list(keys))]
    if all(key in stub.elements for key in keys):
        assert [found["_id"] for found in (answer.json if len(keys) > 1 else [answer.json])] == keys
    else:
        assert answer.status == 404


async def test_an_empty_rest_is_400_and_no_slash_404(server: Running) -> None:
    assert (await ask(server.port, "GET", "/api/read/", token="t-guest")).status == 400
    assert (await ask(server.port, "GET", "/api/read", token="t-guest")).status == 404
    assert (await ask(server.port, "GET", "/api/search/", token="t-guest")).status == 400
    assert (await ask(server.port, "GET", "/api/search", token="t-guest")).status == 404
    assert (await ask(server.port, "GET", "/api/read/%00", token="t-guest")).status == 400
    assert (await ask(server.port, "GET", "/api/read//a,,/b", token="t-guest")).status == 400


@pytest.mark.parametrize(
    ("rest", "query"),
    [
        ("*", "*"),
        ("u:http://h/x//y", "u:http://h/x//y"),
        ("u:http://h?a=1&b=%2B", "u:http://h?a=1&b=+"),
        ("a%20b+c", "a b+c"),
        ("k:/^x$/i", "k:/^x$/i"),
        ("100%", "100%"),
    ],
)
async def test_search_takes_the_rest_and_the_query_string(server: Running, stub: Stub, rest: str, query: str) -> None:
    answer = await ask(server.port, "GET", f"/api/search/{rest}", token="t-guest")
    assert (answer.status, answer.json) == (200, [*stub.elements])
    assert stub.asked == [Query(query)]


async def test_search_by_body_may_be_limited(server: Running) -> None:
    answer = await ask(server.port, "POST", "/api/search", {"query": "*", "limit": 2}, "t-guest")
    assert answer.json == ["/a", "/b"]
    assert (await ask(server.port, "GET", "/api/search/undefined", token="t-guest")).status == 400


async def test_publish_answers_elements_then_children(server: Running) -> None:
    whole = await ask(
        server.port, "POST", "/api/publish/", {"_id": ["/x", "/y"], "comment": "", "origin": "p"}, "t-user"
    )
    assert (whole.status, [found["_id"] for found in whole.json]) == (201, ["/x", "/y", "child-of-/x", "child-of-/y"])
    some = await ask(server.port, "POST", "/api/publish", [{"_id": "/x"}, {"_id": "/z"}], "t-user")
    assert (some.status, some.json[0], len(some.json)) == (207, None, 3)
    none = await ask(server.port, "POST", "/api/publish", {"_id": "/x"}, "t-user")
    assert (none.status, none.text) == (409, "Publish error: Conflict\n/x: already tracked")
    assert (await ask(server.port, "POST", "/api/publish", [], "t-user")).status == 400
    assert (await ask(server.port, "POST", "/api/publish", [None, {"_id": "/q"}], "t-user")).status == 400
    assert (await ask(server.port, "POST", "/api/publish", {"_id": "/q\0"}, "t-user")).status == 400


async def test_update_answers_one_as_one_and_several_as_an_array(server: Running) -> None:
    one = await ask(server.port, "PUT", "/api/update", {"_id": "/a", "k": 2}, "t-admin")
    assert one.json["k"] == 2
    quirk = await ask(server.port, "PUT", "/api/update", [{"_id": "/a", "k": 3}], "t-admin")
    assert quirk.json["k"] == 3
    unfolded = await ask(server.port, "PUT", "/api/update", {"_id": ["/a", "/b"], "k": 4}, "t-admin")
    assert [found["k"] for found in unfolded.json] == [4, 4]
    assert (await ask(server.port, "PUT", "/api/update", [{"_id": "/a"}, {"_id": "/none"}], "t-admin")).status == 207
    assert (await ask(server.port, "PUT", "/api/update", {"_id": "/none", "k": 1}, "t-admin")).status == 404


async def test_delete_answers_identifiers(server: Running) -> None:
    assert (await ask(server.port, "DELETE", "/api/delete/", "/a", "t-admin")).json == "/a"
    gone = await ask(server.port, "DELETE", "/api/delete/", "/a", "t-admin")
    assert (gone.status, gone.text) == (404, "Remove error: Not found\n/a: no such element")
    assert (await ask(server.port, "DELETE", "/api/delete", ["/b", "/a"], "t-admin")).json == ["/b", None]


async def test_the_method_may_be_named_in_a_header(server: Running, stub: Stub) -> None:
    head = {"X-HTTP-Method-Override": "delete"}
    assert (await ask(server.port, "POST", "/api/delete", "/a", "t-admin", head)).json == "/a"
    head = {"X-HTTP-Method-Override": "PUT"}
    assert (await ask(server.port, "POST", "/api/update", {"_id": "/b", "k": 1}, "t-admin", head)).json["k"] == 1
    assert "/a" not in stub.elements


@pytest.mark.parametrize(
    ("text", "item"),
    [
        (b"_id[]=/x&_id[]=/y&comment=a+b%26c", {"_id": ["/x", "/y"], "comment": "a b&c"}),
        (b"_id=/x&a[b]=1&a[c][d]=2", {"_id": "/x", "a": {"b": "1", "c": {"d": "2"}}}),
        (b"_id=/x&k=1&k=2", {"_id": "/x", "k": ["1", "2"]}),
    ],
)
async def test_forms_have_nested_keys(server: Running, stub: Stub, text: bytes, item: dict[str, Any]) -> None:
    head = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert (await ask(server.port, "POST", "/api/publish", text, "t-user", head)).status == 201
    assert stub.asked == [Items([item])]


@pytest.mark.parametrize(
    "text", [b"a=1&a[b]=2", b"a[b]=1&a=2", b"a[[b]]=1", b"[a]=1", b"a[][b]=1", b"a" + b"[b]" * 99 + b"=1"]
)
async def test_contradicting_forms_are_refused(server: Running, text: bytes) -> None:
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await ask(server.port, "POST", "/api/publish", text, "t-user", head)).status == 400


async def test_sign_in_by_form_and_by_json(server: Running) -> None:
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await ask(server.port, "POST", "/api/signIn/", b"username=ada&password=right", headers=head)
    assert b'"token":"t-admin"' in answer.body  # the shell client finds it by this very text
    answer = await ask(server.port, "POST", "/api/signIn", {"username": "ada", "password": "wrong"})
    assert (answer.status, answer.json) == (401, "Sign-in error: wrong user name or password")
    wrong: Any
    for wrong in ({"username": "ada"}, {"username": {"$ne": 1}, "password": "right"}, [], b""):
        refused = await ask(server.port, "POST", "/api/signIn", wrong)
        assert (refused.status, refused.body) == (401, answer.body)
    assert (await ask(server.port, "POST", "/api/signIn", b"{")).status == 400


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b'{"a": NaN}', 400),
        ("application/json", b'"\xff"', 400),
        ("application/json", b'"\\ud800"', 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'{"_id": "/x", "n": 99999999999999999999999}', 400),
        ("application/json", b"\xef\xbb\xbf{}", 400),
        ("application/json", b"", 400),
        ("text/plain", b'{"_id": "/x"}', 201),
        ("text/xml", b"<a/>", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("", b'{"_id": "/x"}', 201),
    ],
)
async def test_bodies_that_are_no_json(server: Running, media: str, body: bytes, status: int) -> None:
    answer = await ask(server.port, "POST", "/api/publish", body, "t-user", {"Content-Type": media})
    assert answer.status == status, answer.text


async def test_compressed_bodies_are_not_read(server: Running) -> None:
    head = {"Content-Encoding": "gzip"}
    assert (await ask(server.port, "POST", "/api/read", "/a", "t-guest", head)).status == 415


async def test_more_than_the_caps_is_413_and_names_them(server: Running) -> None:
    large = await ask(server.port, "POST", "/api/read", b"[" + b" " * (5 << 20) + b"]", "t-guest")
    assert (large.status, "1 MB" in large.text) == (413, True)
    for body in (["/a"] * 101, [{"_id": ["/a"] * 60}, {"_id": ["/b"] * 60}]):
        path = "/api/read" if isinstance(body[0], str) else "/api/publish"
        answer = await ask(server.port, "POST", path, body, "t-user")
        assert (answer.status, "100" in answer.text) == (413, True)
    answer = await ask(server.port, "POST", "/api/read", {"ids": ["/a"] * 101}, "t-user", PROGRAMS)
    assert answer.status == 413


async def test_plain_fields_come_from_path_query_and_body(server: Running, stub: Stub) -> None:
    await ask(server.port, "GET", "/api/why?path=%2Fa%2Bb+c&site=paris", token="t-guest")
    await ask(server.port, "GET", "/api/log?path=/a&limit=7&other=1", token="t-guest")
    await ask(server.port, "DELETE", "/api/tokens/12", token="t-user")
    await ask(server.port, "PUT", "/api/sites/p%2Fq", {"paused": True}, token="t-admin")
    await ask(server.port, "PUT", "/api/sites/paris/", {"name": "paris"}, token="t-admin")
    assert stub.asked == [
        WhyAsked("/a+b c", "paris"),
        LogAsked("/a", 7),
        TokenId(12),
        SiteChange("p/q", paused=True),
        SiteChange("paris"),
    ]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/api/why?path=/a", None, 400),
        ("GET", "/api/log?path=/a&limit=x", None, 400),
        ("GET", "/api/log?path=/a&limit=99999999999999999999999", None, 400),
        ("GET", "/api/log?" + "&" * 2000, None, 400),
        ("DELETE", "/api/tokens/x", None, 400),
        ("DELETE", "/api/tokens/99999999999999999999999", None, 400),
        ("PUT", "/api/sites/paris", {"name": "rome"}, 400),
        ("PUT", "/api/sites/paris", {"paused": "yes"}, 400),
        ("PUT", "/api/sites/paris", [], 400),
        ("GET", "/api/sites/%00", None, 400),
        ("GET", "/api/nothing", None, 404),
        ("GET", "/elsewhere", None, 404),
        ("PATCH", "/api/update", {}, 405),
        ("GET", "/api/update", None, 405),
        ("POST", "/api/health", {}, 405),
        ("PUT", "/api/tokens/1", {}, 405),
    ],
)
async def test_wrong_requests_are_told_so(server: Running, method: str, target: str, body: Any, status: int) -> None:
    answer = await ask(server.port, method, target, body, "t-admin")
    assert answer.status == status, answer.text
    if status == 405:
        assert answer.headers["allow"]


async def test_programs_speak_the_operations_own_types(server: Running) -> None:
    answer = await ask(server.port, "POST", "/api/read", {"ids": ["/none"]}, "t-guest", PROGRAMS)
    assert (answer.status, answer.json) == (200, {"items": [None]})
    assert answer.headers["content-type"] == PROGRAMS["Content-Type"]
    assert (await ask(server.port, "POST", "/api/read", ["/a"], "t-guest", PROGRAMS)).status == 400
