"""A copy of everything while the tracker works: who may have it, how many at once, what is left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from everysite.errors import Forbidden, Transient
from everysite.index import sqlite
from everysite.tracker.access_messages import AuditAsked
from everysite.tracker.care import sweep
from everysite.tracker.contract import AUDIT, BACKUP, INTEGRITY
from everysite.tracker.messages import Nothing
from everysite.tracker.operation import Caller
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio

ADMIN = Caller("admin", "admin", address="10.0.0.7")


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Service]:
    (tmp_path / "run").mkdir()
    index = sqlite.open(str(tmp_path / "index.db"))
    service = Service(index, scratch=str(tmp_path / "run"))
    await service.start()
    yield service
    await service.stop()
    await index.close()


async def test_a_copy_is_sound_private_and_in_the_audit(tracker: Service, tmp_path: Path) -> None:
    copied = await tracker.call(ADMIN, BACKUP, Nothing())
    assert sqlite.inspect(copied.path) == []
    assert Path(copied.folder).parent == tmp_path / "run"
    assert os.stat(copied.folder).st_mode & 0o777 == 0o700
    [row] = (await tracker.call(ADMIN, AUDIT, AuditAsked(what="backup taken"))).entries
    assert (row.who, row.address) == ("admin", "10.0.0.7")
    sweep(tmp_path / "run")
    assert not os.listdir(tmp_path / "run")


@pytest.mark.parametrize(
    "caller",
    [
        Caller("ed", "editor"),
        Caller("admin", "admin", scoped=True, read_only=True),
        Caller("admin", "admin", scoped=True, prefix="/shots/"),
        Caller("admin", "admin", scoped=True, site="rome"),
        Caller("agent:*", "agent", "*"),
    ],
    ids=["editor", "read-only", "prefix", "site", "agent"],
)
async def test_a_part_of_an_admin_gets_nothing(tracker: Service, tmp_path: Path, caller: Caller) -> None:
    with pytest.raises(Forbidden):
        await tracker.call(caller, BACKUP, Nothing())
    assert not os.listdir(tmp_path / "run")


async def test_two_at_once_are_the_most(tracker: Service) -> None:
    results = await asyncio.gather(*(tracker.call(ADMIN, BACKUP, Nothing()) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Transient) for result in results) == 3
    await tracker.call(ADMIN, BACKUP, Nothing())


async def test_who_goes_away_leaves_nothing(tracker: Service, tmp_path: Path) -> None:
    asked = asyncio.ensure_future(tracker.call(ADMIN, BACKUP, Nothing()))
    while not os.listdir(tmp_path / "run"):  # noqa: ASYNC110  what is waited for is no event of ours
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await asyncio.sleep(0.3)  # the thread ends, without a place to put its copy
    assert not os.listdir(tmp_path / "run")
    await tracker.call(ADMIN, BACKUP, Nothing())


async def test_a_sound_tracker_has_no_problems(tracker: Service) -> None:
    assert (await tracker.call(ADMIN, INTEGRITY, Nothing())).problems == []
    with pytest.raises(Forbidden):
        await tracker.call(Caller("ed", "editor"), INTEGRITY, Nothing())
