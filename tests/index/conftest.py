"""An empty index of each engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.index.engines import ENGINES, Factory

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
