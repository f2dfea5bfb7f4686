"""Who is let in: tokens, cookies, foreign pages, proxies; and what every answer keeps to itself."""

from __future__ import annotations

import logging

import pytest
from tests.web.stub import Stub
from tests.web.wire import ask

from everysite.errors import BadRequest, Conflict, EverysiteError, Refused, SiteUnreachable, TooManyAttempts, Transient
from everysite.web.app import create_app
from everysite.web.options import Options
from everysite.web.server import Running, serve

pytestmark = pytest.mark.anyio
READ = ("POST", "/api/read", "/a")


@pytest.mark.parametrize("shown", ["Bearer t-guest", "JWT t-guest", "Damas  t-guest", "t-guest"])
async def test_any_scheme_of_authorization(server: Running, stub: Stub, shown: str) -> None:
    await ask(server.port, *READ, headers={"Authorization": shown})
    assert [(caller.username, caller.address) for caller in stub.callers] == [("gus", "127.0.0.1")]


async def test_no_or_a_bad_token_is_401_in_json_before_the_body_is_read(server: Running, stub: Stub) -> None:
    for token in ("", "nonsense", "t-guest\x80"):
        answer = await ask(server.port, "POST", "/api/read", b"{not json", token)
        assert answer.status == 401
        assert answer.json.startswith("Read error: ")
        assert answer.headers["www-authenticate"] == 'Bearer realm="everysite"'
    assert (await ask(server.port, "GET", "/api/health", token="nonsense")).status == 200
    assert [caller.username for caller in stub.callers] == [""]


async def test_a_right_that_is_missing_is_403(server: Running) -> None:
    answer = await ask(server.port, "DELETE", "/api/delete", "/a", "t-guest")
    assert (answer.status, answer.text.startswith("Access /api/delete error: ")) == (403, True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://HOST"}, 403),
        ({"Origin": "http://HOST"}, 404),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Sec-Fetch-Site": "none"}, 404),
    ],
)
async def test_the_cookie_does_not_serve_pages_of_others(server: Running, headers: dict[str, str], status: int) -> None:
    said = {name: value.replace("HOST", f"127.0.0.1:{server.port}") for name, value in headers.items()}
    cookie = {"Cookie": "a=b; token=t-admin; c=d"}
    assert (await ask(server.port, "DELETE", "/api/delete", "/a", headers=cookie | said)).status == status
    override = {"X-HTTP-Method-Override": "GET"}
    answer = await ask(server.port, "POST", "/api/read//a", {}, headers=cookie | said | override)
    assert answer.status == status, "another method in a header makes it no safer"
    assert (await ask(server.port, "GET", "/api/sites/paris", headers=cookie | said)).status == 200
    assert (await ask(server.port, "DELETE", "/api/delete", "/a", "t-admin", said)).status == 404


async def test_only_named_proxies_are_believed(stub: Stub) -> None:
    options = Options(proxies=("127.0.0.1", "10.0.0.0/8"), base_path="/sync")
    server = await serve(create_app(stub, options), "127.0.0.1", 0)
    try:
        for path in ("/sync/api/health", "/api/health"):
            forwarded = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.1.2.3", "X-Forwarded-Proto": "https"}
            assert (await ask(server.port, "GET", path, headers=forwarded)).status == 200
        await ask(server.port, "GET", "/api/health", headers={"X-Forwarded-For": "nonsense"})
        host = {"Origin": f"https://127.0.0.1:{server.port}", "Cookie": "token=t-admin", "X-Forwarded-Proto": "https"}
        assert (await ask(server.port, "DELETE", "/api/delete", "/a", headers=host)).status == 404
        assert (await ask(server.port, "GET", "/syncapi/health")).status == 404
    finally:
        await server.stop()
    assert [caller.address for caller in stub.callers[:3]] == ["203.0.113.7", "203.0.113.7", "127.0.0.1"]


async def test_strangers_are_not_believed(server: Running, stub: Stub) -> None:
    await ask(server.port, "GET", "/api/health", headers={"X-Forwarded-For": "203.0.113.7"})
    assert stub.callers[-1].address == "127.0.0.1"


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(BadRequest, match="give addresses"):
        create_app(Stub(), Options(proxies=("proxy.example.org",)))


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (Conflict("taken"), 409, {}),
        (Refused("no"), 422, {}),
        (Transient("later"), 503, {"retry-after": "1"}),
        (SiteUnreachable("away"), 503, {"retry-after": "5"}),
        (TooManyAttempts("wait"), 429, {"retry-after": "60"}),
        (EverysiteError("hm"), 500, {}),
    ],
)
async def test_errors_are_text_or_json(
    server: Running, stub: Stub, error: EverysiteError, status: int, headers: dict[str, str]
) -> None:
    def fault() -> None:
        raise error

    stub.fault = fault
    answer = await ask(server.port, *READ, "t-guest")
    assert (answer.status, answer.text.splitlines()[-1].removeprefix("Read error: ")) == (status, str(error))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert headers.items() <= answer.headers.items()
    as_json = await ask(server.port, *READ, "t-guest", {"Accept": "text/html, application/json;q=0.9"})
    assert (as_json.status, as_json.json) == (status, {"error": str(error), "code": error.code})
    agent = await ask(server.port, "POST", "/api/agent/claim", {"mapping": 1, "epoch": 1}, "t-paris")
    assert agent.json == {"error": str(error), "code": error.code}


async def test_the_unexpected_keeps_its_details_in_the_log(
    server: Running, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    def fault() -> None:
        raise RuntimeError("secret detail")

    stub.fault = fault
    with caplog.at_level(logging.ERROR, "everysite.web"):
        answer = await ask(server.port, *READ, "t-guest")
    assert (answer.status, "secret" in answer.text) == (500, False)
    reference = answer.text.split()[-1]
    assert f"reference {reference}: POST /api/read failed" in caplog.text
    assert "secret detail" in caplog.text


async def test_every_answer_has_the_headers_that_keep_it_safe(server: Running) -> None:
    for path in ("/api/health", "/api/none", "/api/read//a", "/none"):
        headers = (await ask(server.port, "GET", path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


async def test_tokens_and_paths_are_not_logged(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await ask(server.port, "GET", "/api/read//private", token="t-guest")
        await ask(server.port, "GET", "/api/read//private", token="t-wrong")
    said = [record.getMessage() for record in caplog.records if record.name.startswith(("everysite", "uvicorn"))]
    assert not [line for line in said if "private" in line or "t-guest" in line or "t-wrong" in line]
