"""A running tracker, asked over HTTP as existing clients ask it.

Owns: Api and the fixture `api`. The modules beside it are named after the sections of the wire contract
(docs/http.md), their tests after the rule they hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.web.wire import Answer, ask

from everysite.index import sqlite
from everysite.tracker.core import Limits
from everysite.tracker.mail import Mail
from everysite.tracker.service import Service
from everysite.web.app import create_app
from everysite.web.options import Options
from everysite.web.server import serve

PASSWORD = "a-password"


@dataclass(frozen=True)
class Api:
    """One tracker. `as_` names whose token goes along: admin, editor, user, guest, or '' for nobody."""

    service: Service
    port: int
    tokens: dict[str, str]

    async def ask(
        self,
        method: str,
        path: str | bytes,
        body: Any = None,
        as_: str = "admin",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request; `body` bytes as they are, anything else as JSON."""
        return await ask(self.port, method, path, body, self.tokens[as_] if as_ else "", headers)

    async def create(self, *items: dict[str, Any], as_: str = "admin") -> Any:
        """What create answers for these; they are all new."""
        answer = await self.ask("POST", "/api/create/", list(items), as_)
        assert answer.status == 201, answer.text
        return answer.json


@contextlib.asynccontextmanager
async def running(
    home: Path,
    options: Options | None = None,
    clock: Callable[[], int] | None = None,
    mail: Mail | None = None,
    **limits: Any,
) -> AsyncIterator[Api]:
    """A tracker with a user of every class; their tokens were given out by signing in (in open mode nobody does)."""
    index = sqlite.open(str(home / "index.db"))
    service = Service(index, Limits(**limits), clock, mail=mail)
    await service.start()
    await service.access.first_admin("admin", PASSWORD)
    server = await serve(create_app(service, options or Options()), "127.0.0.1", 0)
    try:
        api = Api(service, server.port, {})
        if limits.get("open_mode"):
            yield api
            return
        await _sign_in(api, "admin")
        for rank in ("editor", "user", "guest"):
            user = {"username": rank, "class": rank, "password": PASSWORD}
            assert (await api.ask("PUT", f"/api/users/{rank}", user)).status == 200
            await _sign_in(api, rank)
        yield api
    finally:
        await server.stop()
        await service.stop()
        await index.close()


async def _sign_in(api: Api, name: str) -> None:
    answer = await ask(api.port, "POST", "/api/signIn/", {"username": name, "password": PASSWORD})
    assert answer.status == 200, answer.text
    api.tokens[name] = answer.json["token"]


@pytest.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One for all tests of a module: choose identifiers no other test uses."""
    async with running(tmp_path_factory.mktemp("home")) as made:
        yield made


Run = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """For other settings: `async with run(enforce_locks=True) as api`; options=Options(...) for the doors."""
    return lambda options=None, **limits: running(tmp_path, options, **limits)
