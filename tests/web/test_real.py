"""The doors with the real tracker and index behind them: what a person types, and what nobody would.

Owns: round trips through the whole stack, and a bounded search for requests that are answered with a fault or with
something the description does not say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.web.wire import ask

from everysite.client import Client
from everysite.errors import Conflict, NotFound, SignInNeeded
from everysite.index import sqlite
from everysite.tracker import agent_messages, messages
from everysite.tracker import contract as ops
from everysite.tracker.mail import Mail
from everysite.tracker.operation import Caller
from everysite.tracker.service import Service
from everysite.web.app import create_app
from everysite.web.openapi import describe
from everysite.web.options import Options
from everysite.web.server import Running, serve

pytestmark = pytest.mark.anyio
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder: Path = tmp_path_factory.mktemp("home")
    index = sqlite.open(str(folder / "index.db"))
    # A mail server that is not there: what is wrong with it is never the asker's business.
    service = Service(index, mail=Mail("127.0.0.1", 1, "none", "everysite@studio.example", "http://127.0.0.1"))
    await service.start()
    await service.access.first_admin("admin", "secret")
    yield service
    await service.stop()
    await index.close()


@pytest.fixture(scope="module")
async def real(service: Service, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    files = tmp_path_factory.mktemp("files")
    (files / "0").write_bytes(b"bytes")
    running = await serve(create_app(service, Options(file_root=str(files))), "127.0.0.1", 0)
    yield running
    await running.stop()


@pytest.fixture
async def admin(service: Service, real: Running) -> AsyncIterator[Client]:
    """Not by signing in: what is sent at random changes passwords too."""
    token = await service.access.grants.make_token(Caller("admin", "admin"), messages.NewToken("a test's"))
    async with Client(f"http://127.0.0.1:{real.port}", token) as client:
        yield client


async def test_a_day_of_a_tracker(admin: Client, real: Running) -> None:
    await admin.call(ops.PUT_SITE, messages.SiteChange("paris", create=True, url="file:///data/paris/"))
    await admin.call(ops.PUT_SITE, messages.SiteChange("rome", create=True, url="file:///data/rome/"))
    item = {"_id": "/shots/010.exr", "origin": "paris", "comment": "first"}
    published = await admin.call(ops.PUBLISH, messages.Items([item]))
    assert [found and found["_id"] for found in published.items] == ["/shots/010.exr"]
    assert len(published.children) == 1
    assert (await admin.call(ops.PUBLISH, messages.Items([item]))).items == [None]
    assert (await admin.call(ops.SEARCH, messages.Query("origin:paris 010.exr"))).ids == ["/shots/010.exr"]
    changed = await admin.call(ops.UPDATE, messages.Items([{"_id": "/shots/010.exr", "k": [1, {"a": None}]}]))
    assert changed.items[0] is not None
    assert changed.items[0]["k"] == [1, {"a": None}]
    assert (await admin.call(ops.READ, messages.Ids(["/shots/010.exr"]))).items == changed.items
    by_path = await ask(real.port, "GET", "/api/read//shots/010.exr", token=admin.token or "")
    assert by_path.json == changed.items[0]
    assert "010.exr" in (await admin.call(ops.WHY, messages.WhyAsked("/shots/010.exr", "rome"))).sentence
    assert (await admin.call(ops.DELETE, messages.Ids(["/shots/010.exr"]))).ids == ["/shots/010.exr"]


async def test_an_agent_says_hello_and_waits_for_work(admin: Client, real: Running) -> None:
    await admin.call(ops.PUT_SITE, messages.SiteChange("oslo", create=True, url="file:///data/oslo/"))
    token = (await admin.call(ops.JOIN_TOKEN, messages.Named("oslo"))).token
    async with Client(f"http://127.0.0.1:{real.port}", token) as agent:
        welcome = await agent.call(ops.HELLO, agent_messages.Hello("oslo", "host", "1"))
        [mapping] = welcome.mappings
        holds = await agent.call(ops.HOLD, agent_messages.Hold(mapping.id, "me"))
        waiting = asyncio.create_task(
            agent.call(ops.CLAIM, agent_messages.Claim(mapping.id, holds.epoch, wait_ms=20_000))
        )
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await admin.call(ops.PUBLISH, messages.Items([{"_id": "/wake", "origin": "oslo", "comment": ""}]))
        await admin.call(ops.PUT_SITE, messages.SiteChange("oslo", paused=True))
        await asyncio.wait_for(waiting, 10)


async def test_refusals_keep_their_class(admin: Client, real: Running) -> None:
    with pytest.raises(NotFound):
        await admin.call(ops.SITE, messages.Named("nowhere"))
    with pytest.raises(Conflict):
        await admin.call(ops.REMOVE_USER, messages.Named("admin"))
    async with Client(f"http://127.0.0.1:{real.port}", admin.token) as other:
        await other.call(ops.SIGN_OUT, messages.Nothing())
        with pytest.raises(SignInNeeded):
            await other.call(ops.SITES, messages.Nothing())


OPERATIONS = sorted(
    (entry["operationId"], path, method) for path, at in describe()["paths"].items() for method, entry in at.items()
)


@pytest.fixture(scope="module")
def described() -> BaseSchema:
    return schemathesis.openapi.from_dict(describe())


@pytest.mark.parametrize(("name", "path", "method"), OPERATIONS, ids=[name for name, _, _ in OPERATIONS])
async def test_nothing_that_is_sent_is_answered_with_a_fault(
    admin: Client, real: Running, described: BaseSchema, name: str, path: str, method: str, long: bool
) -> None:
    headers = {"Authorization": f"Bearer {admin.token}"}
    found = described[path][method]
    asked = [found.as_strategy(generation_mode=GenerationMode.POSITIVE)]
    if found.body or found.query or found.headers:  # else nothing can be said wrongly
        asked.append(found.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    def search(case: Case[Any]) -> None:
        _shorten(case)
        answered = case.call(base_url=f"http://127.0.0.1:{real.port}", headers=headers, timeout=20)
        case.validate_response(answered, checks=CHECKS)

    for strategy, count in zip(asked, (15, 8), strict=False):
        counted = settings(
            max_examples=count * (20 if long else 1),
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        await asyncio.to_thread(counted(given(case=strategy)(search)))


def _shorten(case: Case[Any]) -> None:
    """Long polls are tested elsewhere; here they would only take their time."""
    for place in (case.body, case.query):
        fields: Any = place
        if isinstance(fields, dict) and ("wait_ms" in fields or "site" in fields):
            fields["wait_ms"] = 0
