"""Graphs: from elements along the links between them.

Owns: the walk, level by level, and what of it the caller sees. Must not know: HTTP, SQL.

A link is an element with the identifiers of two others, `src_id` and `tgt_id`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from everysite.errors import BadRequest
from everysite.index.contract import Transaction
from everysite.model.element import Body, Element
from everysite.tracker.core import Core
from everysite.tracker.identifiers import identifier
from everysite.tracker.operation import Caller
from everysite.tracker.search_messages import Graph, GraphAsked, Reached
from everysite.tracker.sight import Sight, sight
from everysite.tracker.states import compose

T = TypeVar("T")
Side = Literal["src_id", "tgt_id"]
_OTHER: dict[Side, Side] = {"src_id": "tgt_id", "tgt_id": "src_id"}


class GraphVerbs:
    """The verbs that follow links. They raise BadRequest, TooLarge, TooCostly, and nothing for what is missing."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def graph(self, caller: Caller, asked: GraphAsked) -> Graph:
        """Backwards, to the sources of links: whole elements."""
        return await self._from(caller, asked, "tgt_id", _whole)

    async def backwards(self, caller: Caller, asked: GraphAsked) -> Reached:
        """To the sources of links."""
        return await self._from(caller, asked, "tgt_id", _names)

    async def forwards(self, caller: Caller, asked: GraphAsked) -> Reached:
        """To the targets of links."""
        return await self._from(caller, asked, "src_id", _names)

    async def _from(self, caller: Caller, asked: GraphAsked, near: Side, told: Callable[[Transaction, Walk], T]) -> T:
        if not asked.ids:
            raise BadRequest("nothing to start from; name at least one element")
        self._core.cap(len(asked.ids), "identifiers")
        keys = [identifier(key) for key in asked.ids]
        limits, view = self._core.limits, sight(caller, self._core.limits)

        def unit(tx: Transaction) -> T:
            return told(tx, Walk(tx, view, limits.graph).go(keys, asked.depth, near))

        async with self._core.turns.of(caller.username or caller.address):
            return await self._core.index.read(unit, scan=True, seconds=limits.search_s)


class Walk:
    """One walk. `nodes` are identifiers in the order found, those asked for first; `links` by identifier, as found.

    `truncated`: the bound of elements and links together, when it ended the walk; else 0.
    """

    def __init__(self, tx: Transaction, view: Sight, bound: int) -> None:
        self._tx, self.view, self._bound = tx, view, bound
        self.nodes: dict[str, None] = {}
        self.links: dict[str, Element] = {}
        self.truncated = 0

    def go(self, keys: Sequence[str], depth: int, near: Side) -> Walk:
        """From these elements, which links name at their `near` side, so many levels far; 0 or less: to the end."""
        self.nodes = dict.fromkeys(keys)
        level, left = list(self.nodes), depth if depth > 0 else -1
        while level and left and not self.truncated:
            level = self._step(level, near)
            left -= 1
        return self

    def _step(self, level: Sequence[str], near: Side) -> list[str]:
        found = self._tx.elements.links(near, level, self._bound + 1)
        before = len(self.nodes)
        for link in found:
            other = link.body.get(_OTHER[near])
            if not isinstance(other, str) or not self.view.sees(link):
                continue
            if len(self.nodes) + len(self.links) + 1 + (other not in self.nodes) > self._bound:
                self.truncated = self._bound
                break
            self.links[link.key] = link
            self.nodes.setdefault(other)
        if len(found) > self._bound:
            self.truncated = self._bound
        return list(self.nodes)[before:]


def _whole(tx: Transaction, walk: Walk) -> Graph:
    found = _seen(tx, walk)
    links = [link for link in walk.links.values() if link.key not in walk.nodes]
    items: list[Body | None] = compose(tx, [*found, *links])
    return Graph(items, walk.truncated)


def _names(tx: Transaction, walk: Walk) -> Reached:
    keys = [element.key for element in _seen(tx, walk) if element is not None]
    return Reached([*keys, *(key for key in walk.links if key not in walk.nodes)], walk.truncated)


def _seen(tx: Transaction, walk: Walk) -> list[Element | None]:
    found = tx.elements.get(list(walk.nodes))
    return [element if element is not None and walk.view.sees(element) else None for element in found]
