"""Searches: both query languages, the first of those found, and what changed since a moment.

Owns: reading a query, what of it the caller sees, where it is carried out and for how long.
Must not know: HTTP, how the index finds anything, how a query is spelled.
"""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec.structs import replace

from everysite.decide import query_mongo, query_text
from everysite.decide.query import ChangedSince, Compare, Found, Predicate, Search, both
from everysite.index.contract import Transaction
from everysite.tracker.core import Core
from everysite.tracker.indexes import IndexVerbs
from everysite.tracker.messages import Ids, Query
from everysite.tracker.operation import Caller
from everysite.tracker.search_messages import ChangedAsked, MongoFound, MongoQuery, One, Page
from everysite.tracker.sight import Sight, sight
from everysite.tracker.states import compose


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
        view = self._view(caller)
        query = Search(both(self._parsed(asked.query), view.where), limit=1)
        limits, scan = self._core.limits, not await self._indexes.serve(query.where)
        return await self._core.index.read(lambda tx: _first(tx, query), scan, limits.search_s)

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
        """What a query finds for this caller. What no index serves is looked for beside the event loop."""
        query = replace(query, where=both(query.where, self._view(caller).where))
        scan = not await self._indexes.serve(query.where)
        return await self._core.index.read(
            lambda tx: tx.elements.find(query, counted), scan, self._core.limits.search_s
        )

    def _view(self, caller: Caller) -> Sight:
        return sight(caller, self._core.limits)

    def _parsed(self, text: str) -> Predicate:
        return query_text.parse(text, self._core.limits.lone_words, self._core.clock())


def _first(tx: Transaction, query: Search) -> One:
    [body] = compose(tx, tx.elements.get(tx.elements.find(query).keys)) or [None]
    return One(body)
