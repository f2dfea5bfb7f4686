"""Section 15 of the wire contract: what the JavaScript, Python and shell clients of existing trackers expect.

The three clients below are written for this test, from the description of how theirs call and read; no line is copied.
Each keeps the habits that matter on the wire: content types, trailing slashes, what is encoded and what is not, which
statuses count, and what is made of a body. The shell client is a real curl where there is one; urllib follows the same
calls always.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.api.conftest import PASSWORD, Api

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def meanwhile(work: Callable[[], T]) -> T:
    """Clients block; the tracker runs in this loop."""
    return await asyncio.to_thread(work)


def send(
    url: str, method: str, body: bytes | None = None, kind: str = "application/json", token: str = ""
) -> tuple[int, bytes]:
    """Status and body, whatever the status."""
    head = {"Content-Type": kind} if body is not None else {}
    if token:
        head["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body, head, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


# --- JavaScript -----------------------------------------------------------------------------------------------------


class Script:
    """Any status below 300 is parsed as JSON, all else is null; lock, unlock and verify only look at the status."""

    def __init__(self, port: int) -> None:
        self.server = f"http://127.0.0.1:{port}/api/"
        self.token = ""

    def _request(self, method: str, path: str, value: Any = None) -> tuple[int, bytes]:
        body = None if value is None else json.dumps(value).encode()
        return send(self.server + path, method, body, "application/json", self.token)

    def _parsed(self, method: str, path: str, value: Any = None) -> Any:
        status, body = self._request(method, path, value)
        return json.loads(body) if status < 300 else None

    def sign_in(self, username: str, password: str) -> Any:
        form = f"username={urllib.parse.quote(username)}&password={urllib.parse.quote(password)}".encode()
        status, body = send(self.server + "signIn", "POST", form, "application/x-www-form-urlencoded")
        if status >= 300:
            return None
        found = json.loads(body)
        self.token = found["token"]
        return found

    def sign_out(self) -> None:
        self.token = ""

    def verify(self) -> bool:
        return self._request("GET", "verify/")[0] < 300

    def create(self, value: Any) -> Any:
        return self._parsed("POST", "create/", value)

    def read(self, value: Any) -> Any:
        return self._parsed("POST", "read/", value)

    def update(self, value: Any) -> Any:
        return self._parsed("PUT", "update/", value)

    def upsert(self, value: Any) -> Any:
        return self._parsed("POST", "upsert/", value)

    def delete(self, value: Any) -> Any:
        return self._parsed("DELETE", "delete/", value)

    def search(self, query: str) -> Any:
        return self._parsed("GET", "search/" + urllib.parse.quote(query, safe="!'()*~"))

    def search_one(self, query: str) -> Any:
        return self._parsed("GET", "search_one/" + urllib.parse.quote(query, safe="!'()*~"))

    def search_mongo(self, query: Any, sort: Any, limit: int, skip: int) -> Any:
        return self._parsed("POST", "search_mongo", {"query": query, "sort": sort, "limit": limit, "skip": skip})

    def graph(self, value: Any) -> Any:
        return self._parsed("POST", "graph/0/", value)

    def lock(self, value: Any) -> bool:
        return self._request("PUT", "lock/", value)[0] < 300

    def unlock(self, value: Any) -> bool:
        return self._request("PUT", "unlock/", value)[0] < 300

    def publish(self, value: Any) -> Any:
        return self._parsed("POST", "publish/", value)

    def comment(self, value: Any) -> Any:
        return self._parsed("POST", "comment/", value)

    def version(self, key: str, value: Any) -> Any:
        return self._parsed("POST", "version/" + urllib.parse.quote(key, safe=""), value)


@pytest.fixture
async def script(api: Api) -> Script:
    client = Script(api.port)
    assert await meanwhile(lambda: client.sign_in("admin", PASSWORD))
    return client


async def test_s15_javascript_parses_any_success_and_takes_the_rest_for_null(script: Script) -> None:
    made = await meanwhile(lambda: script.create({"_id": "/js/a", "n": 1}))
    assert made["n"] == 1
    assert await meanwhile(lambda: script.create({"_id": "/js/a"})) is None
    assert await meanwhile(lambda: script.read("/js/a")) == made
    assert await meanwhile(lambda: script.read(["/js/a", "/js/none"])) == [made, None]
    assert await meanwhile(lambda: script.read("/js/none")) is None
    assert (await meanwhile(lambda: script.update({"_id": "/js/a", "n": None, "m": 2})))["m"] == 2
    assert (await meanwhile(lambda: script.upsert([{"_id": "/js/a", "m": 3}, {"_id": "/js/b"}])))[0]["_id"] == "/js/b"
    assert await meanwhile(lambda: script.delete(["/js/a", "/js/none"])) == ["/js/a", None]
    assert await meanwhile(lambda: script.delete("/js/b")) == "/js/b"


async def test_s15_javascript_searches_and_walks(script: Script) -> None:
    link = {"_id": "js-link", "src_id": "/js/src", "tgt_id": "/js/tgt", "kind": "js"}
    await meanwhile(lambda: script.create([{"_id": "/js/src", "kind": "js"}, {"_id": "/js/tgt", "kind": "js"}, link]))
    everything = ["/js/src", "/js/tgt", "js-link"]
    assert await meanwhile(lambda: script.search("kind:js")) == everything
    assert await meanwhile(lambda: script.search("kind:js _id:/^\\/js\\/S/i")) == ["/js/src"]
    assert await meanwhile(lambda: script.search("kind:nothing")) == []
    assert (await meanwhile(lambda: script.search_one("kind:js")))["_id"] == "/js/src"
    assert await meanwhile(lambda: script.search_one("kind:nothing")) is None
    found = await meanwhile(lambda: script.search_mongo({"kind": "js"}, {"_id": -1}, 1, 1))
    assert found == {"count": 3, "ids": ["/js/tgt"]}
    assert [item["_id"] for item in await meanwhile(lambda: script.graph(["/js/tgt"]))] == [
        "/js/tgt",
        "/js/src",
        "js-link",
    ]


async def test_s15_javascript_only_looks_whether_locks_and_tokens_are_good(api: Api, script: Script) -> None:
    await api.create({"_id": "/js/lock"})
    assert await meanwhile(lambda: script.lock("/js/lock"))
    assert await meanwhile(lambda: script.unlock("/js/lock"))
    assert not await meanwhile(lambda: script.unlock("/js/lock"))
    assert not await meanwhile(lambda: script.lock("/js/none"))
    assert await meanwhile(script.verify)
    script.sign_out()
    assert not await meanwhile(script.verify)
    assert await meanwhile(lambda: script.sign_in("admin", "wrong")) is None


async def test_s15_javascript_publishes_comments_and_versions_in_json(script: Script) -> None:
    item = {"_id": "/js/pub.exr", "origin": "rome", "comment": "", "file": "/js/pub.exr"}
    element, child = await meanwhile(lambda: script.publish(item))
    assert (element["_id"], child["#parent"]) == ("/js/pub.exr", "/js/pub.exr")
    assert await meanwhile(lambda: script.publish(item)) is None
    said = await meanwhile(lambda: script.comment({"#parent": "/js/pub.exr", "comment": "fine"}))
    assert said["comment"] == "fine"
    assert len(await meanwhile(lambda: script.comment({"#parent": ["/js/pub.exr"], "comment": "fine"}))) == 1
    new = await meanwhile(lambda: script.version("/js/pub.exr", {"file": "/js/pub2.exr"}))
    assert new["file"] == "/js/pub2.exr"
    assert await meanwhile(lambda: script.version("/js/none.exr", {"file": "/x"})) is None


# --- Python ---------------------------------------------------------------------------------------------------------

_COUNTS = {
    "create": (201, 207),
    "read": (200, 207),
    "update": (200, 207),
    "delete": (200, 207),
    "graph": (200, 207),
    "upsert": (200, 201),
    "publish": (201, 207),
    "comment": (201, 207),
    "version": (201,),
}


class Python:
    """Both generations: the new one answers (status, parsed), the old one parsed or None, locks True only on 200."""

    def __init__(self, port: int, token: str) -> None:
        self.server, self.token = f"http://127.0.0.1:{port}/api", token

    def _json(self, method: str, path: str, value: Any) -> tuple[int, bytes]:
        return send(f"{self.server}{path}", method, json.dumps(value).encode(), "application/json", self.token)

    def new(self, verb: str, method: str, path: str, value: Any) -> tuple[int, Any]:
        status, body = self._json(method, path, value)
        return status, json.loads(body) if status in _COUNTS.get(verb, (200,)) else None

    def old(self, verb: str, method: str, path: str, value: Any) -> Any:
        status, parsed = self.new(verb, method, path, value)
        return status == 200 if verb in ("lock", "unlock") else parsed

    def search(self, query: str) -> Any:
        """The query goes into the address as it is; only what an address cannot hold is encoded, as libraries do."""
        quoted = urllib.parse.quote(query, safe="/*^$:<>=?!'()~,;@&+|[]{}\\")
        status, body = send(f"{self.server}/search/{quoted}", "GET", token=self.token)
        return json.loads(body) if status == 200 else None


@pytest.fixture
def python(api: Api) -> Python:
    return Python(api.port, api.tokens["admin"])


async def test_s15_python_new_answers_status_and_parsed(python: Python) -> None:
    def work() -> None:
        assert python.new("create", "POST", "/create/", {"_id": "/py/a"})[0] == 201
        assert python.new("create", "POST", "/create/", {"_id": "/py/a"}) == (409, None)
        status, some = python.new("create", "POST", "/create/", [{"_id": "/py/a"}, {"_id": "/py/b"}])
        assert (status, some[0], some[1]["_id"]) == (207, None, "/py/b")
        assert python.new("read", "POST", "/read/", ["/py/a", "/py/none"])[0] == 207
        assert python.new("read", "POST", "/read/", "/py/none") == (404, None)
        assert python.new("update", "PUT", "/update/", {"_id": "/py/a", "n": 1})[1]["n"] == 1
        status, upserted = python.new("upsert", "POST", "/upsert/", {"_id": "/py/new", "n": 1})
        assert (status, upserted["n"]) == (200, 1)
        assert python.new("graph", "POST", "/graph/0/", ["/py/a", "/py/none"])[0] == 207
        assert python.new("delete", "DELETE", "/delete/", ["/py/a", "/py/b", "/py/new"])[0] == 200

    await meanwhile(work)


async def test_s15_python_old_takes_207_of_a_lock_for_false(python: Python) -> None:
    def work() -> None:
        python.new("create", "POST", "/create/", {"_id": "/py/lock"})
        assert python.old("lock", "PUT", "/lock/", "/py/lock") is True
        assert python.old("lock", "PUT", "/lock/", ["/py/lock", "/py/none"]) is False
        assert python.old("unlock", "PUT", "/unlock/", "/py/lock") is True
        assert python.old("unlock", "PUT", "/unlock/", "/py/lock") is False

    await meanwhile(work)


async def test_s15_python_old_reads_versions_on_201_only(python: Python) -> None:
    def work() -> None:
        item = {"_id": "/py/pub.exr", "origin": "rome", "comment": "x", "file": "/py/pub.exr"}
        assert len(python.old("publish", "POST", "/publish/", item)) == 2
        assert python.old("publish", "POST", "/publish/", item) is None
        both = python.old("publish", "POST", "/publish/", [item, {**item, "_id": "/py/pub2.exr"}])
        assert both[0] is None
        body = {"#parent": ["/py/pub.exr", "/py/none"], "comment": "x"}
        assert [each and each["comment"] for each in python.old("comment", "POST", "/comment/", body)] == ["x", None]
        assert python.old("version", "POST", "/version//py/pub.exr", {"file": "/py/v2"})["file"] == "/py/v2"
        assert python.old("version", "POST", "/version//py/none", {"file": "/py/v2"}) is None

    await meanwhile(work)


async def test_s15_python_puts_queries_into_the_address_unencoded(python: Python) -> None:
    def work() -> None:
        python.new("create", "POST", "/create/", [{"_id": "/py/q?a", "k": "pyq"}, {"_id": "/py/q", "k": "pyq?a"}])
        assert python.search("k:pyq") == ["/py/q?a"]
        assert python.search("k:pyq?a") == ["/py/q"]
        assert python.search("_id:/^\\/py\\/q/ k:/^pyq/") == ["/py/q?a", "/py/q"]
        assert set(python.search("*")) >= {"/py/q?a", "/py/q"}

    await meanwhile(work)


# --- shell ----------------------------------------------------------------------------------------------------------

_CODES = {200: 0, 201: 0, 207: 7, 400: 40, 401: 41, 403: 43, 404: 44, 409: 49, 500: 50}
_TOKEN = re.compile(r'"token":"([^"]*)"')

Carrier = Callable[[str, str, str | None, str, str], tuple[int, str]]
"""(method, url, body, content type, token) -> (status, body); status 0 when nobody answers."""


def by_urllib(method: str, url: str, body: str | None, kind: str, token: str) -> tuple[int, str]:
    try:
        status, answer = send(url, method, body.encode() if body is not None else None, kind, token)
    except urllib.error.URLError:
        return 0, ""
    return status, answer.decode()


def by_curl(method: str, url: str, body: str | None, kind: str, token: str) -> tuple[int, str]:
    words = ["curl", "-s", "-L", "-g", "--path-as-is", "-w", "\n%{http_code}", "-X", method, url]
    words += ["-H", f"Content-Type: {kind}", "-H", f"Authorization: Bearer {token}"]
    if body is not None:
        words += ["-d", body]
    out = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    answer, _, status = out.rpartition("\n")
    return int(status), answer


CARRIERS: list[Carrier] = [by_urllib, by_curl] if shutil.which("curl") else [by_urllib]


class Shell:
    """Everything is JSON but signIn; the token is picked out of its body by a regular expression; ends with a code."""

    def __init__(self, port: int, carry: Carrier, folder: Path) -> None:
        self.server, self._carry = f"http://127.0.0.1:{port}/api", carry
        self._kept = folder / "token"
        self.printed = ""

    def sign_in(self, username: str, password: str) -> int:
        kind = "application/x-www-form-urlencoded"
        status, body = self._carry(
            "POST", f"{self.server}/signIn", f"username={username}&password={password}", kind, ""
        )
        found = _TOKEN.search(body)
        self._kept.write_text(found[1] if found else "")
        return _CODES.get(status, 60) if status else 3

    def __call__(self, method: str, path: str, body: str | None = None) -> int:
        token = self._kept.read_text() if self._kept.exists() else ""
        status, self.printed = self._carry(method, self.server + path, body, "application/json", token)
        return _CODES.get(status, 60) if status else 3


@pytest.mark.parametrize("carry", CARRIERS)
async def test_s15_shell_ends_with_the_code_of_the_status(api: Api, tmp_path: Path, carry: Carrier) -> None:
    name = carry.__name__
    shell = Shell(api.port, carry, tmp_path)

    def work() -> None:
        assert shell.sign_in("admin", "wrong") == 41
        assert shell("GET", "/verify") == 41
        assert shell.sign_in("admin", PASSWORD) == 0
        assert shell("GET", "/verify") == 0
        assert shell("POST", "/create/", json.dumps({"_id": f"/{name}/a", "k": name})) == 0
        assert shell("POST", "/create/", json.dumps({"_id": f"/{name}/a"})) == 49
        assert shell("POST", "/create/", "{") == 40
        assert shell("GET", f"/read//{name}/a") == 0
        assert json.loads(shell.printed)["_id"] == f"/{name}/a"
        assert shell("GET", f"/read//{name}/none") == 44
        assert shell("POST", "/read/", json.dumps([f"/{name}/a", "/none"])) == 7
        assert shell("GET", f"/search/k:/^{name}$/") == 0
        assert json.loads(shell.printed) == [f"/{name}/a"]
        assert shell("PUT", "/lock/", json.dumps(f"/{name}/a")) == 0
        assert shell("PUT", "/lock/", '"/none"') == 44
        assert shell("PATCH", "/lock/", '"/none"') in (44, 60)
        assert shell("DELETE", "/delete/", json.dumps([f"/{name}/a"])) == 0

    await meanwhile(work)


@pytest.mark.parametrize("carry", CARRIERS)
async def test_s15_shell_may_not_what_a_guest_may_not(api: Api, tmp_path: Path, carry: Carrier) -> None:
    shell = Shell(api.port, carry, tmp_path)

    def work() -> None:
        assert shell.sign_in("guest", PASSWORD) == 0
        assert shell("POST", "/create/", "{}") == 43

    await meanwhile(work)


@pytest.mark.parametrize("carry", CARRIERS)
async def test_s15_shell_tells_when_nobody_answers(tmp_path: Path, carry: Carrier) -> None:
    assert await meanwhile(lambda: Shell(1, carry, tmp_path)("GET", "/verify")) == 3


async def test_s15_the_token_can_be_picked_out_by_a_regular_expression(api: Api) -> None:
    """The key unescaped, no space after the colon, and only one such key in the whole body."""
    answer = await api.ask("POST", "/api/signIn/", {"username": "admin", "password": PASSWORD}, as_="")
    assert _TOKEN.findall(answer.text) == [answer.json["token"]]
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", answer.json["token"])
