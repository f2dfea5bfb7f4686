"""The verbs of elements in the tracker's own process: what they leave behind, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from tests.tracker.conftest import ADMIN, Agent, seen

from everysite.errors import BadRequest, Conflict, Forbidden, TooLarge
from everysite.index.contract import Transaction
from everysite.model.element import Body, Element
from everysite.tracker.contract import (
    COMMENT,
    CREATE,
    DELETE,
    LOCK,
    LOG,
    PUBLISH,
    READ,
    UNLOCK,
    UPDATE,
    UPSERT,
    VERIFY,
    VERSION,
)
from everysite.tracker.create import create
from everysite.tracker.identifiers import generated, newly_keyed
from everysite.tracker.messages import Ids, Items, LogAsked, NewVersion, Nothing
from everysite.tracker.operation import Caller
from everysite.tracker.service import Service
from everysite.tracker.writing import Writing

pytestmark = pytest.mark.anyio
EDITOR = Caller("ed", "editor")


async def read(service: Service, *keys: str) -> list[Body | None]:
    return (await service.call(ADMIN, READ, Ids([*keys]))).items


def test_made_identifiers_sort_and_never_repeat() -> None:
    made = [generated() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {len(key) for key in made} == {24}


async def test_plain_documents_make_no_history(service: Service) -> None:
    await service.call(EDITOR, CREATE, Items([{"_id": "doc", "k": 1}]))
    await service.call(EDITOR, UPDATE, Items([{"_id": "doc", "k": 2}]))
    await service.call(EDITOR, UPSERT, Items([{"_id": "doc", "k": 3}, {"_id": "doc 2"}]))
    await service.call(EDITOR, LOCK, Ids(["doc"]))
    await service.call(EDITOR, UNLOCK, Ids(["doc"]))
    await service.call(EDITOR, VERSION, NewVersion("doc", {"file": "f"}))
    await service.call(EDITOR, COMMENT, Items([{"#parent": "doc", "comment": "c"}]))
    await service.call(EDITOR, DELETE, Ids(["doc"]))
    assert (await service.call(ADMIN, LOG, LogAsked("doc"))).entries == []


async def test_files_make_history(service: Service) -> None:
    await service.call(EDITOR, CREATE, Items([{"_id": "/f", "comment": "why"}]))
    await service.call(EDITOR, LOCK, Ids(["/f"]))
    await service.call(EDITOR, UNLOCK, Ids(["/f"]))
    await service.call(EDITOR, DELETE, Ids(["/f"]))
    entries = (await service.call(ADMIN, LOG, LogAsked("/f"))).entries
    assert [(e.what, e.who, e.text) for e in entries[::-1]] == [
        ("created", "ed", "why"),
        ("locked", "ed", ""),
        ("unlocked", "ed", ""),
        ("removed", "ed", ""),
    ]


class _Counted:
    """A Transaction that only knows how to put; it counts how often."""

    def __init__(self, tx: Transaction) -> None:
        self._tx, self.puts = tx, 0
        self.elements = self
        self.stamp = tx.stamp

    def put(self, elements: Sequence[Element]) -> list[Element]:
        self.puts += 1
        return self._tx.elements.put(elements)


async def test_creating_documents_is_one_put(service: Service) -> None:
    items = list(newly_keyed([{"n": n, "_id": f"doc {n}"} for n in range(100)], "{#}"))

    def unit(tx: Transaction) -> int:
        counted = _Counted(tx)
        made = create(Writing(counted, EDITOR, 1_800_000_000_000), items)  # type: ignore[arg-type]
        assert all(made)
        return counted.puts

    assert await service._core.index.run(unit) == 1


async def test_no_more_is_unfolded_than_one_request_may_have(service: Service) -> None:
    keys = [str(n) for n in range(5000)]
    for operation, item in (
        (CREATE, {"_id": keys}),
        (UPDATE, {"_id": keys, "k": 1}),
        (COMMENT, {"#parent": keys, "comment": "c"}),
    ):
        with pytest.raises(TooLarge):
            await service.call(ADMIN, operation, Items([item, item, item]))


async def test_a_created_file_with_an_origin_is_looked_at_and_delivered(
    service: Service, agents: dict[str, Agent]
) -> None:
    await service.call(EDITOR, CREATE, Items([{"_id": "/new", "origin": "PARIS", "synced_tokyo": 5}]))
    [found] = await read(service, "/new")
    assert found is not None
    assert found["synced_tokyo"] == 5
    claimed = await agents["paris"].claim()
    assert [(j.kind, j.path) for j in claimed.jobs] == [("inspect", "/new")]


@pytest.mark.parametrize("key", ["//odd", "/a/../b", "/", "/a//b", "/./x"])
async def test_what_is_no_path_is_never_sent_to_a_site(service: Service, agents: dict[str, Agent], key: str) -> None:
    await service.call(EDITOR, CREATE, Items([{"_id": key, "origin": "paris"}]))
    await service.call(EDITOR, UPDATE, Items([{"_id": key, "origin": "tokyo", "file_size": 5}]))
    for agent in agents.values():
        assert (await agent.claim()).jobs == []


async def test_a_version_of_a_file_keeps_its_origin_and_looks_again(service: Service, agents: dict[str, Agent]) -> None:
    await agents["paris"].announce(seen("/a", "one"))
    await agents["tokyo"].work()
    shown = await service.call(EDITOR, VERSION, NewVersion("/a", {"file": "/a", "note": "two"}))
    assert (shown["origin"], shown["version"], "synced_tokyo" in shown) == ("paris", 2, True)
    assert "comment" not in shown
    claimed = await agents["paris"].claim()
    assert [(j.kind, j.path) for j in claimed.jobs] == [("inspect", "/a")]


async def test_upsert_of_a_foreign_element_is_a_conflict_that_stores_nothing(service: Service) -> None:
    scoped = replace(EDITOR, prefix="/shots/", scoped=True)
    await service.call(EDITOR, CREATE, Items([{"_id": "/other"}]))
    with pytest.raises(Conflict):
        await service.call(scoped, UPSERT, Items([{"_id": "/shots/a"}, {"_id": "/other", "k": 1}]))
    assert (await read(service, "/shots/a", "/other"))[0] is None


async def test_a_token_for_a_prefix_writes_below_it_only(service: Service) -> None:
    scoped = replace(EDITOR, prefix="/shots/", scoped=True)
    await service.call(scoped, CREATE, Items([{"_id": "/shots/a"}]))
    await service.call(scoped, COMMENT, Items([{"#parent": "/shots/a", "comment": "c"}]))
    await service.call(scoped, LOCK, Ids(["/shots/a"]))
    await service.call(scoped, VERSION, NewVersion("/shots/a", {"file": "x"}))
    outside: list[Body] = [{"_id": "/other"}, {"_id": "doc"}, {}, {"_id": "doc", "#parent": "/other/a"}]
    for item in outside:
        with pytest.raises(Forbidden):
            await service.call(scoped, CREATE, Items([{"_id": "/shots/b"}, item]))
        with pytest.raises(Forbidden):
            await service.call(scoped, UPSERT, Items([{"_id": "/shots/b"}, item]))
    with pytest.raises(Forbidden):
        await service.call(scoped, PUBLISH, Items([{"_id": "/other", "comment": "", "origin": "online"}]))
    assert await read(service, "/shots/b", "/other") == [None, None]


async def test_an_admin_with_a_narrower_token_makes_no_users_or_sites(service: Service) -> None:
    narrow = replace(ADMIN, prefix="/shots/", scoped=True)
    for item in (
        {"_id": "/shots/u", "username": "eve", "password": "0" * 32},
        {"_id": "/shots/s", "class": "volume", "name": "eve", "url": ""},
    ):
        with pytest.raises(Forbidden):
            await service.call(narrow, CREATE, Items([item]))
        with pytest.raises(Forbidden):
            await service.call(narrow, UPSERT, Items([item]))
    [trap] = (await service.call(narrow, CREATE, Items([{"_id": "/shots/t", "name": "t", "url": "file:///t/"}]))).items
    assert trap is not None
    assert "class" not in trap


async def test_a_password_belongs_to_a_user(service: Service) -> None:
    with pytest.raises(BadRequest):
        await service.call(ADMIN, CREATE, Items([{"_id": "no user", "password": "0" * 32}]))
    made = await service.call(ADMIN, CREATE, Items([{"username": "bo", "password": "0" * 32, "class": "editor"}]))
    assert made.items[0] is not None
    assert made.items[0]["_id"] == "@bo"
    assert (await service.call(Caller("bo", "editor"), VERIFY, Nothing()))["_id"] == "@bo"
    with pytest.raises(BadRequest):
        await service.call(ADMIN, CREATE, Items([{"username": "cy", "password": "0" * 32, "class": "agent"}]))


async def test_the_global_parameters_stay(service: Service) -> None:
    with pytest.raises(BadRequest):
        await service.call(ADMIN, DELETE, Ids(["rsyncGlobalParameters"]))
    with pytest.raises(BadRequest, match="sleepBetweenScans"):
        await service.call(ADMIN, UPSERT, Items([{"_id": "rsyncGlobalParameters", "sleepBetweenScans": -1}]))
