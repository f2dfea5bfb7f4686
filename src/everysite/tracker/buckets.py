"""How often somebody may do something: token buckets.

Owns: the count of one kind of thing by whoever does it, in bounded memory. Must not know: what is counted, sign-ins, HTTP.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

_MINUTE_MS = 60_000
_REMEMBERED = 20_000  # doers; who has not come for longest is forgotten first, as if they were new


class Buckets:
    """Each doer has a bucket that holds `per_minute` and fills at that rate; 0: no limit. Times are ms."""

    def __init__(self, per_minute: int) -> None:
        self._full = float(per_minute)
        self._buckets: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def take(self, who: Hashable, now: int) -> int:
        """Take one; 0, or, when there is none, the ms until there is."""
        if not self._full:
            return 0
        left = self._level(who, now)
        if left < 1:
            return round((1 - left) * _MINUTE_MS / self._full) + 1
        self._put(who, left - 1, now)
        return 0

    def wait(self, who: Hashable, now: int) -> int:
        """What `take` would answer, without taking."""
        left = self._level(who, now) if self._full else 1
        return 0 if left >= 1 else round((1 - left) * _MINUTE_MS / self._full) + 1

    def give_back(self, who: Hashable, now: int) -> None:
        """It did not count after all."""
        if self._full:
            self._put(who, min(self._full, self._level(who, now) + 1), now)

    def _level(self, who: Hashable, now: int) -> float:
        left, then = self._buckets.get(who, (self._full, now))
        return min(self._full, left + max(0, now - then) * self._full / _MINUTE_MS)

    def _put(self, who: Hashable, left: float, now: int) -> None:
        self._buckets[who] = (left, now)
        self._buckets.move_to_end(who)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
