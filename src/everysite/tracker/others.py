"""The other processes that have the same index open: telling them what they cannot know, and hearing it from them.

Owns: the words processes tell each other, what each one leads to, what is looked up again every second.
Must not know: how words travel, HTTP.

Words get lost when the database restarts or a process dies: whatever matters is looked up as well, every second (tokens,
the configuration) or every ten (work, presence, addresses). Alone on its index, a process does none of this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from everysite.errors import EverysiteError
from everysite.index.contract import Topic, Transaction
from everysite.tracker.core import REVISION, Core

TOKENS, INDEXES = "tokens", "indexes"  # something about them has changed
_WHO = "who"  # somebody has come and asks for all that is told every ten seconds
_SEEN, _GONE, _ASKED, _AT = "seen", "gone", "asked", "at"  # followed by a site, or a process and more
_EVERY_S = 1.0
_REPEAT_MS = 10_000
_RECLAIM = "reclaim"  # fact: which process gives expired work back, and until when
_OFFICE_MS = 10_000

_log = logging.getLogger(__name__)


class Others:
    """One a process. `forget`: what to do when a word like TOKENS is heard, and every second for TOKENS."""

    def __init__(self, core: Core, forget: dict[str, Callable[[], None]]) -> None:
        self._core, self._forget = core, forget
        self._told: dict[str, int] = {}  # site -> ms of the call that was told last
        self._heard: dict[str, int] = {}  # site -> ms of the last call elsewhere
        self._address = ""
        self._address_told = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaf: Callable[[], None] | None = None

    def start(self) -> None:
        """Follow the others from now on, if there can be any."""
        core = self._core
        if not core.index.shared:
            return
        self._deaf = core.index.hear(self._hear)
        core.wakes.tell = core.tell = core.index.tell
        core.broker.ask = self._ask
        core.tell([_WHO])
        self._spawn(self._follow())

    async def stop(self) -> None:
        if self._deaf is not None:
            self._deaf()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def met_at(self, host: str, fingerprint: str, url: str) -> None:
        """Where this process is reached by others: those of the machine `host`, or all ('*')."""
        self._address = f"{_AT} {self._core.broker.process} {host} {fingerprint or '-'} {url}"
        self._core.tell([_WHO])  # what was told before is known to nobody here
        self._address_told = 0

    def _ask(self, site: str) -> None:
        """With our address: who has just come may not know it."""
        asked = f"{_ASKED} {self._core.broker.process} {site}"
        self._core.tell([self._address, asked] if self._address else [asked])

    async def in_office(self) -> bool:
        """Whether the schedules are this process's business just now. Two may think so for a moment, and do no harm."""
        core = self._core
        if not core.index.shared:
            return True
        now, me = core.clock(), core.broker.process
        who, until = _office(await core.index.read(lambda tx: tx.meta(_RECLAIM)))
        if until > now and (who != me or until - now > _OFFICE_MS // 2):
            return who == me

        def unit(tx: Transaction) -> bool:
            who, until = _office(tx.meta(_RECLAIM))
            if who != me and until > now:
                return False
            tx.set_meta(_RECLAIM, f"{me} {now + _OFFICE_MS}")
            return True

        return await core.index.run(unit, "bulk")

    # --- hearing ---

    def _hear(self, topics: frozenset[Topic]) -> None:
        if not topics:  # something may have been missed
            self._forget[TOKENS]()
            self._forget[INDEXES]()
            self._core.wakes.wake_all()
            self._spawn(self._look())
        self._core.wakes.heard(topic for topic in topics if isinstance(topic, int))
        for topic in topics:
            if isinstance(topic, str):
                self._word(topic)

    def _word(self, text: str) -> None:
        core = self._core
        word, _, rest = text.partition(" ")
        if word in self._forget:
            self._forget[word]()
        elif word == REVISION:
            self._spawn(self._look())
        elif word == _SEEN:
            core.last_call[rest] = self._heard[rest] = core.clock()
        elif word == _GONE:
            core.last_call.pop(rest, None)
        elif word == _ASKED:
            process, _, site = rest.partition(" ")
            core.broker.asked_elsewhere(process, site)
        elif word == _AT and core.broker.peers is not None:
            process, host, fingerprint, url = rest.split(" ", 3)
            core.broker.peers.known(process, host, fingerprint.strip("-"), url)
        elif word == _WHO:
            self._told, self._address_told = {}, 0

    async def _look(self) -> None:
        """Whether the configuration is another one."""
        core = self._core
        try:
            revision = int(await core.index.read(lambda tx: tx.meta(REVISION)) or 0)
        except EverysiteError as err:
            _log.info("the configuration is looked up again soon: %s", err)
            return
        if revision > core.revision:
            core.revision = revision
            core.wakes.heard([REVISION])

    # --- telling ---

    async def _follow(self) -> None:
        while True:
            self._forget[TOKENS]()
            self._core.tell(self._news())
            await self._look()
            await asyncio.sleep(_EVERY_S)

    def _news(self) -> Iterable[Topic]:
        now, found = self._core.clock(), []
        for site, at in self._core.last_call.items():
            if at > self._heard.get(site, 0) and at >= self._told.get(site, 0) + _REPEAT_MS:
                self._told[site] = at
                found.append(f"{_SEEN} {site}")
        if self._address and now >= self._address_told + _REPEAT_MS:
            self._address_told = now
            found.append(self._address)
        return found

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="others")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def gone(site: str) -> list[Topic]:
    """The word that a site's agent has left."""
    return [f"{_GONE} {site}"]


def _office(fact: str | None) -> tuple[str, int]:
    who, _, until = (fact or "").partition(" ")
    return who, int(until or 0)
