"""An empty index of each engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.index.engines import ENGINES, Factory
from tests.index.oracle import Bench

from everysite.index.contract import Index


@pytest.fixture(params=list(ENGINES.values()), ids=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Factory:
    factory: Factory = request.param
    return factory


@pytest.fixture
async def index(engine: Factory, tmp_path: Path) -> AsyncIterator[Index]:
    index = await engine(tmp_path)
    yield index
    await index.close()


@pytest.fixture
def bench(engine: Factory, tmp_path: Path) -> Iterator[Bench]:
    """For tests without a loop of their own."""

    async def opened() -> Index:
        return await engine(tmp_path)

    with asyncio.Runner() as runner:
        index = runner.run(opened())
        yield Bench(runner, index)
        runner.run(index.close())
