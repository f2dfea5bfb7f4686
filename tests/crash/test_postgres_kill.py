"""Two processes write into one PostgreSQL database; one of them or the server is killed -9 again and again."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time

from tests.postgres import Server

from everysite.index import postgres
from everysite.index.contract import Change, Index

# Counts on, and writes an element and a replica of it, in units at once; prints each number once it was acknowledged.
WRITER = """
import asyncio, sys
from everysite.errors import SiteUnreachable
from everysite.index import postgres
from everysite.model.element import Element
from everysite.model.replica import Replica

def unit(t):
    n = int(t.meta("n") or 0) + 1
    t.set_meta("n", str(n))
    (made,) = t.elements.put([Element(f"/{n}", {"n": n})])
    t.replicas.put([Replica(made.id, 1, gen=n)])
    return n

async def main():
    while True:
        try:
            index = postgres.open(sys.argv[1])
            break
        except SiteUnreachable:  # the server is being started again
            await asyncio.sleep(0.1)
    async def write(lane):
        while True:
            n = await index.run(unit, lane)
            sys.stdout.write(f"{n}\\n"); sys.stdout.flush()
    await asyncio.gather(*(write(lane) for lane in ("interactive", "bulk") * 4))
asyncio.run(main())
"""


class Writer:
    """A process that writes until it is killed; `numbers` were acknowledged to it."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
        self.numbers: list[int] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.numbers = [int(line) for line in lines if line.endswith("\n")]

    def kill(self) -> list[int]:
        assert self.process.poll() is None, "it ended by itself"
        self.process.kill()
        self.process.wait()
        self._thread.join()
        return self.numbers


def test_acknowledged_writes_survive_whoever_is_killed(long: bool) -> None:
    server = Server()
    url = server.url(server.database())
    postgres.migrated(url)
    acknowledged: list[int] = []
    writers = [Writer(url), Writer(url)]
    for life in range(40 if long else 6):
        time.sleep(random.uniform(0.7, 1.2))
        if life % 2:
            server.kill(random.choice((signal.SIGKILL, signal.SIGQUIT)))
            server.start()
        else:
            acknowledged += writers.pop(0).kill()
            writers.append(Writer(url))
    time.sleep(1)
    for writer in writers:
        acknowledged += writer.kill()
    asyncio.run(_check(url, acknowledged))
    server.end()


async def _check(url: str, acknowledged: list[int]) -> None:
    index: Index = postgres.open(url)
    try:
        elements = await index.read(lambda t: t.elements.where([], 10_000_000), scan=True)
        replicas = await index.read(lambda t: t.replicas.at_site(1, limit=10_000_000), scan=True)
        there = [e.body["n"] for e in elements]
        assert there == list(range(1, len(there) + 1)), "each number was written once, in the order of commits"
        assert len(acknowledged) == len(set(acknowledged)) > 500
        assert set(acknowledged) <= set(there)
        assert {(e.id, e.body["n"]) for e in elements} == {(r.element, r.gen) for r in replicas}
        changes: list[Change] = await index.read(lambda t: t.changes(0, 10_000_000), scan=True)
        assert len({change.number for change in changes}) == 2 * len(elements)
        assert [problem for problem in await index.check() if "sites" not in problem] == []
    finally:
        await index.close()
