"""Every example of docs/queries.md finds what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from everysite.decide import query_conditions, query_mongo, query_text
from everysite.decide.query import Predicate
from everysite.decide.query_match import matches

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "queries.md").read_text()
ELEMENTS: list[dict[str, Any]] = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
NOW = 1_795_348_800_000  # 2026-11-22T12:00Z
PEOPLE, PROGRAMS = (
    re.findall(r"^\| `(.+?)` \| (.*?) \|", part, re.MULTILINE) for part in PAGE.split("## For programs")
)


def expected(finds: str) -> list[str]:
    if finds == "all":
        return [element["_id"] for element in ELEMENTS]
    assert finds == "none" or "`" in finds
    return re.findall("`(.+?)`", finds)


def found(predicate: Predicate) -> list[str]:
    return [element["_id"] for element in ELEMENTS if matches(predicate, element)]


@pytest.mark.parametrize(("query", "finds"), PEOPLE)
def test_examples_for_people(query: str, finds: str) -> None:
    assert found(query_text.parse(query, now=NOW)) == expected(finds)


@pytest.mark.parametrize(("query", "finds"), PROGRAMS)
def test_examples_for_programs(query: str, finds: str) -> None:
    assert found(query_mongo.parse({"query": json.loads(query)}).where) == expected(finds)


def test_the_page_has_examples() -> None:
    assert len(PEOPLE) > 10
    assert len(PROGRAMS) > 10
    refused = {"$where", "$function", "$expr"}
    logical = {"$and", "$or", "$nor", "$regex", "$options"}
    assert set(re.findall(r"\$\w+", PAGE)) - refused == logical | set(query_conditions._OPERATORS)
