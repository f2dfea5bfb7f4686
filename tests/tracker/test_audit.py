"""What a change is told as, and what makes no row."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tracker.conftest import ADMIN, Agent, seen

from everysite.index.contract import AuditRow
from everysite.model.element import Element
from everysite.tracker.access_messages import AuditAsked
from everysite.tracker.agent_messages import Report
from everysite.tracker.audit import _row, told
from everysite.tracker.contract import AUDIT, CREATE, JOIN_TOKEN, PUBLISH, REPORT, UPDATE
from everysite.tracker.messages import Items, Named
from everysite.tracker.operation import Caller
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio
ANNA = Caller("anna", "editor", address="192.0.2.1")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ({"a": 1}, {"a": 2}, "a: 1 -> 2"),
        ({"a": 1}, {}, "a: 1 -> none"),
        ({}, {"b": None, "a": [1]}, "a: none -> [1], b: none -> null"),
        ({"a": 1}, {"a": True}, "a: 1 -> true"),
        ({"time": 1, "lastlogin": 1}, {"time": 2}, ""),
        ({}, {"sitePassword": "x"}, "sitePassword: none -> (hidden)"),
        ({"apiToken": "x"}, {"apiToken": "y"}, "apiToken: (hidden) -> (hidden)"),
        ({}, {"rsync_env": "RSYNC_PASSWORD=x"}, "rsync_env: none -> (hidden)"),
        ({}, {"url": "ssh://me:secret@host/p"}, 'url: none -> "ssh://(hidden)@host/p"'),
    ],
)
def test_a_change_is_told_without_its_secrets(old: dict[str, Any], new: dict[str, Any], text: str) -> None:
    assert told(old, new) == text


def test_long_values_are_cut() -> None:
    assert len(told({}, {"a": "x" * 10_000})) < 120
    assert len(told({}, {f"k{n}": n for n in range(1000)})) <= 2000


def row(before: Element | None, after: Element | None) -> AuditRow | None:
    return _row(ANNA, 5, before, after)


def test_plain_documents_and_files_without_destinations_make_no_row() -> None:
    assert row(None, Element("x", {"a": 1})) is None
    assert row(Element("x", {"a": 1}), Element("x", {"a": 2})) is None
    assert row(None, Element("/a", {"origin": "paris", "file_size": 5})) is None
    assert row(Element("/a", {"sync_rome": True, "n": 1}), Element("/a", {"sync_rome": True, "n": 2})) is None
    assert row(Element("x", {"sync_rome": True}), None) is None


def test_destinations_sites_and_globals_make_one() -> None:
    found = row(Element("/a", {"syncEverywhere": True}), Element("/a", {"sync_rome": False}))
    assert found == AuditRow(
        5, "anna", "destination changed", "/a", "syncEverywhere: true -> none, sync_rome: none -> false", "192.0.2.1"
    )
    site = Element("sites/rome", {"class": "volume", "name": "rome"})
    assert [each and each.what for each in (row(None, site), row(site, None))] == ["site added", "site removed"]
    became = row(Element("sites/rome", {}), site)
    assert became is not None and became.what == "site changed"
    globals_ = Element("rsyncGlobalParameters", {"enableScans": True})
    changed = row(globals_, Element("rsyncGlobalParameters", {"enableScans": False}))
    assert changed is not None and changed.text == "enableScans: true -> false"


async def test_agents_make_no_rows(service: Service, agents: dict[str, Agent]) -> None:
    start = (await service.call(ADMIN, AUDIT, AuditAsked())).entries[-1].seq
    paris = agents["paris"]
    await paris.announce(seen("/a.txt", "x"), seen("/b.txt", "y"))
    for agent in agents.values():
        await agent.work()
    await paris.ask(REPORT, Report("paris", {"last_scan": 5}))
    await service.call(ADMIN, CREATE, Items([{"_id": f"d{n}"} for n in range(50)]))
    await service.call(ADMIN, UPDATE, Items([{"_id": f"d{n}", "n": n} for n in range(50)]))
    await service.call(ADMIN, PUBLISH, Items([{"_id": "/p", "comment": "", "origin": "paris"}]))
    assert (await service.call(ADMIN, AUDIT, AuditAsked(start))).entries == []
    await service.call(ADMIN, JOIN_TOKEN, Named("paris"))
    [made] = (await service.call(ADMIN, AUDIT, AuditAsked(start))).entries
    assert (made.what, made.subject) == ("token made", "agent:paris")
