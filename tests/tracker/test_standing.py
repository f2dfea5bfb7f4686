"""Lists of files by how they stand at a site, as agents make them stand; what goes next when there are many."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.tracker.conftest import ADMIN, Agent, seen

from everysite.decide.targets import priority
from everysite.errors import BadRequest, NotFound
from everysite.model.element import Element
from everysite.tracker import standing
from everysite.tracker.agent_messages import Result
from everysite.tracker.contract import AT_SITE, CREATE, LISTDOWN, LISTUP, READ, STATUS, UPDATE
from everysite.tracker.messages import Ids, Items, Nothing
from everysite.tracker.search_messages import Between, StateAsked
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio


async def at(service: Service, site: str, state: Any) -> list[str]:
    return (await service.call(ADMIN, AT_SITE, StateAsked(site, state))).ids


async def going(service: Service, source: str, target: str, n: int = 100) -> list[str]:
    up, down = [(await service.call(ADMIN, op, Between(source, target, n))).items for op in (LISTUP, LISTDOWN)]
    assert up == down
    return [item["_id"] for item in up if item is not None]


async def test_files_stand_as_agents_made_them(service: Service, agents: dict[str, Agent]) -> None:
    paris, montreal = agents["paris"], agents["montreal"]
    await paris.announce(seen("/a", "one"), seen("/b", "two"))
    assert await at(service, "paris", "only") == ["/a", "/b"]
    assert await at(service, "montreal", "missing") == ["/a", "/b"]
    assert await going(service, "paris", "montreal") == ["/a", "/b"]
    await montreal.work()
    assert await at(service, "montreal", "current") == ["/a", "/b"]
    assert await at(service, "montreal", "missing") == await at(service, "paris", "only") == []
    assert await going(service, "paris", "montreal") == []
    assert await going(service, "montreal", "tokyo") == ["/a", "/b"]
    await paris.announce(seen("/a", "newer"))
    assert await at(service, "montreal", "outdated") == ["/a"]
    assert await going(service, "paris", "montreal") == ["/a"]
    claimed = await montreal.claim()
    assert await going(service, "paris", "montreal") == []  # it is on its way
    await montreal.settle(
        claimed, Result("/a", claimed.jobs[0].gen, False, code="unreadable", exit_code=23, text="gone")
    )
    assert await at(service, "montreal", "error") == ["/a"]
    assert (await service.call(ADMIN, STATUS, Nothing())).elements > 2


async def test_a_copy_delivered_before_the_content_changed_is_outdated_from_the_start(
    service: Service, agents: dict[str, Agent]
) -> None:
    """As a tracker that is moved here says it: `synced_<site>` against `time`."""
    old = {"_id": "/old", "origin": "paris", "time": 100, "synced_montreal": 99, "synced_tokyo": 100}
    new = {"_id": "/new", "origin": "paris", "time": 100, "synced_montreal": 101}
    await service.call(ADMIN, CREATE, Items([old, new]))
    assert await at(service, "montreal", "outdated") == ["/old"]
    assert await at(service, "montreal", "current") == ["/new"]
    assert await at(service, "tokyo", "current") == ["/old"]
    assert (await service.call(ADMIN, READ, Ids(["/old"]))).items[0] == {**old, "author": "admin"}


async def test_what_is_no_site_or_number_is_refused(service: Service, agents: dict[str, Agent]) -> None:
    with pytest.raises(NotFound, match="known sites: "):
        await service.call(ADMIN, AT_SITE, StateAsked("mars", "missing"))
    with pytest.raises(NotFound):
        await service.call(ADMIN, LISTUP, Between("paris", "mars", 1))
    with pytest.raises(BadRequest):
        await service.call(ADMIN, LISTUP, Between("paris", "tokyo", 0))


@pytest.mark.parametrize("few", [1, 7, 10_000])
async def test_the_order_is_the_same_however_many_there_are(
    service: Service, agents: dict[str, Agent], monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(standing, "_FEW", max(few, 4))  # no more texts than that
    dice = random.Random(few)
    priorities: list[Any] = ["7", "-2", "0", *dice.choices([None, 0, 1, 5, -3, 2.5, True, []], k=37)]
    bodies = [{"origin": "paris", "time": dice.randrange(1, 1000), "sync_priority": p} for p in priorities]
    made = [Element(f"/f{n:02}", {k: v for k, v in b.items() if v is not None}) for n, b in enumerate(bodies)]
    dice.shuffle(made)
    await service._core.index.run(lambda tx: tx.elements.put(made))
    numbers = {element.key: number for number, element in enumerate(made)}
    wanted = sorted(made, key=lambda e: (-priority(e.body), e.body["time"], numbers[e.key]))
    for n in (1, 3, 20, 40):
        assert await going(service, "paris", "tokyo", n) == [e.key for e in wanted[:n]], n
    await service.call(ADMIN, UPDATE, Items([{"_id": wanted[0].key, "sync_tokyo": False}]))
    assert await going(service, "paris", "tokyo", 1) == [wanted[1].key]
