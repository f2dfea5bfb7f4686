"""Telling waiting calls that there is something for them.

Owns: who waits for which topic in this process. Must not know: what a topic means, or how other processes hear of it
(`tell` does).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from everysite.index.contract import Topic


class Wakes:
    """Topics with a generation number each: a wake between looking and waiting is never missed."""

    def __init__(self) -> None:
        self._generation: dict[Topic, int] = {}
        self._waiting: dict[Topic, set[asyncio.Future[None]]] = {}
        self._closed = False
        self.tell: Callable[[Iterable[Topic]], None] | None = None  # the other processes

    def generation(self, topic: Topic) -> int:
        """Remember this before looking for work; hand it to `wait` afterwards."""
        return self._generation.get(topic, 0)

    def wake(self, topics: Collection[Topic]) -> None:
        """Everybody who waits for one of these topics looks again, in all processes."""
        self.heard(topics)
        if self.tell is not None and topics:
            self.tell(topics)

    def heard(self, topics: Iterable[Topic]) -> None:
        """The same in this process."""
        for topic in topics:
            self._generation[topic] = self._generation.get(topic, 0) + 1
            for waiter in self._waiting.pop(topic, ()):
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self, seen: dict[Topic, int], seconds: float) -> bool:
        """Until one of the topics has moved on from the generation given here, at most `seconds`. True if one did."""
        if self._closed or seconds <= 0 or any(self.generation(t) != g for t, g in seen.items()):
            return not self._closed
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for topic in seen:
            self._waiting.setdefault(topic, set()).add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return False
        finally:
            for topic in seen:
                self._forget(topic, waiter)
        return not self._closed

    def _forget(self, topic: Topic, waiter: asyncio.Future[None]) -> None:
        waiters = self._waiting.get(topic)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._waiting[topic]

    @property
    def closed(self) -> bool:
        """Whether the process is ending, so that nobody should wait."""
        return self._closed

    def wake_all(self) -> None:
        """Everybody in this process looks again."""
        self.heard(list(self._waiting))

    def close(self) -> None:
        """Nobody waits any longer; for the end of the process."""
        self._closed = True
        self.wake_all()
