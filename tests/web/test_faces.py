"""No request belongs to two faces; every operation has its route, its description and its page in the docs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Send
from tests.web.stub import Stub
from tests.web.wire import ask

from everysite.errors import BadRequest
from everysite.model.path import to_text
from everysite.tracker.contract import OPERATIONS
from everysite.web.answer import answer
from everysite.web.app import create_app
from everysite.web.attention import Attention
from everysite.web.faces import Face, api, downloads, enabled, entrance, overlaps, socketio
from everysite.web.openapi import describe
from everysite.web.options import Options
from everysite.web.request import Asked
from everysite.web.routing import Route
from everysite.web.server import Running
from everysite.web.wiretext import decoded

HTTP_MD = Path(__file__).resolve().parents[2] / "docs" / "http.md"


async def nothing(asked: Asked, send: Send) -> None:
    await answer(send, 200, b"")


def faces() -> list[Face]:
    """Every face there is; new ones are added here."""
    stub = Stub()
    served = Options(), Attention()
    return [api(stub, stub.broker, *served), socketio(stub, *served), entrance(stub, Options()), downloads(Options())]


def test_no_two_faces_claim_the_same_request() -> None:
    assert overlaps(faces()) == []


def test_every_route_of_a_face_lies_below_its_prefix() -> None:
    for face in faces():
        assert not [route for route in face.routes if not (route.template + "/").startswith(face.prefix + "/")]


@pytest.mark.parametrize(
    ("one", "two", "both"),
    [
        ("/api/read/{*ids}", "/api/read/x/y", True),
        ("/api/sites/{name}", "/api/sites/x", True),
        ("/api/sites/{name}", "/api/sites/{other}", True),
        ("/api/sites/{name}/token", "/api/{a}/{b}/token", True),
        ("/api/sites/{name}", "/api/sites", False),
        ("/api/sites/{name}", "/api/sites/x/y", False),
        ("/api/a", "/api/b", False),
    ],
)
def test_overlaps_are_found(one: str, two: str, both: bool) -> None:
    first, second = Route("GET", one, nothing), Route("GET", two, nothing)
    assert first.overlaps(second) == second.overlaps(first) == both
    assert not first.overlaps(replace(second, method="PUT"))
    [face, *_] = faces()
    pair = [replace(face, routes=(first,)), replace(face, name="other", routes=(second,))]
    assert bool(overlaps(pair)) == both


def test_a_face_can_be_switched_off() -> None:
    assert [face.name for face in enabled(faces(), frozenset({"api"}))] == ["socketio", "pages", "clients"]
    with pytest.raises(BadRequest, match="there is no face 'apo'; the faces are api, socketio, pages, clients"):
        enabled(faces(), frozenset({"apo"}))
    create_app(Stub(), Options(faces_off=frozenset({"api"})))


def test_every_operation_is_described() -> None:
    document = describe()
    found = {entry["operationId"] for path in document["paths"].values() for entry in path.values()}
    assert {operation.name for operation in OPERATIONS} | {"fetch", "send"} <= found
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


def test_every_route_stands_in_the_docs() -> None:
    text = HTTP_MD.read_text()
    missing = [route for face in faces() for route in face.routes if f"`{route.method} {_shown(route)}`" not in text]
    assert not [f"{route.method} {_shown(route)}" for route in missing]


def _shown(route: Route) -> str:
    return route.template.replace("{*", "{")


@pytest.mark.anyio
async def test_the_description_is_served(server: Running) -> None:
    answered = await ask(server.port, "GET", "/api/openapi.json")
    assert answered.json == json.loads(json.dumps(describe()))


@given(st.binary().filter(lambda raw: b"%" not in raw))
def test_bytes_of_a_name_become_its_text_form(raw: bytes) -> None:
    encoded = b"".join(b"%%%02X" % byte for byte in raw)
    text = decoded(encoded)
    text.encode()
    try:
        assert text == raw.decode()
    except UnicodeDecodeError:
        if not {"\uef80" <= c <= "\uefff" for c in raw.decode("utf-8", "ignore")} & {True}:
            assert text == to_text(raw)
