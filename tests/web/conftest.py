"""A door on a free port of loopback, with a stub behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.web.stub import Stub

from everysite.web.app import create_app
from everysite.web.options import Options
from everysite.web.server import Running, serve


@pytest.fixture(scope="module")
def stub() -> Stub:
    return Stub()


@pytest.fixture(autouse=True)
def fresh(stub: Stub) -> None:
    """One door serves a module's tests; what is behind it starts anew for each."""
    stub.reset()


@pytest.fixture(scope="module")
def options() -> Options:
    return Options(max_body=1 << 20, max_batch=100)


@pytest.fixture(scope="module")
async def server(stub: Stub, options: Options) -> AsyncIterator[Running]:
    running = await serve(create_app(stub, options), "127.0.0.1", 0)
    yield running
    await running.stop()
