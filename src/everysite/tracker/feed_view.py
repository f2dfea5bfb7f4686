"""Which changes somebody is told.

Owns: the filters of the feed: what a caller sees, a prefix, a query. Must not know: where changes come from.

Of what is gone only the identifier is left. Who sees everything is told of every removal; a token for a prefix of those
below it; in author mode, where nobody can say any more whose it was, nobody but admins and agents.
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from everysite.decide.query import And, AtSite, Member, Not, Or, Predicate
from everysite.decide.query_match import matcher
from everysite.errors import BadRequest
from everysite.tracker.feed_tail import Entry
from everysite.tracker.sight import Sight

_decode = msgspec.json.Decoder(dict).decode


class View:
    """What one caller asked to be told. Raises BadRequest for a question about sites: it takes more than one element."""

    def __init__(self, sight: Sight, prefix: str = "", where: Predicate | None = None) -> None:
        if where is not None and _asks_sites(where):
            raise BadRequest("words about sites (missing@, error@ ...) are for searches; ask the feed by keys")
        self._sight, self._prefix = sight, prefix
        self._matches = matcher(where) if where is not None else None
        who = sight.caller.prefix, sight.own and sight.caller.username
        self.key: Hashable = who, prefix, None if where is None else msgspec.json.encode(where)
        """Views with the same key show the same."""

    def shows(self, entry: Entry) -> bool:
        """Whether this change is for them."""
        if self._prefix and not entry.key.startswith(self._prefix):
            return False
        if not entry.body:
            return shows_removal(self._sight, entry.key)
        if self._sight.where is None and self._matches is None:
            return True
        body = _decode(entry.body)
        return self._sight.shows(body) and (self._matches is None or self._matches(body))


def _asks_sites(where: Predicate) -> bool:
    if isinstance(where, And | Or):
        return any(_asks_sites(part) for part in where.parts)
    return isinstance(where, AtSite) or (isinstance(where, Not | Member) and _asks_sites(where.part))


def shows_removal(sight: Sight, key: str) -> bool:
    """Whether somebody may know that this identifier is gone."""
    return sight.where is None or (not sight.own and sight.covers(key))
