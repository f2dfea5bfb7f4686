"""One request that writes: what its unit of work shares, and what follows when it is durable.

Owns: Writing: who writes when, what they see, whose lock keeps them away, what others will be told.
Must not know: any single verb, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from everysite.decide.elements import WhoClass, clean
from everysite.decide.locks import KEY as LOCK
from everysite.decide.locks import holder
from everysite.errors import Conflict
from everysite.index.contract import Transaction
from everysite.model.clock import Version
from everysite.model.element import Body, Element
from everysite.tracker.core import Limits
from everysite.tracker.events import Told
from everysite.tracker.operation import Caller
from everysite.tracker.planning import Planner
from everysite.tracker.sight import sight
from everysite.tracker.users import UserElements


def writes_as(caller: Caller) -> WhoClass:
    """The class whose keys a caller may write. Agents write like editors; what they may call is another matter."""
    return "editor" if caller.rank == "agent" else caller.rank


class Writing:
    """The state of one unit of work. Made anew when an engine repeats the unit.

    `users`: the rules of user elements; `kept`: what is kept of the passwords that came along, by key. After the unit:
    `told` is what others hear,
    `revision` that of the configuration when it was changed (else 0), `access_changed` whether tokens may be void.
    """

    def __init__(
        self,
        tx: Transaction,
        caller: Caller,
        now: int,
        limits: Limits = Limits(),  # noqa: B008  frozen
        users: UserElements | None = None,
        kept: dict[str, str] | None = None,
    ) -> None:
        self.tx, self.caller, self.now, self.limits = tx, caller, now, limits
        self.users, self.kept = users, kept or {}
        self.author = caller.username or caller.address
        self.rank = writes_as(caller)
        self.view = sight(caller, limits)
        self.told: list[Told] = []
        self.revision = 0
        self.access_changed = False
        self._locks_bind = limits.enforce_locks and caller.rank != "admin"
        self._kept_away = ""

    @cached_property
    def version(self) -> Version:
        """Of everything this request writes."""
        return self.tx.stamp(self.now)

    @cached_property
    def planner(self) -> Planner:
        """Made when the first file comes: documents need none."""
        return Planner(self.tx)

    @property
    def woken(self) -> set[int]:
        """Mappings that have new work."""
        return self.planner.woken if "planner" in vars(self) else set()

    def get(self, keys: Sequence[str]) -> list[Element | None]:
        """The elements of these keys as far as the caller sees them."""
        found = self.tx.elements.get(keys)
        if self.view.where is None:
            return found
        return [e if e is not None and self.view.sees(e) else None for e in found]

    def clean(self, body: Body) -> Body:
        """What the caller may write of a body. Where locks bind, they are taken by locking and not by writing the key."""
        kept = clean(body, self.rank)
        if self._locks_bind:
            kept = {key: value for key, value in kept.items() if key.split(".")[0] != LOCK}
        return kept

    def kept_away(self, element: Element) -> bool:
        """Whether somebody else's lock keeps the caller from changing this; remembered for `done`."""
        if not self._locks_bind or holder(element.body) in ("", self.caller.username):
            return False
        self._kept_away = f"{element.key} is locked by {holder(element.body)}; ask them to unlock it"
        return True

    def done(self, answer: Sequence[object]) -> None:
        """Raise Conflict when nothing was done, and a lock was the reason. None stands for what was not done."""
        if self._kept_away and all(each is None for each in answer):
            raise Conflict(self._kept_away)

    def refuse_kept_away(self) -> None:
        """Raise Conflict when a lock was in the way of anything at all."""
        if self._kept_away:
            raise Conflict(self._kept_away)

    def tell(self, created: Sequence[Body] = (), updated: Sequence[Body] = (), removed: Sequence[str] = ()) -> None:
        """What others will hear, in one event each, when it is durable."""
        if created or updated or removed:
            self.told.append(Told(created, updated, removed))
