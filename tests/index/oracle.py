"""Searches compared with the exact rule.

Owns: the answer `decide` gives over the same documents, and an index that serves many examples.
Must not know: any engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from everysite.decide.at_site import stands
from everysite.decide.query import AtSite, Found, Search
from everysite.decide.query_match import matches, sort_value
from everysite.index.contract import Index, Transaction
from everysite.model.clock import Version
from everysite.model.element import Body, Element, Tombstone
from everysite.tracker.states import compose

T = TypeVar("T")


def element(key: str, body: Body | None = None, **more: Any) -> Element:
    return Element(key, body or {}, Version(1, 0), **more)


def expected(tx: Transaction, search: Search, counted: bool, everywhere: bool = True) -> Found:
    """The exact rule, over all documents as clients see them."""
    elements = tx.elements.where([], 1_000_000)
    seen: Sequence[Body | None] = compose(tx, elements)
    rows = tx.replicas.of([e.id for e in elements])
    sites = {site.folded: site for site in tx.sites.all()}
    found = []
    for one, body in zip(elements, seen, strict=True):
        assert body is not None

        def at_site(question: AtSite, one: Element = one) -> bool:
            site = sites.get(question.site.lower())
            return site is not None and stands(question.state, one, site, rows.get(one.id, []), everywhere)

        if matches(search.where, body, at_site):
            found.append(body)
    for path, direction in reversed(search.sort):
        found.sort(key=lambda body, p=path, d=direction: sort_value(body, p, d), reverse=direction == -1)  # type: ignore[misc]
    there = [str(body["_id"]) for body in found]
    return Found(there[search.skip :][: search.limit or None], len(there) if counted else None)


class Bench:
    """An index for many examples, emptied between them."""

    def __init__(self, runner: asyncio.Runner, index: Index) -> None:
        self._runner = runner
        self._index = index

    def run(self, unit: Callable[[Transaction], T]) -> T:
        return self._runner.run(self._index.run(unit))

    def read(self, unit: Callable[[Transaction], T]) -> T:
        return self._runner.run(self._index.read(unit))

    def fill(self, documents: Sequence[Element]) -> list[Element]:
        def unit(tx: Transaction) -> list[Element]:
            tx.elements.bury([Tombstone(e.key, Version(1, 0)) for e in tx.elements.where([], 1_000_000)])
            return tx.elements.put(documents)

        return self.run(unit)

    def agree(self, search: Search, counted: bool, everywhere: bool = True) -> None:
        def unit(tx: Transaction) -> None:
            assert tx.elements.find(search, counted) == expected(tx, search, counted, everywhere)

        self.read(unit)
