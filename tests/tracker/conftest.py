"""A tracker over a real index, and people and agents who ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import blake3
import pytest

from everysite.index import sqlite
from everysite.model.element import Content
from everysite.tracker.agent_messages import (
    Announce,
    Announced,
    Claim,
    Claimed,
    Hello,
    Hold,
    Result,
    SeenItem,
    Settle,
    Settled,
)
from everysite.tracker.contract import ANNOUNCE, CLAIM, HELLO, HOLD, PUT_SITE, SETTLE
from everysite.tracker.core import Limits
from everysite.tracker.messages import SiteChange
from everysite.tracker.operation import Caller, Operation
from everysite.tracker.service import Service

R = TypeVar("R")
A = TypeVar("A")
ADMIN = Caller("admin", "admin")


def content(text: str, mtime_ns: int = 1_700_000_000_000_000_000) -> Content:
    """What a file with this text is."""
    raw = text.encode()
    return Content(len(raw), mtime_ns, 0o644, blake3.blake3(raw).digest())


class Clock:
    """Time that passes when told to, in ms."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


@dataclass
class Agent:
    """An agent as the tracker sees it, without a disk."""

    service: Service
    name: str
    holder: str = ""
    mapping: int = 0
    epoch: int = 0
    leases: list[int] = field(default_factory=list)

    @property
    def caller(self) -> Caller:
        return Caller(f"agent:{self.name}", "agent", self.name)

    async def ask(self, operation: Operation[R, A], request: R) -> A:
        return await self.service.call(self.caller, operation, request)

    async def start(self) -> Agent:
        welcome = await self.ask(HELLO, Hello(self.name, "host-" + self.name, "1", f"file:///data/{self.name}/"))
        self.mapping = welcome.mappings[0].id
        self.epoch = (await self.ask(HOLD, Hold(self.mapping, self.holder or self.name))).epoch
        return self

    async def announce(self, *seen: SeenItem, first: bool = False) -> Announced:
        return await self.ask(ANNOUNCE, Announce(self.mapping, self.epoch, list(seen), first))

    async def claim(self, limit: int = 1000, wait_ms: int = 0) -> Claimed:
        return await self.ask(CLAIM, Claim(self.mapping, self.epoch, limit, wait_ms=wait_ms))

    async def settle(self, claimed: Claimed, *results: Result) -> Settled:
        return await self.ask(SETTLE, Settle(self.mapping, self.epoch, claimed.lease, list(results)))

    async def work(self) -> list[str]:
        """Claim and settle everything there is as done; answers 'kind path' lines."""
        done: list[str] = []
        while (claimed := await self.claim()).lease:
            results = [Result(j.path, j.gen, True, j.content if j.kind == "present" else None) for j in claimed.jobs]
            done += [f"{j.kind} {j.source + ' -> ' if j.source else ''}{j.path}" for j in claimed.jobs]
            assert (await self.settle(claimed, *results)).refused == []
        return done


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service(tmp_path: Path, clock: Clock) -> AsyncIterator[Service]:
    index = sqlite.open(str(tmp_path / "index.db"))
    service = Service(index, Limits(lease_ms=30_000), clock, host="host-here")
    await service.start()
    yield service
    await service.stop()
    await index.close()


@pytest.fixture
async def agents(service: Service) -> dict[str, Agent]:
    """Three sites, each with an agent that has said hello and holds its folder."""
    found = {}
    for name in ("paris", "montreal", "tokyo"):
        await service.call(ADMIN, PUT_SITE, SiteChange(name, create=True))
        found[name] = await Agent(service, name).start()
    return found


def seen(key: str, text: str | None = None, was: str = "") -> SeenItem:
    """A finding: this text lies under the key (None: nothing any more)."""
    return SeenItem(key, None if text is None else content(text), was)
