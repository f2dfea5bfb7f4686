"""Searches: both query languages, the first of those found, and what changed since a moment.

Owns: reading a query, what of it the caller sees, where it is carried out and for how long.
Must not know: HTTP, how the index finds anything, how a query is spelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import msgspec
from msgspec.structs import replace

from everysite.decide import query_mongo, query_text
from everysite.decide.query import (
    And,
    AtSite,
    ChangedSince,
    Compare,
    Found,
    Member,
    Not,
    Or,
    Predicate,
    Search,
    both,
)
from everysite.errors import BadRequest, NotFound
from everysite.index.contract import Transaction
from everysite.tracker.core import Core, site_named
from everysite.tracker.indexes import IndexVerbs
from everysite.tracker.messages import Ids, Query
from everysite.tracker.operation import Caller
from everysite.tracker.search_messages import ChangedAsked, MongoFound, MongoQuery, One, Page
from everysite.tracker.sight import sight
from everysite.tracker.states import compose

T = TypeVar("T")


class SearchVerbs:
    """The verbs that find elements. What the caller does not see is not found."""

    def __init__(self, core: Core, indexes: IndexVerbs) -> None:
        self._core = core
        self._indexes = indexes

    async def search(self, caller: Caller, asked: Query) -> Ids:
        """Oldest first. Raises BadRequest for a query that is none, TooCostly."""
        found = await self.find(caller, Search(self._parsed(asked.query), limit=max(0, asked.limit)))
        return Ids(cast("list[str | None]", found.keys))  # as it is: there may be a million

    async def search_one(self, caller: Caller, asked: Query) -> One:
        """The oldest of those the query matches."""
        return await self._ask(caller, Search(self._parsed(asked.query), limit=1), _first)

    async def search_mongo(self, caller: Caller, asked: MongoQuery) -> MongoFound:
        """Raises BadRequest for operators that are not known, broken patterns, and limits that are no numbers."""
        found = await self.find(caller, query_mongo.parse(msgspec.to_builtins(asked)), counted=True)
        return MongoFound(found.count or 0, found.keys)

    async def changed_since(self, caller: Caller, asked: ChangedAsked) -> Page:
        """By identifier, a page at a time."""
        return await self.page(caller, ChangedSince(asked.since), asked.after, asked.limit)

    async def page(self, caller: Caller, where: Predicate, after: str, limit: int) -> Page:
        """What holds, in the order of identifiers, after the identifier `after`; at most a batch."""
        limit = max(1, min(limit, self._core.limits.batch))
        beyond = both(where, Compare("_id", ">", after) if after else None)
        keys = (await self.find(caller, Search(beyond, (("_id", 1),), limit=limit + 1))).keys
        return Page(keys[:limit], keys[limit - 1] if len(keys) > limit else "")

    async def find(self, caller: Caller, query: Search, counted: bool = False) -> Found:
        """What a query finds for this caller. Raises BadRequest for a site that is none, TooCostly."""
        return await self._ask(caller, query, lambda tx, seen: tx.elements.find(seen, counted))

    async def _ask(self, caller: Caller, query: Search, unit: Callable[[Transaction, Search], T]) -> T:
        """Carry out what the caller may see of a query. What no index serves is looked for beside the event loop."""
        seen = replace(query, where=both(query.where, sight(caller, self._core.limits).where))
        names = set(_sites(query.where))

        def checked(tx: Transaction) -> T:
            for name in names:
                _check_site(tx, name)
            return unit(tx, seen)

        index, seconds = self._core.index, self._core.limits.search_s
        if await self._indexes.serve(seen.where):
            return await index.read(checked, seconds=seconds)
        async with self._core.turns.of(caller.username or caller.address):
            return await index.read(checked, scan=True, seconds=seconds)

    def _parsed(self, text: str) -> Predicate:
        return query_text.parse(text, self._core.limits.lone_words, self._core.clock())


def _sites(where: Predicate) -> Iterator[str]:
    """The sites a predicate asks about."""
    if isinstance(where, And | Or):
        for part in where.parts:
            yield from _sites(part)
    elif isinstance(where, Not | Member):
        yield from _sites(where.part)
    elif isinstance(where, AtSite):
        yield where.site


def _check_site(tx: Transaction, name: str) -> None:
    """Nothing is missing at a site that is mistyped, which is not what its asker wants to hear."""
    try:
        site_named(tx, name)
    except NotFound as err:
        raise BadRequest(str(err)) from err


def _first(tx: Transaction, query: Search) -> One:
    [body] = compose(tx, tx.elements.get(tx.elements.find(query).keys)) or [None]
    return One(body)
