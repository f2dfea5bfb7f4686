"""A mapping that this agent holds: taken, renewed, and known to be lost in time.

Owns: the epoch, the renewals, and until when anything may be published under them.
Must not know: what is done while it is held.

The agent trusts its own monotonic clock alone: a hold counts from the moment it was *asked* for, so it always ends
here before it ends at the tracker, and a worker cut off from the tracker stops publishing by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from everysite.agent.link import Link
from everysite.errors import EverysiteError, StaleLease, Transient
from everysite.tracker.agent_messages import Hold, Holds, LetGo
from everysite.tracker.contract import HOLD, LET_GO

_log = logging.getLogger(__name__)
_RETRY = 1.0  # s between two tries to renew or take
_TAKEN = 5.0  # s between two tries while another agent holds it


class Holder:
    """Keeps one mapping held for as long as `keep` runs."""

    def __init__(self, link: Link, mapping: int, holder: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.mapping = mapping
        self.epoch = 0
        self.history = ""  # of the tracker, as it was when the mapping was taken
        self.problem = ""
        self._link, self._holder, self._clock = link, holder, clock
        self._until = 0.0
        self._valid_s = 30.0
        self._leases: set[int] = set()
        self._held = asyncio.Event()
        self._hurry = asyncio.Event()

    @property
    def valid(self) -> bool:
        """Whether something may be published now."""
        return self._held.is_set() and self._clock() < self._until

    async def held(self) -> int:
        """The epoch, as soon as the mapping is held."""
        while not self.valid:
            self._held.clear()
            self._hurry.set()
            await self._held.wait()
        return self.epoch

    def show(self, lease: int, epoch: int) -> None:
        """Raises StaleLease when this lease may not be used (any longer)."""
        if lease not in self._leases or epoch != self.epoch or not self.valid:
            raise StaleLease(f"lease {lease} is over; what it was for is given out again")

    def open(self, lease: int) -> None:
        """Renew this lease too, from now on."""
        self._leases.add(lease)

    def close(self, lease: int) -> None:
        """This lease is settled."""
        self._leases.discard(lease)

    def lose(self, epoch: int) -> None:
        """The tracker refused this epoch: take the mapping anew."""
        if epoch == self.epoch:
            self._drop()
            self._hurry.set()

    async def keep(self) -> None:
        """Take the mapping and renew it until cancelled."""
        while True:
            wait = await (self._renew() if self.epoch else self._take())
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), wait)

    async def let_go(self) -> None:
        """Give it back; who waits for it can go on at once. Never raises: it runs out by itself too."""
        epoch, self.epoch = self.epoch, 0
        self._held.clear()
        if epoch:
            with contextlib.suppress(EverysiteError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._link.call(LET_GO, LetGo(self.mapping, epoch))

    async def _take(self) -> float:
        asked = self._clock()
        try:
            holds = await self._link.call(HOLD, Hold(self.mapping, self._holder))
        except Transient as err:
            self.problem = str(err)
            return _RETRY
        except EverysiteError as err:
            if self.problem != str(err):
                _log.warning("%s", err)
            self.problem = str(err)
            return _TAKEN
        self._take_in(asked, holds)
        return self._valid_s / 3

    async def _renew(self) -> float:
        asked, epoch = self._clock(), self.epoch
        leases = sorted(self._leases)
        try:
            async with asyncio.timeout(max(1.0, self._until - asked)):
                holds = await self._link.call(HOLD, Hold(self.mapping, self._holder, epoch, leases))
        except (Transient, TimeoutError) as err:
            if self._clock() >= self._until:
                self._drop()
                return 0
            self.problem = str(err)
            return _RETRY
        except EverysiteError as err:
            _log.info("mapping %d has to be taken again: %s", self.mapping, err)
            self._drop()
            return 0
        if epoch == self.epoch:  # nobody dropped it meanwhile
            self._leases -= set(holds.lost)
            self._take_in(asked, holds)
        return self._valid_s / 3

    def _take_in(self, asked: float, holds: Holds) -> None:
        self.problem = ""
        self.epoch = holds.epoch
        self.history = holds.history or self.history
        self._valid_s = holds.valid_ms / 1000
        self._until = asked + self._valid_s
        self._held.set()

    def _drop(self) -> None:
        self.epoch = 0
        self._until = 0.0
        self._leases.clear()
        self._held.clear()
