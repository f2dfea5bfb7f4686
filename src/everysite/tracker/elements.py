"""The verbs of elements: create, read, update, upsert, delete, publish, comment, version, lock, unlock.

Owns: each request as one unit of work, and what starts when it is durable. Must not know: HTTP, what a verb stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from everysite.index.contract import Transaction
from everysite.model.element import Body
from everysite.tracker import comments, locks, publish, update, versions
from everysite.tracker.access import Access
from everysite.tracker.core import Core
from everysite.tracker.create import create
from everysite.tracker.identifiers import Keyed, identifier, keyed, newly_keyed
from everysite.tracker.messages import Ids, Items, NewVersion, Published, Upserted
from everysite.tracker.operation import Caller
from everysite.tracker.remove import remove, remove_with_links
from everysite.tracker.sight import sight
from everysite.tracker.sites import SiteVerbs
from everysite.tracker.special import new_id
from everysite.tracker.states import compose
from everysite.tracker.upsert import upsert
from everysite.tracker.users import UserElements
from everysite.tracker.writing import Writing

T = TypeVar("T")


class ElementVerbs:
    """Each request is one unit of work with a result per item: None for what is missing or refused.

    All raise BadRequest, Forbidden, TooLarge with nothing stored; Conflict where the verb's own module says so.
    """

    def __init__(self, core: Core, sites: SiteVerbs, access: Access, users: UserElements) -> None:
        self._core, self._sites, self._access, self._users = core, sites, access, users

    async def read(self, caller: Caller, asked: Ids) -> Items:
        keys = self._keys(asked)
        view = sight(caller, self._core.limits)

        def unit(tx: Transaction) -> list[Body | None]:
            found = tx.elements.get(keys)
            return compose(tx, [e if e is not None and view.sees(e) else None for e in found])

        return Items(await self._core.index.read(unit))

    async def create(self, caller: Caller, asked: Items) -> Items:
        items, kept = await self._users.take_passwords(caller, self._new(caller, asked))
        return Items(await self._write(caller, lambda writing: create(writing, items), kept))

    async def upsert(self, caller: Caller, asked: Items) -> Upserted:
        items, kept = await self._users.take_passwords(caller, self._new(caller, asked, null_text=True))
        return await self._write(caller, lambda writing: upsert(writing, items), kept)

    async def update(self, caller: Caller, asked: Items) -> Items:
        asked_for = self._capped(keyed(asked.items))
        update.check(asked_for)
        items, kept = await self._users.take_passwords(caller, asked_for)
        return Items(await self._write(caller, lambda writing: update.update(writing, items), kept))

    async def delete(self, caller: Caller, asked: Ids) -> Ids:
        keys = self._keys(asked)
        return Ids(await self._write(caller, lambda writing: remove(writing, keys)))

    async def graph_delete(self, caller: Caller, asked: Ids) -> Ids:
        keys = self._keys(asked)
        return Ids(await self._write(caller, lambda writing: remove_with_links(writing, keys)))

    async def publish(self, caller: Caller, asked: Items) -> Published:
        publish.check(asked.items)
        items = self._capped(keyed(asked.items))
        return await self._write(caller, lambda writing: publish.publish(writing, items))

    async def comment(self, caller: Caller, asked: Items) -> Items:
        items = self._capped(comments.on_parents(asked.items))
        return Items(await self._write(caller, lambda writing: comments.comment(writing, items)))

    async def version(self, caller: Caller, asked: NewVersion) -> Body:
        versions.check(asked.keys)
        key = identifier(asked.id)
        return await self._write(caller, lambda writing: versions.version(writing, key, asked.keys))

    async def lock(self, caller: Caller, asked: Ids) -> Items:
        keys = self._keys(asked)
        return Items(await self._write(caller, lambda writing: locks.lock(writing, keys)))

    async def unlock(self, caller: Caller, asked: Ids) -> Items:
        keys = self._keys(asked)
        return Items(await self._write(caller, lambda writing: locks.unlock(writing, keys)))

    def _keys(self, asked: Ids) -> list[str]:
        self._core.cap(len(asked.ids), "identifiers")
        return [identifier(key) for key in asked.ids]

    def _new(self, caller: Caller, asked: Items, null_text: bool = False) -> list[Keyed]:
        make = new_id if caller.administers else None
        return self._capped(newly_keyed(asked.items, self._core.limits.id_pattern, make, null_text))

    def _capped(self, items: Iterable[Keyed]) -> list[Keyed]:
        """The items, of which no more are unfolded than one request may have."""
        found = list(islice(items, self._core.limits.batch + 1))
        self._core.cap(len(found), "elements")
        return found

    async def _write(self, caller: Caller, verb: Callable[[Writing], T], kept: dict[str, str] | None = None) -> T:
        """Carry a verb out in one unit, then start what follows: work at sites, events, a new configuration."""
        core, now = self._core, self._core.clock()

        def unit(tx: Transaction) -> tuple[Writing, T]:
            writing = Writing(tx, caller, now, core.limits, self._users, kept)
            return writing, verb(writing)

        writing, answer = await core.index.run(unit)
        if writing.woken:
            core.wakes.wake(writing.woken)
        self._users.settled()
        if writing.access_changed:
            self._access.forget()
        for told in writing.told:
            core.events.tell(told.created, told.updated, told.removed)
        if writing.revision:
            core.reconfigured(writing.revision)
            await self._sites.plan_all()
        return answer
