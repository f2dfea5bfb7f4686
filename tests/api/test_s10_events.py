"""Section 10 of the wire contract: events by Socket.IO 4, over polling and over WebSocket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import socketio  # type: ignore[import-untyped]
from tests.api.conftest import PASSWORD, Api, Run
from tests.web.wire import ask, until

from everysite.tracker.agent_messages import Announce, Hello, Hold, SeenItem
from everysite.tracker.contract import ANNOUNCE, HELLO, HOLD
from everysite.tracker.operation import Caller
from everysite.web.options import Options

pytestmark = pytest.mark.anyio

WAYS = ["polling", "websocket"]


@dataclass
class Heard:
    """A client, and what it was told."""

    client: Any
    events: list[tuple[str, Any]] = field(default_factory=list)
    ended: bool = False

    def of(self, name: str) -> list[Any]:
        return [told for event, told in self.events if event == name]

    def ids(self, name: str) -> list[str]:
        return [each if isinstance(each, str) else each["_id"] for told in self.of(name) for each in told]


@contextlib.asynccontextmanager
async def listening(
    port: int,
    token: str = "",
    way: str = "websocket",
    headers: dict[str, str] | None = None,
    path: str = "socket.io",
    in_auth: bool = True,
) -> AsyncIterator[Heard]:
    """A real client. Raises socketio.exceptions.ConnectionError when it is not let in."""
    client = socketio.AsyncClient(reconnection=False)
    heard = Heard(client)
    for event in ("create", "update", "remove", "publish", "hello"):
        client.on(event, _listener(heard, event))

    async def gone(*_: Any) -> None:
        heard.ended = True

    client.on("disconnect", gone)
    auth = {"token": token} if token and in_auth else None
    try:
        await client.connect(
            f"http://127.0.0.1:{port}", headers=headers or {}, auth=auth, transports=[way], socketio_path=path
        )
        yield heard
    finally:
        await client.disconnect()


def _listener(heard: Heard, event: str) -> Any:
    async def told(*arguments: Any) -> None:
        heard.events.append((event, arguments[0] if len(arguments) == 1 else arguments))

    return told


async def settled(api: Api, heard: Heard, mark: str) -> None:
    """Everything told before now has arrived when this has."""
    await api.create({"_id": mark})
    await until(lambda: mark in heard.ids("create"))


# --- what is told ---


@pytest.mark.parametrize("way", WAYS)
async def test_s10_create_update_remove_are_told_with_whole_elements(api: Api, way: str) -> None:
    one, two = f"s10-{way}-1", f"s10-{way}-2"
    async with listening(api.port, api.tokens["guest"], way) as heard:
        await api.create({"_id": one, "a": 1}, {"_id": two, "a": {"b": [1, None]}})
        await api.ask("PUT", "/api/update/", {"_id": one, "n": 2.5})
        await api.ask("DELETE", "/api/delete/", [one, two])
        await until(lambda: len(heard.events) >= 3)
        await settled(api, heard, f"s10-{way}-end")
    (create, created), (update, updated), (remove, removed) = heard.events[:3]
    assert (create, update, remove) == ("create", "update", "remove")
    assert [(e["_id"], e["a"], e["author"]) for e in created] == [(one, 1, "admin"), (two, {"b": [1, None]}, "admin")]
    [changed] = updated
    assert (changed["_id"], changed["a"], changed["n"]) == (one, 1, 2.5) and changed["time"] == created[0]["time"]
    assert removed == [one, two]
    assert len(heard.events) == 4, "one event a request, and nothing told twice"


@pytest.mark.parametrize("way", WAYS)
async def test_s10_no_nulls_and_only_what_happened(api: Api, way: str) -> None:
    one = f"s10-null-{way}"
    async with listening(api.port, api.tokens["guest"], way) as heard:
        await api.create({"_id": one})
        answer = await api.ask("POST", "/api/create/", [{"_id": one}, {"_id": one + "b"}])
        assert answer.status == 207 and answer.json[0] is None
        assert (await api.ask("PUT", "/api/update/", [{"_id": "s10-no", "a": 1}, {"_id": one, "a": 1}])).status == 207
        assert (await api.ask("DELETE", "/api/delete/", ["s10-no", one])).status == 207
        assert (await api.ask("DELETE", "/api/delete/", "s10-no")).status == 404
        assert (await api.ask("POST", "/api/create/", {"_id": 5})).status == 400
        await settled(api, heard, one + "-end")
    assert heard.ids("create") == [one, one + "b", one + "-end"]
    assert heard.ids("update") == [one] and heard.of("remove") == [[one]]


async def test_s10_publish_is_told_as_create_of_elements_and_children(api: Api) -> None:
    async with listening(api.port, api.tokens["guest"]) as heard:
        answer = await api.ask("POST", "/api/publish/", {"_id": "/s10/p", "comment": "c", "origin": "paris"})
        assert answer.status == 201
        await settled(api, heard, "s10-publish-end")
    told = [each for event in heard.of("create")[:-1] for each in event]
    assert [each["_id"] for each in told] == [each["_id"] for each in answer.json]
    assert told[1]["#parent"] == "/s10/p" and heard.of("update") == []


async def test_s10_upsert_is_told_as_create_and_update(api: Api) -> None:
    await api.create({"_id": "s10-old"})
    async with listening(api.port, api.tokens["guest"]) as heard:
        answer = await api.ask("POST", "/api/upsert/", [{"_id": "s10-old", "n": 1}, {"_id": "s10-new", "n": 1}])
        assert answer.status == 200
        await settled(api, heard, "s10-upsert-end")
    assert heard.ids("create") == ["s10-new", "s10-upsert-end"] and heard.ids("update") == ["s10-old"]


async def test_s10_lock_and_unlock_are_told_as_update(api: Api) -> None:
    await api.create({"_id": "s10-locked"})
    async with listening(api.port, api.tokens["guest"]) as heard:
        assert (await api.ask("PUT", "/api/lock/", "s10-locked")).status == 200
        assert (await api.ask("PUT", "/api/unlock/", "s10-locked")).status == 200
        await settled(api, heard, "s10-lock-end")
    assert [told[0].get("lock") for told in heard.of("update")] == ["admin", None]


@pytest.mark.parametrize("way", WAYS)
async def test_s10_events_are_queued_before_the_answer_and_in_order(api: Api, way: str) -> None:
    async with listening(api.port, api.tokens["guest"], way) as heard:
        for n in range(60):
            await api.create({"_id": f"s10-order-{way}-{n}"})
        await until(lambda: len(heard.events) >= 60)
    assert heard.ids("create") == [f"s10-order-{way}-{n}" for n in range(60)]


async def test_s10_what_agents_do_is_told_as_update_and_once(api: Api) -> None:
    assert (await api.ask("PUT", "/api/sites/s10paris", {"create": True})).status == 200
    agent = api.service.as_caller(Caller("agent:s10paris", "agent", "s10paris"))
    welcome = await agent.call(HELLO, Hello("s10paris", "host", "1", "file:///data/s10paris/"))
    mapping = welcome.mappings[0].id
    epoch = (await agent.call(HOLD, Hold(mapping, "me"))).epoch
    async with listening(api.port, api.tokens["guest"]) as heard:
        await settled(api, heard, "s10-agent-begin")
        await agent.call(
            ANNOUNCE, Announce(mapping, epoch, [SeenItem(f"/s10/agent/{n}", _content(n)) for n in range(20)])
        )
        await until(lambda: len(set(heard.ids("update")) & {f"/s10/agent/{n}" for n in range(20)}) == 20)
        for n in range(20):
            await api.ask("PUT", "/api/update/", {"_id": f"/s10/agent/{n}", "mark": n})
        await settled(api, heard, "s10-agent-end")
        await asyncio.sleep(0.5)
    told = [e for event in heard.of("update") for e in event if e["_id"].startswith("/s10/agent/")]
    assert len(told) == 40, "twenty by the agent, twenty by requests"
    assert told[0]["author"] == "support" and [e["mark"] for e in told[20:]] == list(range(20))


def _content(n: int) -> Any:
    from everysite.model.element import Content

    return Content(n, 1, 0o644, bytes([n]) * 32)


# --- who is told ---


@pytest.mark.parametrize("way", WAYS)
async def test_s10_nobody_is_let_in_without_a_token(api: Api, way: str) -> None:
    for token in ("", "wrong", api.tokens["admin"] + "x"):
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with listening(api.port, token, way):
                pass


@pytest.mark.parametrize("way", WAYS)
async def test_s10_the_token_may_be_in_auth_header_or_cookie(api: Api, way: str) -> None:
    token = api.tokens["guest"]
    shown: list[dict[str, str]] = [{"Authorization": f"Bearer {token}"}, {"Cookie": f"token={token}"}]
    for number, headers in enumerate(shown):
        async with listening(api.port, "", way, headers) as heard:
            await settled(api, heard, f"s10-shown-{way}-{number}")
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with listening(api.port, "wrong", way, {"Cookie": f"token={token}"}):
            pass


@pytest.mark.parametrize("way", WAYS)
async def test_s10_pages_of_other_sites_are_kept_out(api: Api, way: str) -> None:
    token = api.tokens["guest"]
    for headers in (
        {"Origin": "https://evil.example", "Cookie": f"token={token}"},
        {"Origin": "https://evil.example", "Authorization": f"Bearer {token}"},
        {"Sec-Fetch-Site": "cross-site", "Cookie": f"token={token}"},
    ):
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with listening(api.port, "", way, headers):
                pass
    own = {"Origin": f"http://127.0.0.1:{api.port}", "Cookie": f"token={token}"}
    async with listening(api.port, "", way, own) as heard:
        await settled(api, heard, f"s10-own-{way}")


async def test_s10_a_named_sites_pages_come_with_a_token_never_with_the_cookie(run: Run) -> None:
    async with run(Options(origins=("https://tools.example",))) as api:
        token, page = api.tokens["guest"], {"Origin": "https://tools.example"}
        async with listening(api.port, token, headers=page) as heard:
            await settled(api, heard, "s10-named")
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with listening(api.port, "", headers=page | {"Cookie": f"token={token}"}):
                pass
        answer = await api.ask("GET", "/socket.io/?EIO=4&transport=polling", as_="", headers=page)
        assert answer.status == 200 and answer.headers["access-control-allow-origin"] == "https://tools.example"


async def test_s10_no_cors_headers_by_default(api: Api) -> None:
    own = {"Origin": f"http://127.0.0.1:{api.port}"}
    answer = await api.ask("GET", "/socket.io/?EIO=4&transport=polling", as_="", headers=own)
    assert answer.status == 200 and not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"


async def test_s10_a_token_is_not_taken_from_the_address(api: Api) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with _asking(api, f"/socket.io/?token={api.tokens['admin']}&EIO=4&transport=polling") as session:
            await session.sign_in({})


async def test_s10_in_author_mode_others_elements_are_not_told(run: Run) -> None:
    async with run(author_mode=True) as api:
        async with (
            listening(api.port, api.tokens["user"]) as mine,
            listening(api.port, api.tokens["editor"]) as theirs,
            listening(api.port, api.tokens["admin"]) as all_of_it,
        ):
            await api.create({"_id": "s10-mine"}, as_="user")
            await api.create({"_id": "s10-theirs"}, as_="editor")
            await api.ask("DELETE", "/api/delete/", "s10-theirs")
            await until(lambda: all_of_it.ids("remove") == ["s10-theirs"])
            await api.create({"_id": "s10-mine-2"}, as_="user")
            await until(lambda: "s10-mine-2" in mine.ids("create"))
            await asyncio.sleep(0.3)
        assert all_of_it.ids("create") == ["s10-mine", "s10-theirs", "s10-mine-2"]
        assert mine.ids("create") == ["s10-mine", "s10-mine-2"] and theirs.ids("create") == ["s10-theirs"]
        for heard in (mine, theirs):
            assert heard.of("remove") == []
        seen = {e["author"] for heard in (mine,) for _, told in heard.events for e in told}
        assert seen == {"user"}


async def test_s10_nothing_secret_is_told(api: Api) -> None:
    async with listening(api.port, api.tokens["guest"]) as heard:
        user = {"username": "s10user", "class": "user", "password": "s10-secret-word"}
        assert (await api.ask("PUT", "/api/users/s10user", user)).status == 200
        signed = await ask(api.port, "POST", "/api/signIn/", {"username": "s10user", "password": "s10-secret-word"})
        assert signed.status == 200
        await until(lambda: "@s10user" in heard.ids("update") + heard.ids("create"))
        await settled(api, heard, "s10-secret-end")
        await asyncio.sleep(0.3)
    text = json.dumps(heard.events)
    assert "s10-secret-word" not in text and "argon2" not in text and '"password"' not in text
    assert signed.json["token"] not in text


@pytest.mark.parametrize("way", WAYS)
async def test_s10_a_revoked_token_loses_its_events(api: Api, way: str) -> None:
    signed = await ask(api.port, "POST", "/api/signIn/", {"username": "guest", "password": PASSWORD})
    async with listening(api.port, signed.json["token"], way) as heard:
        assert (await ask(api.port, "POST", "/api/signOut/", {}, signed.json["token"])).status == 200
        await until(lambda: heard.ended)
        before = len(heard.events)
        await api.create({"_id": f"s10-after-{way}"})
        await asyncio.sleep(0.2)
        assert len(heard.events) == before


async def test_s10_a_disabled_user_loses_their_events(api: Api) -> None:
    user = {"username": "s10gone", "class": "user", "password": PASSWORD}
    assert (await api.ask("PUT", "/api/users/s10gone", user)).status == 200
    signed = await ask(api.port, "POST", "/api/signIn/", {"username": "s10gone", "password": PASSWORD})
    async with listening(api.port, signed.json["token"]) as heard:
        assert (await api.ask("PUT", "/api/users/s10gone", {"username": "s10gone", "disable": True})).status == 200
        await until(lambda: heard.ended)


# --- what clients may send: nothing ---


async def test_s10_clients_events_mean_nothing(api: Api) -> None:
    async with listening(api.port, api.tokens["guest"]) as other, listening(api.port, api.tokens["guest"]) as heard:
        for event in ("create", "update", "remove", "hello", "connect", "disconnect"):
            await heard.client.emit(event, [{"_id": "s10-forged"}])
        await settled(api, heard, "s10-forged-end")
        await settled(api, other, "s10-forged-end-2")
    assert "s10-forged" not in heard.ids("create") + other.ids("create")
    assert (await api.ask("POST", "/api/read/", "s10-forged")).status == 404


class _Session:
    """Engine.IO by hand, over polling."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session, self._address = session, address
        self.sid = ""

    async def open(self) -> None:
        async with self._session.get(self._address) as answer:
            assert answer.status == 200, await answer.text()
            self.opened = json.loads((await answer.text())[1:])
        self.sid = self.opened["sid"]

    async def post(self, body: str | bytes) -> int:
        async with self._session.post(f"{self._address}&sid={self.sid}", data=body) as answer:
            return answer.status

    async def poll(self) -> str:
        async with self._session.get(f"{self._address}&sid={self.sid}") as answer:
            return await answer.text() if answer.status == 200 else str(answer.status)

    async def sign_in(self, auth: dict[str, str]) -> None:
        await self.post("40" + json.dumps(auth))
        said = await self.poll()
        if not said.startswith("40"):
            raise socketio.exceptions.ConnectionError(said)


@contextlib.asynccontextmanager
async def _asking(api: Api, path: str = "/socket.io/?EIO=4&transport=polling") -> AsyncIterator[_Session]:
    async with aiohttp.ClientSession() as session:
        made = _Session(session, f"http://127.0.0.1:{api.port}{path}")
        await made.open()
        yield made


async def test_s10_the_handshake_says_its_bounds(api: Api) -> None:
    async with _asking(api) as session:
        assert session.opened["maxPayload"] == 100_000 and session.opened["upgrades"] == ["websocket"]
        assert await session.post(b"4" + b"x" * 200_000) == 413
        await session.sign_in({"token": api.tokens["guest"]})


@pytest.mark.parametrize(
    "odd", ["", "4", "40{", "45-", "451-[", "453-[1,2", "42", "4x", "9", "b!!", "40/admin,{}", "\x1e" * 40, "43999[]"]
)
async def test_s10_odd_packets_change_nothing(api: Api, odd: str) -> None:
    async with _asking(api) as session:
        assert await session.post(odd) in (200, 400)
    async with listening(api.port, api.tokens["guest"]) as heard:
        await settled(api, heard, "s10-odd-" + base64.b16encode(odd[:20].encode()).decode())


async def test_s10_attachments_are_not_collected(api: Api) -> None:
    """A client that announces a billion attachments and begins to send them must not fill the memory."""
    async with aiohttp.ClientSession() as session:
        address = f"ws://127.0.0.1:{api.port}/socket.io/?EIO=4&transport=websocket"
        async with session.ws_connect(address) as opened:
            await opened.receive()
            await opened.send_str("40" + json.dumps({"token": api.tokens["guest"]}))
            while not (await opened.receive()).data.startswith("40"):
                pass
            await opened.send_str('4599-["x",{"_placeholder":true,"num":0}]')
            for _ in range(20):
                await opened.send_bytes(b"x" * 50_000)
            await api.create({"_id": "s10-attached"})
            async with asyncio.timeout(10):
                while '"s10-attached"' not in (await opened.receive()).data:
                    pass
            await opened.send_str("4" + "x" * 200_000)
            async with asyncio.timeout(10):
                while (await opened.receive()).type == aiohttp.WSMsgType.TEXT:
                    pass


async def test_s10_jsonp_is_refused(api: Api) -> None:
    assert (await api.ask("GET", "/socket.io/?EIO=4&transport=polling&j=0", as_="")).status == 400


async def test_s10_who_does_not_sign_in_is_sent_away(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from everysite.web import socket_sessions

    monkeypatch.setattr(socket_sessions, "_ANONYMOUS_S", 0.0)
    async with _asking(api) as session, asyncio.timeout(20):
        while (said := await session.poll()) in ("", "6"):
            pass
    assert said == "400"


# --- where it is found ---


@pytest.mark.parametrize("way", WAYS)
async def test_s10_below_a_base_path(run: Run, way: str) -> None:
    async with (
        run(Options(base_path="/sync")) as api,
        listening(api.port, api.tokens["guest"], way, path="sync/socket.io") as heard,
    ):
        await settled(api, heard, "s10-based")


async def test_s10_polling_grows_into_a_websocket(api: Api) -> None:
    client = socketio.AsyncClient(reconnection=False)
    heard = Heard(client)
    client.on("create", _listener(heard, "create"))
    await client.connect(f"http://127.0.0.1:{api.port}", auth={"token": api.tokens["guest"]})
    assert client.transport() == "websocket"
    await settled(api, heard, "s10-upgraded")
    await client.disconnect()


async def test_s10_the_face_can_be_switched_off(run: Run) -> None:
    async with run(Options(faces_off=frozenset({"socketio"}))) as api:
        assert (await api.ask("GET", "/socket.io/?EIO=4&transport=polling")).status == 404


async def test_s10_without_required_sign_in_guests_may_listen(run: Run) -> None:
    async with run(required=False) as api, listening(api.port) as heard:
        await settled(api, heard, "s10-anonymous")


async def test_s10_stopping_answers_those_who_poll(run: Run) -> None:
    async with contextlib.AsyncExitStack() as clients:
        async with run() as api:
            for way in WAYS:
                await clients.enter_async_context(listening(api.port, api.tokens["guest"], way))
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 5


async def test_s10_who_was_away_asks_the_feed(api: Api) -> None:
    since = (await api.ask("GET", "/api/changes")).json["cursor"]
    await api.create({"_id": "s10-away"})
    changes = (await api.ask("GET", f"/api/changes?since={since}")).json["changes"]
    assert "s10-away" in [each["_id"] for each in changes]


# --- readers that do not read ---


async def test_s10_a_websocket_that_never_reads_is_cut(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from everysite.web import outbox, streams

    monkeypatch.setattr(outbox, "_BYTES", 1 << 20)
    monkeypatch.setattr(streams, "_STALLED_S", 1.0)
    loop = asyncio.get_running_loop()
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the system takes megabytes in its place
    deaf.setblocking(False)
    await loop.sock_connect(deaf, ("127.0.0.1", api.port))
    await loop.sock_sendall(
        deaf,
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    said = b""
    while b'"sid"' not in said:
        said += await loop.sock_recv(deaf, 1000)
    token = ("40" + json.dumps({"token": api.tokens["guest"]})).encode()
    # one masked text frame; a mask of zeros leaves the text as it is
    await loop.sock_sendall(deaf, b"\x81\xfe" + len(token).to_bytes(2, "big") + b"\0\0\0\0" + token)
    said = b""
    while b'"sid"' not in said:
        said += await loop.sock_recv(deaf, 1000)
    async with listening(api.port, api.tokens["guest"]) as heard:
        for n in range(80):
            await api.create({"_id": f"s10-deaf-{n}", "text": "x" * 100_000})
        await until(lambda: "s10-deaf-79" in heard.ids("create"))
        await asyncio.sleep(2)
    received = 0
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(deaf, 1 << 20):
                received += len(data)
    assert 0 < received < 80 * 100_000
    deaf.close()


async def test_s10_a_reader_that_never_reads_neither_delays_nor_fills(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from everysite.web import outbox

    monkeypatch.setattr(outbox, "_BYTES", 1 << 20)
    async with _asking(api) as lazy, listening(api.port, api.tokens["guest"]) as heard:
        await lazy.sign_in({"token": api.tokens["guest"]})
        for n in range(40):
            await api.create({"_id": f"s10-lazy-{n}", "text": "x" * 100_000})
        await until(lambda: "s10-lazy-39" in heard.ids("create"))
        async with asyncio.timeout(10):
            while (await lazy.poll()) != "400":
                pass
