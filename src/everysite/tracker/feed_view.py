"""Which changes somebody is told.

Owns: the filters of the feed: what a caller sees, a prefix. Must not know: where changes come from.

Of what is gone only the identifier is left. Who sees everything is told of every removal; a token for a prefix of those
below it; in author mode, where nobody can say any more whose it was, nobody but admins and agents.
"""

from __future__ import annotations

import msgspec

from everysite.tracker.feed_tail import Entry
from everysite.tracker.sight import Sight

_decode = msgspec.json.Decoder(dict).decode


class View:
    """What one caller asked to be told."""

    def __init__(self, sight: Sight, prefix: str = "") -> None:
        self._sight, self._prefix = sight, prefix

    def shows(self, entry: Entry) -> bool:
        """Whether this change is for them."""
        if self._prefix and not entry.key.startswith(self._prefix):
            return False
        if not entry.body:
            return shows_removal(self._sight, entry.key)
        return self._sight.where is None or self._sight.shows(_decode(entry.body))


def shows_removal(sight: Sight, key: str) -> bool:
    """Whether somebody may know that this identifier is gone."""
    return sight.where is None or (not sight.own and sight.covers(key))
