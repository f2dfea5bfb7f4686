"""What the tracker believes to be at a site, and how an agent learns that it was put back."""

from __future__ import annotations

import pytest
from tests.tracker.conftest import Agent, seen

from everysite.errors import StaleLease
from everysite.tracker.agent_messages import Hold, Recall
from everysite.tracker.contract import HOLD, RECALL
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio


async def recalled(agent: Agent) -> list[str]:
    """All pages."""
    keys: list[str] = []
    page = await agent.ask(RECALL, Recall(agent.mapping, agent.epoch))
    keys += page.keys
    while page.after:
        page = await agent.ask(RECALL, Recall(agent.mapping, agent.epoch, page.after))
        keys += page.keys
    return keys


async def test_what_is_there_is_recalled_page_by_page(agents: dict[str, Agent]) -> None:
    paris = agents["paris"]
    await paris.announce(*(seen(f"/{n}", str(n)) for n in range(2300)), first=True)
    await paris.announce(seen("/7"))
    found = await recalled(paris)
    assert len(found) == len(set(found)) == 2299
    assert "/7" not in found, "that it is gone was told"
    assert await recalled(agents["tokyo"]) == [], "nothing has arrived there"


async def test_only_who_holds_the_folder_is_told(agents: dict[str, Agent]) -> None:
    paris = agents["paris"]
    with pytest.raises(StaleLease):
        await paris.ask(RECALL, Recall(paris.mapping, paris.epoch + 1))


async def test_who_takes_a_folder_learns_which_history_it_is(service: Service, agents: dict[str, Agent]) -> None:
    paris = agents["paris"]
    first = await paris.ask(HOLD, Hold(paris.mapping, "paris"))
    again = await paris.ask(HOLD, Hold(paris.mapping, "paris"))
    assert first.history == again.history != ""
    renewed = await paris.ask(HOLD, Hold(paris.mapping, "paris", again.epoch))
    assert renewed.history == "", "renewals, of which there are many, do not say it"
