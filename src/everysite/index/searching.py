"""What carrying a search out needs on either engine.

Owns: a row that is looked at, the part of an answer that is asked for, what a predicate mentions. Must not know: SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from everysite.decide.query import And, AtSite, Member, Not, Or, Predicate, Search
from everysite.model.element import Body

_MOST = 2**63 - 1

Rank = tuple[tuple[Any, ...], int]


@dataclass(slots=True)
class Row:
    """A candidate. `body` is as clients see it, as far as this search asks for its keys; None: it matches for certain."""

    key: str
    body: Body | None
    answers: dict[AtSite, bool]


@dataclass(frozen=True, slots=True)
class Down:
    """A sort value that comes the earlier the greater it is."""

    value: Any

    def __lt__(self, other: Down) -> bool:
        return bool(other.value < self.value)


def part(search: Search) -> tuple[int, int]:
    """(skip, limit) that the engine can take; limit -1: all."""
    return min(max(0, search.skip), _MOST), min(search.limit, _MOST) if search.limit > 0 else -1


def mentioned(node: Predicate) -> tuple[set[str], list[AtSite]]:
    """Paths from the document on, and the questions about sites."""
    paths: set[str] = set()
    questions: dict[AtSite, None] = {}
    waiting: list[tuple[Predicate, bool]] = [(node, True)]
    while waiting:
        node, outside = waiting.pop()
        match node:
            case And(parts) | Or(parts):
                waiting += [(part, outside) for part in parts]
            case Not(part):
                waiting.append((part, outside))
            case AtSite():
                questions[node] = None
            case Member(path, part):
                paths |= {path} if outside else set()
                waiting.append((part, False))
            case _:
                paths |= {getattr(node, "path", "time")} if outside else set()
    return paths, list(questions)
