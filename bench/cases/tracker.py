"""The tracker as a store of documents: what a pipeline asks all day, next to PocketBase under the same load.

Both hold the same documents of about 1 KB and are durable at every answer; both answer over HTTP to 16 connections of a
load generator on the same machine. A search answers ten hits: identifiers here, whole records there.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.household import Household
from bench.load import Plan, Result, drive, request
from bench.measure import Contestant, Setting, Table, rounds
from bench.pocketbase import RECORDS, PocketBase, batch, program
from everysite.client import Client
from everysite.tracker.contract import ADD_INDEX, CREATE
from everysite.tracker.messages import Items
from everysite.tracker.search_messages import IndexKey

_HELD = 20_000  # documents there before
_HITS = 10  # documents with the same author
_BATCH = 100
Ask = Callable[["Pair"], tuple[list[bytes], list[bytes]]]


def document(name: str, author: str = "alice") -> dict[str, Any]:
    """About 1 KB as JSON; its own identifier is the path without the slash, for it stands for no file."""
    return {"path": name, "author": author, "comment": "c", "origin": "paris", "time": 1, "file_size": 2,
            "meta": {"notes": "x" * 700}}  # fmt: skip


class Pair:
    """Both servers, filled."""

    def __init__(self, work: Path, held: int, peers: bool) -> None:
        self._stack = contextlib.ExitStack()
        self.ours = self._stack.enter_context(Household(work))
        self.peer = self._stack.enter_context(PocketBase(work)) if peers and program() else None
        self.held = held
        self.docs = [document(f"/seed/{n}", f"user{n % (held // _HITS)}") for n in range(held)]
        self.ids = self.peer.fill(self.docs) if self.peer else []
        self.ours.ask(self._fill)

    async def _fill(self, client: Client) -> None:
        for at in range(0, self.held, 1000):
            items = [{"_id": doc["path"][1:], **doc} for doc in self.docs[at : at + 1000]]
            await client.call(CREATE, Items(items))  # type: ignore[arg-type]
        await client.call(ADD_INDEX, IndexKey("author"))

    def close(self) -> None:
        self._stack.close()


def _case(title: str, count: int, ask: Ask, per: int = 1) -> Callable[[Setting], Table]:
    def run(setting: Setting) -> Table:
        pair = Pair(setting.work, setting.count(_HELD, 1000), setting.peers)
        total = setting.count(count, 200)
        try:
            ours, theirs = ask(pair)
            contestants, seen = [], {"everysite": [], "PocketBase": []}  # type: ignore[var-annotated]
            contestants.append(_contestant("everysite", pair.ours.port, ours, total, setting.work, seen["everysite"]))
            if pair.peer:
                contestants.append(
                    _contestant("PocketBase", pair.peer.port, theirs, total, setting.work, seen["PocketBase"])
                )
            for one in contestants:
                one.run()  # warm
            rows = rounds(contestants, setting)
            for row in rows:
                row.seconds = [result.seconds for result in seen[row.name][1:]]
                row.values = {"p99 ms": statistics.median(result.p99 for result in seen[row.name][1:])}
            rows[0].values |= pair.ours.memory()
        finally:
            pair.close()
        return Table(
            f"{title}, {pair.held:,} documents of 1 KB held, 16 connections", rows, rate=("a second", total * per)
        )

    return run


def _contestant(name: str, port: int, asks: Sequence[bytes], count: int, work: Path, seen: list[Result]) -> Contestant:
    return Contestant(name, lambda: seen.append(drive(Plan(port, list(asks), count), work)))


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _read(pair: Pair) -> tuple[list[bytes], list[bytes]]:
    some = range(0, pair.held, 7)
    ours = [request("GET", f"/api/read/seed/{n}", token=pair.ours.token) for n in some]
    return ours, [request("GET", f"{RECORDS}/{pair.ids[n]}") for n in some if pair.ids]


def _search(pair: Pair) -> tuple[list[bytes], list[bytes]]:
    authors = [f"user{n}" for n in range(pair.held // _HITS)]
    ours = [request("GET", f"/api/search/author:{author}", token=pair.ours.token) for author in authors]
    query = RECORDS + "?skipTotal=1&perPage=20&filter=author%3D%22{}%22"
    return ours, [request("GET", query.format(author)) for author in authors]


def _create(pair: Pair) -> tuple[list[bytes], list[bytes]]:
    ours = request("POST", "/api/create", _encoded({"_id": "new/$N", **document("/new/$N")}), pair.ours.token)
    return [ours], [request("POST", RECORDS, _encoded(document("/new/$N")))]


def _update(pair: Pair) -> tuple[list[bytes], list[bytes]]:
    some = range(0, pair.held, 7)
    ours = [
        request("PUT", "/api/update", _encoded({"_id": f"seed/{n}", "comment": "d"}), pair.ours.token) for n in some
    ]
    return ours, [request("PATCH", f"{RECORDS}/{pair.ids[n]}", _encoded({"comment": "d"})) for n in some if pair.ids]


def _batch(pair: Pair) -> tuple[list[bytes], list[bytes]]:
    docs = [document(f"/batch/$N/{n}") for n in range(_BATCH)]
    ours = request("POST", "/api/create", _encoded([{"_id": doc["path"][1:], **doc} for doc in docs]), pair.ours.token)
    return [ours], [request("POST", "/api/batch", _encoded(batch(docs)))]


read = _case("Reads by identifier", 60_000, _read)
search = _case("Searches by an indexed key, 10 hits", 30_000, _search)
create = _case("Durable creates, one a request", 30_000, _create)
update = _case("Durable updates of one key, one a request", 30_000, _update)
create_batch = _case("Durable creates, 100 a request", 400, _batch, _BATCH)
