"""Section 3 of the wire contract: create, read, update, upsert, delete."""

from __future__ import annotations

import pytest
from tests.api.conftest import Api

pytestmark = pytest.mark.anyio


async def test_s3_read_refuses_what_is_no_identifier(api: Api) -> None:
    bodies: list[object] = [[], {}, [{}], 5, None]
    for body in bodies:
        assert (await api.ask("POST", "/api/read/", body)).status == 400, body
