"""Every write the index acknowledged is there after kill -9, and nothing is half there."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import apsw

from everysite.index import sqlite
from everysite.model.element import Element, Tombstone

# Writes pairs (element and replica) in both lanes at once and prints each number once it was acknowledged.
WRITER = """
import asyncio, sys
from everysite.index import sqlite
from everysite.model.element import Element
from everysite.model.replica import Replica

async def main():
    index = sqlite.open(sys.argv[1])
    start = int(sys.argv[2])
    def pair(n):
        def unit(t):
            (made,) = t.elements.put([Element(f"/{n}", {"n": n, "x": "y" * (n % 3000)})])
            t.replicas.put([Replica(made.id, 1, gen=n)])
        return unit
    async def write(k):
        n = start + k
        while True:
            await index.run(pair(n), "bulk" if k % 2 else "interactive")
            sys.stdout.write(f"{n}\\n"); sys.stdout.flush()
            n += 8
    await asyncio.gather(*(write(k) for k in range(8)))
asyncio.run(main())
"""


def test_acknowledged_writes_survive_kill(tmp_path: Path, long: bool) -> None:
    path = tmp_path / "index.db"
    acknowledged: set[int] = set()
    for life in range(60 if long else 8):
        acknowledged |= _one_life(path, start=life * 1_000_000)
        asyncio.run(_check(path, acknowledged))
    assert len(acknowledged) > 1_000


def _one_life(path: Path, start: int) -> set[int]:
    command = [sys.executable, "-c", WRITER, str(path), str(start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()  # it writes by now
        time.sleep(random.uniform(0.02, 0.4))
        writer.kill()
        rest = writer.stdout.read()
    lines = (first + rest).split("\n")
    return {int(line) for line in lines[:-1]}  # the last one may be cut


async def _check(path: Path, acknowledged: set[int]) -> None:
    index = sqlite.open(str(path))
    try:
        elements = await index.read(lambda t: t.elements.where([], 10_000_000), scan=True)
        replicas = await index.read(lambda t: t.replicas.at_site(1, limit=10_000_000), scan=True)
        assert acknowledged <= {e.body["n"] for e in elements}
        assert {(e.id, e.body["n"]) for e in elements} == {(r.element, r.gen) for r in replicas}
        assert len({e.change for e in elements} | {r.change for r in replicas}) == 2 * len(elements)
        (made,) = await index.run(lambda t: t.elements.put([Element("/after", {"n": -1})]))
        assert made.id > max(e.id for e in elements), "it goes on writing, and gives no number twice"
        assert made.change > max(r.change for r in replicas)
        await index.run(lambda t: t.elements.bury([Tombstone("/after", made.version)]))
    finally:
        await index.close()
    db = apsw.Connection(str(path))
    assert db.pragma("quick_check") == "ok"
    db.close()
