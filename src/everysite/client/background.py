"""An event loop in a thread of its own, for callers that block.

Owns: Background. Must not know: what is carried out there.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
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
    """Carries coroutines out for `owner`. The thread starts with the first one and ends with the owner or the program.

    `abandon` makes the work forget its connections without closing them, and answers what holds them.
    """

    def __init__(self, owner: object, close: Close, abandon: Callable[[], object]) -> None:
        self._close, self._abandon = close, abandon
        self._owner = weakref.ref(owner)
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._ending: weakref.finalize[Any, Any] | None = None
        _everywhere.add(self)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The answer of `work`, waited for. An interrupt (Ctrl-C) ends the work too."""
        future = asyncio.run_coroutine_threadsafe(work, self._running().loop)
        try:
            return future.result()
        except BaseException:  # an interrupt too: the work must not go on without anybody waiting
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread; the next `run` starts another."""
        with self._lock:
            self._loop, ending, self._ending = None, self._ending, None
        if ending is not None:
            ending()

    def leave_to_parent(self) -> None:
        """In a fork: the loop's thread is not there, and its connections are the parent's; begin anew when asked."""
        self._lock = threading.Lock()
        if self._loop is not None and self._ending is not None:
            self._ending.detach()
            _never_free(self._loop)
            _never_free(self._abandon())
            self._loop = self._ending = None

    def _running(self) -> _Loop:
        with self._lock:
            if self._loop is None:
                self._loop = _Loop(self._close)
                owner = self._owner()
                assert owner is not None  # it is calling
                self._ending = weakref.finalize(owner, self._loop.stop)
            return self._loop


_everywhere: weakref.WeakSet[Background] = weakref.WeakSet()


def _never_free(what: object) -> None:
    # To free a connection is to close it, and that reaches into the parent: the two share what the kernel watches for
    # the loop, and the state of TLS.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(what))


def _forked() -> None:
    for background in list(_everywhere):
        background.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
