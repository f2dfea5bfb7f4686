"""How a file stands at a site."""

from __future__ import annotations

from typing import Any

import pytest

from everysite.decide.at_site import Standing, stands
from everysite.model.element import Element
from everysite.model.replica import Replica
from everysite.model.site import Site

PARIS = Site("paris", "paris", id=1)
GOOD = Replica(9, 1, gen=2, synced=5)
ELSEWHERE = Replica(9, 2, gen=2, synced=5)
WORDS: tuple[Standing, ...] = ("missing", "outdated", "only", "error", "current")


def said(*rows: Replica, everywhere: bool = True, home: int = 2, key: str = "/a", **body: Any) -> set[str]:
    element = Element(key, body, gen=2, id=9, origin=home)
    return {word for word in WORDS if stands(word, element, PARIS, rows, everywhere)}


def here(**fields: Any) -> Replica:
    return Replica(**{"element": 9, "site": 1, "gen": 2, "synced": 5} | fields)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], {"missing"}),
        ([ELSEWHERE], {"missing"}),
        ([GOOD], {"current", "only"}),
        ([GOOD, ELSEWHERE], {"current"}),
        ([GOOD, Replica(9, 2, gen=1, synced=5)], {"current", "only"}),
        ([here(gen=1)], {"outdated"}),
        ([here(gen=1, error=23, attempted=6)], {"outdated", "error"}),
        ([here(error=23, attempted=4)], {"current", "only"}),
        ([here(synced=0, gen=0, error=11, attempted=1)], {"missing", "error"}),
        ([here(modified=7)], set()),
        ([here(modified=7, synced=0)], set()),
        ([here(deleted=7)], set()),
        ([here(deleted=7, gen=1)], {"missing"}),
    ],
)
def test_the_words_for_a_copy(rows: list[Replica], words: set[str]) -> None:
    assert said(*rows) == words


@pytest.mark.parametrize(
    ("body", "everywhere", "missing"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"syncEverywhere": False}, True, False),
        ({"syncEverywhere": "1"}, False, True),
        ({"sync_paris": True, "syncEverywhere": False}, False, True),
        ({"sync_paris": "false"}, True, False),
        ({"sync_paris": "perhaps"}, True, True),
        ({"origin": "PARIS"}, True, False),
        ({"deletedEverywhere": 5}, True, False),
        ({"deletedEverywhere": 0}, True, True),
    ],
)
def test_missing_is_only_what_is_wanted(body: dict[str, Any], everywhere: bool, missing: bool) -> None:
    assert said(everywhere=everywhere, **body) == ({"missing"} if missing else set())


def test_nothing_is_missing_at_its_origin_or_when_it_is_no_file() -> None:
    assert said(home=1) == set()
    assert said(key="a") == set()
