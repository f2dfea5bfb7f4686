"""The pages served from Python: the entrance, sign-in by cookie, the description to try; and pages of other sites."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape

import pytest
from tests.web.stub import Stub
from tests.web.wire import Answer, ask

from everysite.errors import Conflict
from everysite.web.app import create_app
from everysite.web.openapi import describe
from everysite.web.options import Options
from everysite.web.server import Running, serve

pytestmark = pytest.mark.anyio
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGES = ["/", "/signIn", "/signIn/", "/api", "/api/", "/api/docs", "/api/docs/"]


def check_page(answer: Answer) -> None:
    """HTML that loads nothing: its own style and script are let in by their hashes."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    for kind in ("style", "script"):
        for text in re.findall(f"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL):
            assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert not re.findall(r'\b(?:src|href)="(?:[a-z]+:)?//', answer.text)
    assert not re.findall(r'\bstyle="|\son[a-z]+="', answer.text)


@pytest.mark.parametrize("path", PAGES)
async def test_pages_need_nothing_from_anywhere(server: Running, path: str) -> None:
    answer = await ask(server.port, "GET", path)
    assert answer.status == 200
    check_page(answer)
    head = await ask(server.port, "HEAD", path)
    assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))


async def test_signing_in_by_the_form_sets_a_cookie_no_script_reads(server: Running) -> None:
    answer = await ask(server.port, "POST", "/signIn", b"username=ada&password=right", headers=FORM)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert answer.headers["set-cookie"] == "token=t-admin; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    front = await ask(server.port, "GET", "/", headers={"Cookie": "token=t-admin"})
    assert "Signed in as <b>admin</b>" in front.text
    assert "Sign in" in (await ask(server.port, "GET", "/", headers={"Cookie": "token=old"})).text


@pytest.mark.parametrize("body", [b"username=ada&password=wrong", b"", b"username=a", b"username[x]=a&password=right"])
async def test_a_failed_sign_in_is_said_on_the_page(server: Running, body: bytes) -> None:
    answer = await ask(server.port, "POST", "/signIn", body, headers=FORM)
    assert (answer.status, 'role="alert"' in answer.text) == (401, True)
    assert "set-cookie" not in answer.headers
    check_page(answer)


async def test_pages_of_other_sites_sign_nobody_in_or_out(server: Running) -> None:
    away = FORM | {"Origin": "https://evil.example"}
    assert (await ask(server.port, "POST", "/signIn", b"username=ada&password=right", headers=away)).status == 403
    away |= {"Cookie": "token=t-admin"}
    assert (await ask(server.port, "POST", "/signOut", b"", headers=away)).status == 403


async def test_signing_out_forgets_the_cookie_even_of_a_token_that_is_gone(server: Running) -> None:
    answer = await ask(server.port, "POST", "/signOut", b"", headers=FORM | {"Cookie": "token=old"})
    assert (answer.status, answer.headers["set-cookie"][:7]) == (303, "token=;")


async def test_what_is_said_on_a_page_is_text(stub: Stub, server: Running) -> None:
    def fault() -> None:
        raise Conflict("<script>alert(1)</script>")

    stub.fault = fault
    answer = await ask(server.port, "POST", "/signIn", b"username=a&password=right", headers=FORM)
    assert (answer.status, "&lt;script&gt;" in answer.text, "<script>" in answer.text) == (409, True, False)


async def test_the_page_shows_every_operation_with_its_group(server: Running) -> None:
    text = (await ask(server.port, "GET", "/api/docs")).text
    document = describe()
    for path, methods in document["paths"].items():
        for method, entry in methods.items():
            assert f'data-method="{method.upper()}" data-path="{path}"' in text, entry
            assert entry["tags"][0] in {tag["name"] for tag in document["tags"]}
    for examples in re.findall(r"data-examples='(.*?)'", text):
        for example in json.loads(unescape(examples)).values():
            assert example == "" or json.loads(example) is not Ellipsis


async def test_below_a_base_path_links_and_cookie_stay_below_it(stub: Stub) -> None:
    server = await serve(create_app(stub, Options(base_path="/sync")), "127.0.0.1", 0)
    try:
        for path in PAGES:
            for base in ("", "/sync"):  # a proxy may take the base path off
                answer = await ask(server.port, "GET", base + path)
                assert answer.status == 200, path
                links = re.findall(r'\b(?:href|action|data-base)="(/[^"]*)"', answer.text)
                assert not [link for link in links if not link.startswith("/sync")]
        described = await ask(server.port, "GET", "/sync/api/openapi.json")
        assert described.json["servers"] == [{"url": "/sync"}]
        answer = await ask(server.port, "POST", "/sync/signIn", b"username=ada&password=right", headers=FORM)
        assert (answer.headers["location"], "Path=/sync;" in answer.headers["set-cookie"]) == ("/sync/", True)
    finally:
        await server.stop()


async def test_options_names_the_methods(server: Running) -> None:
    for path, methods in (("/api/upload", "POST, PUT"), ("/api/read//a", "GET, HEAD"), ("/", "GET, HEAD")):
        answer = await ask(server.port, "OPTIONS", path)
        assert (answer.status, answer.headers["allow"]) == (204, methods + ", OPTIONS")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert (await ask(server.port, "OPTIONS", "/api/none")).status == 404


async def test_pages_of_named_sites_may_ask_and_others_may_not(stub: Stub) -> None:
    server = await serve(create_app(stub, Options(origins=("https://tools.example",))), "127.0.0.1", 0)
    try:
        asking = {"Origin": "https://tools.example", "Access-Control-Request-Method": "PUT"}
        before = await ask(server.port, "OPTIONS", "/api/update", headers=asking)
        assert before.headers["access-control-allow-origin"] == "https://tools.example"
        assert "authorization" in before.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in before.headers
        for path in ("/api/health", "/api/verify"):  # refusals too
            answer = await ask(server.port, "GET", path, headers=asking)
            assert answer.headers["access-control-allow-origin"] == "https://tools.example"
        other = await ask(server.port, "GET", "/api/health", headers={"Origin": "https://tools.example.evil"})
        assert "access-control-allow-origin" not in other.headers
        assert other.headers["vary"] == "origin"
    finally:
        await server.stop()
