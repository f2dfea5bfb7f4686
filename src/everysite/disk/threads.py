"""Blocking disk work beside the event loop.

Owns: `in_thread`, `stoppable`. Must not know: what the work is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work in a thread, a batch at a time: the hop costs 40 us, a small file 30.

    When the caller is cancelled it still waits for the thread, so that nobody cleans up under the thread's hands; keep
    the work short, or use `stoppable`.
    """
    return await _wait(asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs)), None)


async def stoppable(stop: threading.Event, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for long work that looks at `stop`, which is set when the caller is cancelled."""
    return await _wait(asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs)), stop)


async def _wait(future: asyncio.Future[T], stop: threading.Event | None) -> T:
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                continue  # cancelled twice; the thread is no faster for it
        if not future.cancelled():
            future.exception()  # looked at, so that asyncio does not report it as lost
        raise
