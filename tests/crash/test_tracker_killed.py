"""The tracker killed again and again while people write to it: whatever it acknowledged is there afterwards.

It runs as its own process and is written to over HTTP at some 2,000 writes a second: single creates, batches, and updates
of counters. A write that was not answered may be there or not, but a batch is there whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections import defaultdict
from pathlib import Path

import pytest
from tests.cli.processes import PASSWORD, Up

from everysite.client import Client
from everysite.errors import EverysiteError, SiteUnreachable
from everysite.tracker.contract import CREATE, READ, UPDATE
from everysite.tracker.messages import Ids, Items

pytestmark = pytest.mark.anyio

KILLS = 20
WRITERS = 16
BATCH = 10  # elements of one create of a writer of batches
RATE = 2_000  # elements written a second, all writers together


class Writer:
    """Writes one thing after the other and remembers what was acknowledged."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.created: list[str] = []  # acknowledged
        self.counter = 0  # the last acknowledged value of this writer's own counter
        self.sent = 0

    async def run(self, client: Client, ended: asyncio.Event) -> None:
        """Until told, or until the tracker is gone."""
        pause = (BATCH if self._batches else 1) * WRITERS / RATE
        with contextlib.suppress(SiteUnreachable):
            while not ended.is_set():
                start = time.monotonic()
                await (self._update(client) if self._updates else self._create(client))
                await asyncio.sleep(max(0.0, pause - (time.monotonic() - start)))

    @property
    def _batches(self) -> bool:
        return self.name.endswith("b")

    @property
    def _updates(self) -> bool:
        return self.name.endswith("u")

    async def _create(self, client: Client) -> None:
        self.sent += 1
        count = BATCH if self._batches else 1
        keys = [f"{self.name}-{self.sent}-{n}" for n in range(count)]
        await client.call(CREATE, Items([{"_id": key, "number": self.sent, "text": "x" * 300} for key in keys]))
        self.created += keys

    async def _update(self, client: Client) -> None:
        self.sent += 1
        await client.call(UPDATE, Items([{"_id": f"{self.name}-counter", "value": self.sent}]))
        self.counter = self.sent


async def check(client: Client, writers: list[Writer]) -> None:
    """Everything acknowledged is there, and no batch is there in part."""
    batches: defaultdict[str, int] = defaultdict(int)
    for writer in writers:
        sent = [f"{writer.name}-{writer.sent}-{n}" for n in range(BATCH)]  # the last one may have been cut off
        keys = [*writer.created, *(key for key in sent if key not in writer.created[-BATCH:])]
        for at in range(0, len(keys), 5_000):
            page = keys[at : at + 5_000]
            for key, found in zip(page, (await client.call(READ, Ids(list(page)))).items, strict=True):
                assert found is not None or key in sent, f"{key} was acknowledged and is not there"
                batches[key.rpartition("-")[0]] += found is not None
        if writer.counter:
            [counter] = (await client.call(READ, Ids([f"{writer.name}-counter"]))).items
            assert counter is not None
            assert counter["value"] >= writer.counter
    whole = {name: there for name, there in batches.items() if name.partition("-")[0].endswith("b")}
    assert set(whole.values()) <= {0, BATCH}


@pytest.mark.timeout(600)
async def test_what_was_acknowledged_survives_kill(tmp_path: Path, long: bool) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    writers = [Writer(f"w{n}{'bu'[n // 2 % 2] if n % 2 else ''}") for n in range(WRITERS)]
    started = time.monotonic()
    with Up(tmp_path, words=["--port", str(port)], EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        async with Client(up.url) as client:
            token = (await client.sign_in("admin", PASSWORD)).token
            await client.call(CREATE, Items([{"_id": f"{writer.name}-counter", "value": 0} for writer in writers]))
        for _ in range(KILLS * (5 if long else 1)):
            async with Client(up.url, token) as client:
                ended = asyncio.Event()
                working = [asyncio.create_task(writer.run(client, ended)) for writer in writers]
                await asyncio.sleep(random.uniform(0.2, 0.8))
                up.process.kill()
                ended.set()
                await asyncio.gather(*working)
            up.process.wait()
            up.start()
        async with Client(up.url, token) as client:
            await check(client, writers)
    written = sum(len(writer.created) + writer.counter for writer in writers)
    assert written > KILLS * 100, f"{written} writes in {time.monotonic() - started:.0f} s"


async def test_a_killed_tracker_is_no_unexpected_error(tmp_path: Path) -> None:
    """What its clients meet is a class they can explain, not a broken connection's own."""
    with Up(tmp_path, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as up:
        async with Client(up.url) as client:
            await client.sign_in("admin", PASSWORD)
            up.process.kill()
            up.process.wait()
            with pytest.raises(EverysiteError, match="127"):
                await client.call(READ, Ids(["@admin"]))
        up.start()
