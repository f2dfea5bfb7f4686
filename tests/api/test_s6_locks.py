"""Section 6 of the wire contract: lock, unlock, and what locks keep others from."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.api.conftest import Api, Run

from everysite.errors import Conflict
from everysite.tracker.contract import LOCK, UNLOCK
from everysite.tracker.events import Told
from everysite.tracker.messages import Ids
from everysite.tracker.operation import Caller

pytestmark = pytest.mark.anyio


async def lock(api: Api, body: Any, as_: str = "user") -> Any:
    return await api.ask("PUT", "/api/lock/", body, as_)


async def unlock(api: Api, body: Any, as_: str = "user") -> Any:
    return await api.ask("PUT", "/api/unlock/", body, as_)


async def holder(api: Api, key: str) -> str | None:
    found: str | None = (await api.ask("POST", "/api/read/", key)).json.get("lock")
    return found


async def test_s6_lock_sets_the_name_and_unlock_deletes_the_key(api: Api) -> None:
    await api.create({"_id": "l1", "k": 1})
    locked = await lock(api, "l1")
    assert (locked.status, locked.json["lock"], locked.json["k"]) == (200, "user", 1)
    free = await unlock(api, "l1")
    assert (free.status, "lock" in free.json) == (200, False)
    assert "lock" not in (await api.ask("POST", "/api/read/", "l1")).json


async def test_s6_what_is_mine_already_is_fine(api: Api) -> None:
    await api.create({"_id": "l2"})
    for _ in range(2):
        assert (await lock(api, "l2")).json["lock"] == "user"


async def test_s6_answers_have_the_shape_of_update(api: Api) -> None:
    await api.create({"_id": "l3"}, {"_id": "l4"})
    assert (await lock(api, ["l3"])).json["_id"] == "l3"
    assert [e["lock"] for e in (await lock(api, ["l4", "l3"])).json] == ["user", "user"]


async def test_s6_some_missing_is_207_and_all_404(api: Api) -> None:
    await api.create({"_id": "l5"})
    some = await lock(api, ["l none", "l5"])
    assert (some.status, some.json[0], some.json[1]["lock"]) == (207, None, "user")
    some = await unlock(api, ["l5", "l none"])
    assert (some.status, some.json[0]["_id"], some.json[1]) == (207, "l5", None)
    for verb in (lock, unlock):
        for body in ("l none", ["l none", "l nothing"]):
            assert (await verb(api, body)).status == 404


async def test_s6_a_foreign_lock_is_409_and_nothing_changes(api: Api) -> None:
    await api.create({"_id": "l6"}, {"_id": "l7"}, {"_id": "l8"})
    await lock(api, "l7", "editor")
    for body in ("l7", ["l6", "l7", "l8"], ["l none", "l7", "l6"]):
        assert (await lock(api, body)).status == 409
    assert [await holder(api, key) for key in ("l6", "l7", "l8")] == [None, "editor", None]
    await lock(api, "l6")
    assert (await unlock(api, "l7")).status == 409
    assert (await unlock(api, ["l6", "l7"])).status == 409
    assert [await holder(api, key) for key in ("l6", "l7")] == ["user", "editor"]


async def test_s6_unlocking_what_is_not_locked_is_409(api: Api) -> None:
    await api.create({"_id": "l9"}, {"_id": "l10"})
    for body in ("l9", ["l9", "l10"], ["l none", "l9"]):
        assert (await unlock(api, body)).status == 409


async def test_s6_unlocked_ones_beside_my_own_are_harmless(api: Api) -> None:
    await api.create({"_id": "l11"}, {"_id": "l12"})
    await lock(api, "l11")
    answer = await unlock(api, ["l12", "l11"])
    assert (answer.status, [e["_id"] for e in answer.json]) == (200, ["l12", "l11"])
    assert await holder(api, "l11") is None


@pytest.mark.parametrize("body", [{}, {"_id": "l13"}, [{"_id": "l13"}], 5, [], None, [5], ""])
@pytest.mark.parametrize("verb", ["lock", "unlock"])
async def test_s6_what_is_no_identifier_is_400(api: Api, verb: str, body: Any) -> None:
    await api.ask("POST", "/api/upsert/", {"_id": "l13"})
    sent = b"null" if body is None else body
    assert (await api.ask("PUT", f"/api/{verb}/", sent, "user")).status == 400
    assert await holder(api, "l13") is None


async def test_s6_admins_can_unlock_anything(api: Api) -> None:
    await api.create({"_id": "l14"}, {"_id": "l15"})
    await lock(api, "l14")
    await lock(api, "l15", "editor")
    assert (await lock(api, "l14", "admin")).status == 409
    assert (await unlock(api, ["l14", "l15"], "admin")).status == 200
    assert [await holder(api, key) for key in ("l14", "l15")] == [None, None]


async def test_s6_one_event_with_what_changed(api: Api) -> None:
    await api.create({"_id": "l16"}, {"_id": "l17"})
    heard: list[Told] = []
    stop = api.service.events.listen(heard.append)
    await lock(api, ["l16", "l17", "l none"])
    await lock(api, ["l16"])
    await lock(api, ["l16"], "editor")
    await unlock(api, ["l16", "l17"])
    stop()
    assert [[(b["_id"], b.get("lock")) for b in told.updated] for told in heard] == [
        [("l16", "user"), ("l17", "user")],
        [("l16", None), ("l17", None)],
    ]


async def test_s6_of_two_who_race_for_a_lock_exactly_one_wins(api: Api) -> None:
    """A thousand times; the reference reads first and writes later, so both can win."""
    await api.create({"_id": "race"})
    racers = [Caller("ada", "user"), Caller("bob", "user")]
    wins = dict.fromkeys([c.username for c in racers], 0)

    async def attempt(caller: Caller) -> str | None:
        try:
            await api.service.call(caller, LOCK, Ids(["race"]))
        except Conflict:
            return None
        return caller.username

    for turn in range(1000):
        both = racers if turn % 2 else racers[::-1]
        won = [name for name in await asyncio.gather(*map(attempt, both)) if name]
        assert len(won) == 1
        assert await holder(api, "race") == won[0] if turn % 100 == 0 else True
        wins[won[0]] += 1
        await api.service.call(Caller(won[0], "user"), UNLOCK, Ids(["race"]))
    assert all(wins.values())


async def test_s6_of_two_who_race_over_http_exactly_one_wins(api: Api) -> None:
    await api.create({"_id": "race http"})
    for _ in range(50):
        answers = await asyncio.gather(lock(api, "race http"), lock(api, "race http", "editor"))
        assert sorted(a.status for a in answers) == [200, 409]
        winner = "user" if answers[0].status == 200 else "editor"
        assert (await unlock(api, "race http", winner)).status == 200


async def test_s6_a_lock_blocks_nobody_by_default(api: Api) -> None:
    await api.create({"_id": "l18"})
    await lock(api, "l18")
    assert (await api.ask("PUT", "/api/update/", {"_id": "l18", "k": 1}, "editor")).status == 200
    assert (await api.ask("DELETE", "/api/delete/", "l18", "editor")).status == 200


async def test_s6_enforced_locks_keep_others_away(run: Run) -> None:
    async with run(enforce_locks=True) as api:
        await api.create({"_id": "/held", "n": 0}, {"_id": "free", "n": 0})
        await lock(api, "/held")
        for method, verb, body in (
            ("PUT", "update", {"_id": "/held", "n": 1}),
            ("PUT", "update", [{"_id": "/held", "n": 1}, {"_id": "none", "n": 1}]),
            ("POST", "upsert", {"_id": "/held", "n": 1}),
            ("POST", "upsert", [{"_id": "free", "n": 1}, {"_id": "/held", "n": 1}]),
            ("DELETE", "delete", "/held"),
            ("POST", "version//held", {"file": "f"}),
            ("POST", "publish", {"_id": "/held", "comment": "", "origin": "online"}),
        ):
            answer = await api.ask(method, f"/api/{verb}", body, "editor")
            assert answer.status == 409, (verb, answer.text)
        found = (await api.ask("POST", "/api/read/", ["/held", "free"])).json
        assert [e["n"] for e in found] == [0, 0]
        some = await api.ask("PUT", "/api/update/", [{"_id": "/held", "n": 1}, {"_id": "free", "n": 1}], "editor")
        assert (some.status, some.json[0], some.json[1]["n"]) == (207, None, 1)
        some = await api.ask("DELETE", "/api/delete/", ["free", "/held"], "editor")
        assert (some.status, some.json) == (207, ["free", None])


async def test_s6_enforced_locks_bind_neither_the_holder_nor_admins(run: Run) -> None:
    async with run(enforce_locks=True) as api:
        await api.create({"_id": "held"})
        await lock(api, "held", "editor")
        for rank in ("editor", "admin"):
            assert (await api.ask("PUT", "/api/update/", {"_id": "held", "by": rank}, rank)).json["by"] == rank
            assert (await api.ask("POST", "/api/upsert/", {"_id": "held", "by": rank}, rank)).status == 200
        assert (await api.ask("DELETE", "/api/delete/", "held", "editor")).status == 200


async def test_s6_an_enforced_lock_is_not_taken_or_broken_by_writing_the_key(run: Run) -> None:
    async with run(enforce_locks=True) as api:
        await api.create({"_id": "free"}, {"_id": "held"})
        await lock(api, "held")
        for body in ({"lock": None}, {"lock": "editor"}, {"lock.x": 1}, {"lock": None, "k": 1}):
            assert (await api.ask("PUT", "/api/update/", {"_id": "held", **body}, "editor")).status == 409
            assert (await api.ask("PUT", "/api/update/", {"_id": "free", **body}, "editor")).status == 200
        assert await holder(api, "held") == "user"
        assert await holder(api, "free") is None
        made = await api.create({"_id": "framed", "lock": "user"}, as_="editor")
        assert "lock" not in made[0]


async def test_s6_what_lies_where_may_be_written_of_a_locked_file(run: Run) -> None:
    async with run(enforce_locks=True) as api:
        await api.create({"_id": "vol/oslo", "class": "volume", "name": "oslo", "url": ""}, {"_id": "/shot"})
        await lock(api, "/shot")
        answer = await api.ask("PUT", "/api/update/", {"_id": "/shot", "synced_oslo": 1500000000000}, "editor")
        assert (answer.status, answer.json["synced_oslo"]) == (200, 1500000000000)
        mixed = {"_id": "/shot", "synced_oslo": 1600000000000, "comment": "mine now"}
        assert (await api.ask("PUT", "/api/update/", mixed, "editor")).status == 409
