"""An event loop in a thread of its own, for callers that block.

Owns: Background. Must not know: what is carried out there.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Close = Callable[[], Coroutine[Any, Any, None]]


class _Loop:
    """A running loop and its thread; `close` is carried out as the loop's last work."""

    def __init__(self, close: Close) -> None:
        self.loop = asyncio.new_event_loop()
        self._close = close
        self._thread = threading.Thread(target=self._turn, name="everysite-client", daemon=True)
        self._thread.start()

    def _turn(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self._finish()

    def _finish(self) -> None:
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.run_until_complete(self._close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()


class Background:
    """Carries coroutines out for `owner`. The thread starts with the first one and ends with the owner or the program."""

    def __init__(self, owner: object, close: Close) -> None:
        self._close = close
        self._owner = weakref.ref(owner)
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._ending: weakref.finalize[Any, Any] | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The answer of `work`, waited for. An interrupt (Ctrl-C) ends the work too."""
        future = asyncio.run_coroutine_threadsafe(work, self._running().loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread; the next `run` starts another."""
        with self._lock:
            self._loop, ending, self._ending = None, self._ending, None
        if ending is not None:
            ending()

    def _running(self) -> _Loop:
        with self._lock:
            if self._loop is None:
                self._loop = _Loop(self._close)
                owner = self._owner()
                assert owner is not None  # it is calling
                self._ending = weakref.finalize(owner, self._loop.stop)
            return self._loop
