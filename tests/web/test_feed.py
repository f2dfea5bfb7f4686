"""The four forms of the change feed, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.api.conftest import PASSWORD, Api, Run, running
from tests.web.wire import ask, until

from everysite.web import feed, streams
from everysite.web.options import Options

pytestmark = pytest.mark.anyio


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return lambda options=None, **limits: running(tmp_path, options, **limits)


@pytest.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running(tmp_path_factory.mktemp("feed")) as made:
        yield made


async def cursor(api: Api) -> str:
    return str((await api.ask("GET", "/api/changes")).json["cursor"])


async def changes(api: Api, query: str, as_: str = "guest") -> Any:
    answer = await api.ask("GET", f"/api/changes?{query}", as_=as_)
    assert answer.status == 200, answer.text
    return answer.json


def ids(page: Any) -> list[str]:
    return [entry["_id"] for entry in page["changes"]]


# --- an answer, and a long poll ---


async def test_an_answer_has_entries_with_whole_elements(api: Api) -> None:
    since = await cursor(api)
    await api.create({"_id": "feed-a", "n": 1}, {"_id": "feed-b"})
    await api.ask("DELETE", "/api/delete/", "feed-b")
    page = await changes(api, f"since={since}")
    element, removed = page["changes"]
    assert element["kind"] == "element" and element["element"]["n"] == 1 and element["element"]["author"] == "admin"
    assert removed["kind"] == "removed" and removed["_id"] == "feed-b" and "element" not in removed
    assert page["cursor"] == removed["cursor"] and page["more"] is False
    assert ids(await changes(api, f"since={element['cursor']}")) == ["feed-b"]
    assert "feed-a" in ids(await changes(api, "since=0"))
    assert (await changes(api, f"since={since}&limit=1"))["more"] is True
    assert ids(await changes(api, f"since={since}&prefix=feed-a")) == ["feed-a"]


async def test_what_is_wrong_is_said(api: Api) -> None:
    since = await cursor(api)
    for query in ("since=x", "limit=0", "limit=1001", "limit=x", "wait_ms=-1", "wait_ms=300001", f"since={since}x"):
        assert (await api.ask("GET", f"/api/changes?{query}")).status == 400, query
    lost = await api.ask(
        "GET", f"/api/changes?since=0000.{since.partition('.')[2]}", headers={"Accept": "application/json"}
    )
    assert lost.status == 410 and lost.json["code"] == "cursor-lost" and "since=0" in lost.json["error"]
    assert (await api.ask("GET", "/api/changes", as_="")).status == 401
    assert (await api.ask("POST", "/api/changes", {})).status == 405


async def test_a_long_poll_is_answered_by_the_change(api: Api) -> None:
    since = await cursor(api)
    assert ids(await changes(api, f"since={since}&wait_ms=50")) == []
    waiting = asyncio.create_task(changes(api, f"since={since}&wait_ms=60000"))
    await asyncio.sleep(0.1)
    await api.create({"_id": "feed-poll"})
    async with asyncio.timeout(5):
        assert ids(await waiting) == ["feed-poll"]


async def test_a_poll_of_who_may_no_longer_ends(api: Api) -> None:
    token = await signed_in(api, "guest")
    waiting = asyncio.create_task(ask(api.port, "GET", "/api/changes?wait_ms=60000", token=token))
    await asyncio.sleep(0.2)
    await ask(api.port, "POST", "/api/signOut/", {}, token)
    async with asyncio.timeout(5):
        assert (await waiting).status == 401


async def signed_in(api: Api, name: str) -> str:
    answer = await ask(api.port, "POST", "/api/signIn/", {"username": name, "password": PASSWORD})
    return str(answer.json["token"])


# --- server-sent events ---


@dataclass
class Heard:
    """What a stream has sent so far. Data that is an entry becomes one."""

    ids: list[str] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    ended: dict[str, Any] | None = None
    text: str = ""
    over: bool = False

    @property
    def keys(self) -> list[str]:
        return [entry["_id"] for entry in self.entries]


@contextlib.asynccontextmanager
async def events(
    api: Api, query: str = "", as_: str = "guest", token: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[Heard]:
    said = {"Accept": "text/event-stream", "Authorization": f"Bearer {token or api.tokens[as_]}", **(headers or {})}
    address = f"http://127.0.0.1:{api.port}/api/changes?{query}"
    async with aiohttp.ClientSession() as session, session.get(address, headers=said) as answer:
        assert answer.status == 200, (answer.status, await answer.text())
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store" and answer.headers["x-accel-buffering"] == "no"
        heard = Heard()
        reading = asyncio.create_task(_read(answer, heard))
        await until(lambda: bool(heard.ids) or heard.over)  # the first id says where the stream begins
        yield heard
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(answer: aiohttp.ClientResponse, heard: Heard) -> None:
    """As the HTML standard says: blocks end at an empty line."""
    try:
        async for block in _blocks(answer):
            fields = dict(line.partition(": ")[::2] for line in block.split("\n") if not line.startswith(":"))
            if "id" in fields:
                heard.ids.append(fields["id"])
            if fields.get("event") == "end":
                heard.ended = json.loads(fields["data"])
            elif "data" in fields:
                heard.entries.append(json.loads(fields["data"]))
                assert heard.entries[-1]["cursor"] == fields["id"]
            heard.text += block + "\n\n"
    finally:
        heard.over = True


async def _blocks(answer: aiohttp.ClientResponse) -> AsyncIterator[str]:
    text = ""
    async for chunk in answer.content.iter_any():
        text += chunk.decode()
        while "\n\n" in text:
            block, _, text = text.partition("\n\n")
            yield block


async def test_events_come_one_an_entry_with_its_cursor_as_id(api: Api) -> None:
    since = await cursor(api)
    await api.create({"_id": "feed-sse-1", "text": "line\nbreak\r\n ü"})
    async with events(api, f"since={since}") as heard:
        await until(lambda: heard.keys == ["feed-sse-1"])
        await api.create({"_id": "feed-sse-2"}, {"_id": "feed-sse-3"})
        await api.ask("DELETE", "/api/delete/", "feed-sse-2")
        await until(lambda: heard.keys[-1:] == ["feed-sse-2"] and heard.entries[-1]["kind"] == "removed")
    assert "feed-sse-3" in heard.keys
    assert heard.entries[0]["element"]["text"] == "line\nbreak\r\n ü"
    assert heard.text.startswith("retry: 2000\n\n")
    assert heard.entries[-1] == {"cursor": heard.ids[-1], "kind": "removed", "_id": "feed-sse-2"}


async def test_events_go_on_where_a_browser_stopped(api: Api) -> None:
    async with events(api) as heard:
        await api.create({"_id": "feed-last-1"})
        await until(lambda: heard.keys == ["feed-last-1"])
    await api.create({"_id": "feed-last-2"})
    async with events(api, "since=0", headers={"Last-Event-ID": heard.ids[-1]}) as again:
        await until(lambda: again.keys == ["feed-last-2"])
    async with events(api, f"since={heard.ids[0]}") as whole:
        await until(lambda: whole.keys == ["feed-last-1", "feed-last-2"])


async def test_events_show_life_and_pass_what_is_not_shown(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_BEAT_MS", 50)
    async with events(api, "prefix=feed-none") as heard:
        await until(lambda: heard.text.count(":\n\n") >= 2)
        first = heard.ids[-1]
        await api.create({"_id": "feed-beat"})
        await until(lambda: heard.ids[-1] != first)
    assert heard.entries == []


async def test_what_is_wrong_with_a_stream_is_a_status(api: Api) -> None:
    accept = {"Accept": "text/event-stream"}
    assert (await api.ask("GET", "/api/changes?since=x", headers=accept)).status == 400
    assert (await api.ask("GET", "/api/changes?since=0000.1", headers=accept)).status == 410
    assert (await api.ask("GET", "/api/changes", headers=accept | {"Last-Event-ID": "0000.1"})).status == 410
    assert (await api.ask("GET", "/api/changes", as_="", headers=accept)).status == 401
    assert (await api.ask("HEAD", "/api/changes", headers=accept)).status == 200


async def test_events_of_who_may_no_longer_end(api: Api) -> None:
    token = await signed_in(api, "guest")
    async with events(api, token=token) as heard:
        await ask(api.port, "POST", "/api/signOut/", {}, token)
        await until(lambda: heard.over)
    assert heard.ended is not None and heard.ended["code"] == "sign-in-needed"


async def test_events_of_who_may_do_something_else_now_end(api: Api) -> None:
    user = {"username": "feeduser", "class": "user", "password": PASSWORD}
    assert (await api.ask("PUT", "/api/users/feeduser", user)).status == 200
    token = await signed_in(api, "feeduser")
    async with events(api, token=token) as heard:
        assert (await api.ask("PUT", "/api/users/feeduser", {"username": "feeduser", "class": "guest"})).status == 200
        await until(lambda: heard.over)
    assert heard.ended is not None and heard.ended["code"] == "sign-in-needed"


# --- a WebSocket ---


@contextlib.asynccontextmanager
async def socket(api: Api, query: str = "", path: str = "/api/changes/ws", **headers: str) -> AsyncIterator[Any]:
    said = headers or {"Authorization": f"Bearer {api.tokens['guest']}"}
    address = f"ws://127.0.0.1:{api.port}{path}?{query}"
    async with aiohttp.ClientSession() as session, session.ws_connect(address, headers=said) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/api/changes/ws", "/api/changes", "/api/changes/", "/api/changes/ws/"])
async def test_a_websocket_gets_answers_as_messages(api: Api, path: str) -> None:
    key = "feed-ws-" + path
    async with socket(api, path=path) as opened:
        first = json.loads((await opened.receive()).data)
        assert first["changes"] == [] and first["cursor"] == await cursor(api)
        await opened.send_str("nobody reads this")
        await api.create({"_id": key})
        page = json.loads((await opened.receive()).data)
        assert ids(page) == [key] and page["cursor"] == page["changes"][-1]["cursor"]
    async with socket(api, f"since={first['cursor']}", path) as opened:
        assert ids(json.loads((await opened.receive()).data)) == [key]


async def test_large_pages_are_told_in_parts(api: Api) -> None:
    since = await cursor(api)
    await api.create(*[{"_id": f"feed-part-{n}", "text": "x" * 30_000} for n in range(10)])
    found: list[str] = []
    async with socket(api, f"since={since}") as opened:
        while len(found) < 10:
            message = (await opened.receive()).data
            assert len(message) < 150_000
            page = json.loads(message)
            found += ids(page)
            assert page["cursor"] == page["changes"][-1]["cursor"]
    assert found == [f"feed-part-{n}" for n in range(10)]


async def test_a_websocket_is_refused_with_a_status(api: Api) -> None:
    token = f"token={api.tokens['guest']}"
    refusals: list[tuple[str, dict[str, str], int]] = [
        ("", {"X-Nothing": ""}, 401),
        ("", {"Authorization": "Bearer wrong"}, 401),
        ("since=x", {}, 400),
        ("since=0000.1", {}, 410),
        ("", {"Cookie": token, "Origin": "https://evil.example"}, 403),
        ("", {"Cookie": token, "Sec-Fetch-Site": "cross-site"}, 403),
    ]
    for query, headers, status in refusals:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with socket(api, query, **headers):
                pass
        assert refused.value.status == status, (query, headers)
    async with socket(api, Cookie=token, Origin=f"http://127.0.0.1:{api.port}") as opened:
        assert (await opened.receive()).type == aiohttp.WSMsgType.TEXT
    with pytest.raises(aiohttp.WSServerHandshakeError) as nowhere:
        async with socket(api, path="/api/nothing"):
            pass
    assert nowhere.value.status == 404


async def test_a_websocket_of_who_may_no_longer_is_closed(api: Api) -> None:
    token = await signed_in(api, "guest")
    async with socket(api, Authorization=f"Bearer {token}") as opened:
        await opened.receive()
        await ask(api.port, "POST", "/api/signOut/", {}, token)
        async with asyncio.timeout(5):
            closed = await opened.receive()
        assert closed.type == aiohttp.WSMsgType.CLOSE and closed.data == 4401


async def test_a_large_message_ends_a_websocket(api: Api) -> None:
    async with socket(api) as opened:
        await opened.receive()
        await opened.send_str("x" * (2 << 20))
        async with asyncio.timeout(5):
            assert (await opened.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


# --- what is shown ---


async def test_every_form_shows_only_what_one_may_see(run: Run) -> None:
    async with run(author_mode=True) as api:
        await api.create({"_id": "feed-mine"}, as_="user")
        await api.create({"_id": "feed-theirs"}, as_="editor")
        assert ids(await changes(api, "since=0&prefix=feed-", "user")) == ["feed-mine"]
        assert ids(await changes(api, "since=0&prefix=feed-", "admin")) == ["feed-mine", "feed-theirs"]
        async with (
            events(api, "since=0", "user") as heard,
            socket(api, "since=0", Authorization=f"Bearer {api.tokens['user']}") as opened,
        ):
            page = json.loads((await opened.receive()).data)
            await api.create({"_id": "feed-mine-2"}, as_="user")
            await until(lambda: "feed-mine-2" in heard.keys)
        assert ids(page) == ["feed-mine"] and heard.keys == ["feed-mine", "feed-mine-2"]


async def test_nothing_secret_is_shown(api: Api) -> None:
    since = await cursor(api)
    user = {"username": "feedsecret", "class": "user", "password": "feed-secret-word"}
    assert (await api.ask("PUT", "/api/users/feedsecret", user)).status == 200
    signed = await ask(api.port, "POST", "/api/signIn/", {"username": "feedsecret", "password": "feed-secret-word"})
    text = json.dumps(await changes(api, f"since={since}"))
    assert "@feedsecret" in text
    for secret in ("feed-secret-word", "argon2", '"password"', signed.json["token"]):
        assert secret not in text


# --- readers that do not read ---


async def test_a_reader_that_never_reads_delays_nobody_and_is_cut(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_STALLED_S", 1.0)
    head = f"GET /api/changes HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: x {api.tokens['guest']}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1)
    writer.write(head.encode())
    await writer.drain()
    async with events(api) as heard:
        for n in range(60):
            await api.create(*[{"_id": f"feed-lazy-{n}-{k}", "text": "x" * 50_000} for k in range(5)])
        await until(lambda: len(heard.keys) >= 300)
    received = 0
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            await asyncio.sleep(2)  # it takes nothing for longer than one may
            while data := await reader.read(1 << 20):
                received += len(data)
    assert received < 300 * 50_000, "its line was cut with most of it unsent"
    writer.close()


# --- the end ---


async def test_stopping_ends_every_form_within_five_seconds(run: Run) -> None:
    async with contextlib.AsyncExitStack() as held:
        async with run(Options()) as api:
            heard = [await held.enter_async_context(events(api)) for _ in range(5)]
            sockets = [await held.enter_async_context(socket(api)) for _ in range(5)]
            waiting = "/api/changes?wait_ms=60000"
            polls = [asyncio.create_task(api.ask("GET", waiting, as_="guest")) for _ in range(5)]
            for opened in sockets:
                await opened.receive()
            await asyncio.sleep(0.2)
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 5
        await until(lambda: all(each.over for each in heard))
        assert {each.ended["code"] for each in heard if each.ended} == {"try-later"}
        assert {(await poll).status for poll in polls} == {503}
        assert {(await opened.receive()).type for opened in sockets} <= {
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
        }
