"""The event loop of processes that live long.

Owns: the choice of the loop, and signals that end it. Must not know: what runs in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """To its end, on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


@contextlib.contextmanager
def ended_by_signal(at_once: Callable[[], None] = lambda: None) -> Iterator[asyncio.Event]:
    """An event set by the first SIGTERM or SIGINT. A second SIGINT ends the process there and then, after `at_once()`.

    The handlers stay when the block is left: the second SIGINT comes while the process is ending.
    """
    ended = asyncio.Event()

    def interrupted() -> None:
        if ended.is_set():
            at_once()
            os._exit(128 + signal.SIGINT)
        ended.set()

    loop = asyncio.get_running_loop()
    if sys.platform != "win32":  # there Ctrl-C arrives as KeyboardInterrupt
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        loop.add_signal_handler(signal.SIGINT, interrupted)
    yield ended
