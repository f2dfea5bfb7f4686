"""Units that wait for the one thread that writes.

Owns: the two lanes, whose turn it is, listeners to commits, answering those who wait. Must not know: transactions, SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from everysite.errors import Cancelled
from everysite.index.contract import Lane, Transaction

GROUP_S = 0.02  # a group commits after this much work, so nobody waits for a stream of others
BULK_S = 0.01  # no further bulk unit joins a group that has worked this long

Listener = tuple[asyncio.AbstractEventLoop, Callable[[], None]]


@dataclass(slots=True, eq=False)
class Job:
    """A unit, and whom to tell. Exactly one of `error` and `result` counts in the end."""

    unit: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class Lanes:
    """What is queued. `name` is what is said to be closed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lanes: dict[Lane, deque[Job]] = {"interactive": deque(), "bulk": deque()}
        self._wake = threading.Condition()
        self._closing = False

    async def run(self, unit: Callable[[Transaction], Any], lane: Lane) -> Any:
        """Raises Cancelled once it is closed."""
        loop = asyncio.get_running_loop()
        job = Job(unit, loop.create_future(), loop)
        with self._wake:
            if self._closing:
                raise Cancelled(f"{self._name}: the index is closed")
            self._lanes[lane].append(job)
            self._wake.notify()
        return await job.future

    def wait(self) -> bool:
        """Until something is queued. False when it is time to end."""
        with self._wake:
            while not any(self._lanes.values()):
                if self._closing:
                    return False
                self._wake.wait()
        return True

    def next(self, worked: float, some: bool) -> Job | None:
        """Who joins a group that has worked so many seconds, `some` of it already in it.

        Interactive before bulk, also when it came while a bulk unit ran. The first unit of a group is never refused.
        """
        interactive, bulk = self._lanes["interactive"], self._lanes["bulk"]
        if interactive and (worked < GROUP_S or not some):
            return interactive.popleft()
        if bulk and (worked < BULK_S or not some):
            return bulk.popleft()
        return None

    def take_all(self) -> list[Job]:
        """What is queued when no transaction can be opened at all: it is told instead of waiting for ever."""
        jobs: list[Job] = []
        for lane in self._lanes.values():
            while lane:
                jobs.append(lane.popleft())
        return jobs

    def close(self) -> None:
        """What is queued is still handed out."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    @property
    def closing(self) -> bool:
        """Whether nothing more is taken."""
        return self._closing


class Listeners:
    """Who is called after a commit, each in its own loop."""

    def __init__(self) -> None:
        self._all: list[Listener] = []

    def add(self, called: Callable[[], None]) -> Callable[[], None]:
        """See the contract's Index.listen."""
        mine = (asyncio.get_running_loop(), called)
        self._all = [*self._all, mine]  # a new list: a thread may be walking the old one
        return lambda: self._forget(mine)

    def _forget(self, listener: Listener) -> None:
        self._all = [each for each in self._all if each is not listener]

    def tell(self) -> None:
        """Queued in each loop before the answers are, so who has its answer knows that listeners were told."""
        for loop, called in self._all:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(called)

    def __bool__(self) -> bool:
        return bool(self._all)


def fail(jobs: Iterable[Job], error: Exception, cause: BaseException) -> None:
    """None of them came about."""
    error.__cause__ = cause
    for job in jobs:
        job.result, job.error = None, error


def answer(jobs: Iterable[Job]) -> None:
    """One wake-up a loop for the whole group."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_deliver, group)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def _deliver(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        elif isinstance(job.error, StopIteration):  # a future refuses to carry this one
            job.future.set_exception(RuntimeError("a unit raised StopIteration"))
        else:
            job.future.set_exception(job.error)
