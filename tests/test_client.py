"""The client against real doors on loopback: the same types and errors as in the tracker's own process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest
from tests.web.stub import Stub

from everysite import errors
from everysite.client import Client, Join, decode_join, encode_join
from everysite.errors import (
    BadRequest,
    EverysiteError,
    Forbidden,
    NotFound,
    Refused,
    SignInNeeded,
    SiteUnreachable,
    StaleLease,
    Transient,
)
from everysite.model.element import Content
from everysite.tracker import agent_messages, messages
from everysite.tracker import contract as ops
from everysite.web.app import create_app
from everysite.web.options import Options
from everysite.web.server import Running, serve

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def stub() -> Stub:
    return Stub()


@pytest.fixture(autouse=True)
def fresh(stub: Stub) -> None:
    stub.reset()


@pytest.fixture(scope="module")
async def server(stub: Stub) -> AsyncIterator[Running]:
    running = await serve(create_app(stub, Options(base_path="/base")), "127.0.0.1", 0)
    yield running
    await running.stop()


@pytest.fixture
async def client(server: Running) -> AsyncIterator[Client]:
    async with Client(f"http://127.0.0.1:{server.port}", "t-admin") as client:
        yield client


async def test_answers_are_the_operations_own_types(client: Client, stub: Stub) -> None:
    assert (await client.call(ops.HEALTH, messages.Nothing())).status == "ok"
    published = await client.call(ops.PUBLISH, messages.Items([{"_id": "/a", "origin": "p"}]))
    assert [found and found["_id"] for found in published.items] == ["/a"]
    assert await client.call(ops.PUBLISH, messages.Items([{"_id": "/a"}])) == messages.Published([None], [])
    assert (await client.call(ops.READ, messages.Ids(["/none"]))) == messages.Items([None])
    assert (await client.call(ops.SEARCH, messages.Query("*", 1))) == messages.Ids(["/a"])
    assert (await client.call(ops.DELETE, messages.Ids(["/a"]))) == messages.Ids(["/a"])
    assert (await client.call(ops.SITE, messages.Named("paris"))).name == "paris"
    assert (await client.call(ops.PUT_SITE, messages.SiteChange("ä/ö %", paused=True))).name == "ä/ö %"
    assert await client.call(ops.REMOVE_TOKEN, messages.TokenId(3)) == messages.Nothing()
    assert (await client.call(ops.WHY, messages.WhyAsked("/a+b&c", "x y"))).sentence == "/a+b&c at x y"
    content = Content(1, 2, 3, bytes(32))
    assert (
        await client.call(ops.ANNOUNCE, agent_messages.Announce(1, 1, [agent_messages.SeenItem("/b", content)]))
    ).counts == {"new": 1}
    assert stub.asked[-1].seen[0].content == content


async def test_sign_in_keeps_the_token(server: Running) -> None:
    async with Client(f"http://127.0.0.1:{server.port}/base/") as client:
        with pytest.raises(SignInNeeded):
            await client.call(ops.SITE, messages.Named("paris"))
        with pytest.raises(SignInNeeded, match=r"^wrong user name or password$"):
            await client.sign_in("ada", "wrong")
        assert (await client.sign_in("ada", "right")).username == "ada"
        assert (await client.call(ops.SITE, messages.Named("paris"))).name == "paris"


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EverysiteError)],
)
async def test_every_class_of_errors_arrives_as_itself(client: Client, stub: Stub, kind: type[EverysiteError]) -> None:
    def fault() -> None:
        raise kind("the reason: ä\n\udc80")

    stub.fault = fault
    with pytest.raises(EverysiteError) as caught:
        await client.call(ops.SITE, messages.Named("paris"))
    assert type(caught.value) is kind
    assert str(caught.value).startswith("the reason: ä\n")


async def test_what_is_wrong_with_the_call_is_said(client: Client, server: Running) -> None:
    with pytest.raises(NotFound, match="there is no site 'x'"):
        await client.call(ops.SITE, messages.Named("x"))
    for name in ("..", ".", ""):
        with pytest.raises(BadRequest):
            await client.call(ops.SITE, messages.Named(name))
    async with Client(f"http://127.0.0.1:{server.port}", "t-guest") as guest:
        with pytest.raises(Forbidden):
            await guest.call(ops.DELETE, messages.Ids(["/a"]))


async def test_polls_may_last_longer_than_the_timeout(server: Running) -> None:
    async with Client(f"http://127.0.0.1:{server.port}", "t-paris", timeout=0.3) as client:
        began = time.monotonic()
        await client.call(ops.CLAIM, agent_messages.Claim(1, 1, wait_ms=500))
        assert time.monotonic() - began > 0.4
        await client.call(ops.MY_SITES, agent_messages.Revision(wait_ms=500))


async def test_nobody_there_is_site_unreachable_with_a_way_out() -> None:
    async with Client("http://127.0.0.1:9", "secret-token") as client:
        with pytest.raises(SiteUnreachable, match=r"^http://127\.0\.0\.1:9: .*check the address") as caught:
            await client.call(ops.HEALTH, messages.Nothing())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nnope", Transient),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", Transient),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", Refused),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", Refused),
        (b"HTTP/1.1 404 Nope\r\nContent-Length: 6\r\n\r\n<html>", Refused),
        (b'HTTP/1.1 409 No\r\nContent-Length: 35\r\n\r\n{"error":"gone","code":"brand-new"}', Refused),
        (b'HTTP/1.1 409 No\r\nContent-Length: 37\r\n\r\n{"error":"gone","code":"stale-lease"}', StaleLease),
        (b"", SiteUnreachable),
        (b"\x00\x01garbage\r\n\r\n", SiteUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", Transient),
    ],
)
async def test_other_programs_on_that_port_are_recognised(said: bytes, kind: type[EverysiteError]) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(other, "127.0.0.1", 0)
    async with listening, Client(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}") as client:
        with pytest.raises(EverysiteError) as caught:
            await client.call(ops.HEALTH, messages.Nothing())
    assert type(caught.value) is kind, caught.value


@pytest.mark.parametrize("url", ["", "host:8090", "ftp://x", "http://", "http://u:p@h", "http://h/?a=1"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(BadRequest):
        Client(url)


@pytest.mark.parametrize("pin", ["x", "abcd", "zz" * 32])
def test_fingerprints_that_are_none(pin: str) -> None:
    with pytest.raises(BadRequest):
        Client("https://h", fingerprint=pin)


def test_join_tokens_carry_all_three() -> None:
    text = encode_join("https://h:8443/base", "t.o.k", "ab" * 32)
    assert text.startswith("es1.")
    assert text.replace("_", "").replace("-", "")[4:].isalnum()
    assert decode_join(f" {text}\n") == Join("https://h:8443/base", "t.o.k", "ab" * 32)
    assert decode_join(encode_join("http://h", "t")) == Join("http://h", "t", "")
    assert decode_join("plain.token") == Join("", "plain.token", "")
    for wrong in ("", "two words", "es1.", "es1.%%%", text[:-7], "es1.e30", "tökén"):
        with pytest.raises(BadRequest):
            decode_join(wrong)


def test_importing_the_client_is_cheap() -> None:
    code = "import sys, everysite.client; print([m for m in ('aiohttp', 'asyncio', 'starlette') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
