"""The keys that searches find by index, which an admin adds to while the tracker runs.

Owns: the verbs for them, and whether an index serves a query. Must not know: HTTP, how an index is kept.
"""

from __future__ import annotations

from everysite.decide.query import And, Equals, OneOf, Or, Predicate
from everysite.errors import BadRequest, NotFound
from everysite.tracker.core import Core
from everysite.tracker.messages import Nothing
from everysite.tracker.operation import Caller
from everysite.tracker.others import INDEXES
from everysite.tracker.search_messages import Indexes, IndexKey

_LONGEST = 200  # characters of a path
_MOST = 32  # each one makes every write of an element that has the key slower


class IndexVerbs:
    """Which keys are indexed. What was read stays true until one of the processes on this index changes it and says so."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: frozenset[str] | None = None

    async def indexes(self, caller: Caller, asked: Nothing) -> Indexes:
        return Indexes(sorted(await self._keys()))

    async def add_index(self, caller: Caller, asked: IndexKey) -> Indexes:
        """Building it takes about a second for a million elements; reading goes on meanwhile, writing waits.

        Raises BadRequest for what is no key.
        """
        key = _checked(asked.key)
        known = await self._keys()
        if key not in known:
            if len(known) >= _MOST:
                raise BadRequest(f"there are {len(known)} indexes; remove one first: everysite index remove KEY")
            await self._core.index.run(lambda tx: tx.elements.add_index(key), "bulk")
            self._changed()
        return Indexes(sorted(await self._keys()))

    async def remove_index(self, caller: Caller, asked: IndexKey) -> Indexes:
        """Raises NotFound when it is none of those an admin added."""
        self.look_again()
        dropped = await self._core.index.run(lambda tx: tx.elements.drop_index(asked.key), "bulk")
        self._changed()
        if not dropped:
            raise NotFound(f"there is no index of {asked.key!r} that was added; see: everysite index list")
        return Indexes(sorted(await self._keys()))

    async def serve(self, where: Predicate) -> bool:
        """Whether an index leads to all that can match, so that few rows are read."""
        return _led(where, await self._keys())

    def look_again(self) -> None:
        """Forget which there are."""
        self._known = None

    def _changed(self) -> None:
        self.look_again()
        self._core.tell([INDEXES])

    async def _keys(self) -> frozenset[str]:
        if self._known is None:
            self._known = frozenset(await self._core.index.read(lambda tx: tx.elements.indexed())) | {"_id"}
        return self._known


def _led(where: Predicate, known: frozenset[str]) -> bool:
    if isinstance(where, And):
        return any(_led(part, known) for part in where.parts)
    if isinstance(where, Or):
        return all(_led(part, known) for part in where.parts)
    if isinstance(where, OneOf):
        return where.path in known and None not in where.values
    return isinstance(where, Equals) and where.path in known and where.value is not None


def _checked(key: str) -> str:
    if not key or len(key) > _LONGEST or any(part == "" or part.startswith("$") for part in key.split(".")):
        raise BadRequest(f"{key[:50]!r} is no key; an index is of one key, or of keys joined by dots")
    return key
