"""Telling other processes on the same database that something was committed.

Owns: the connection for LISTEN and NOTIFY, its thread, how often is told. Must not know: tables, what a topic means.

A NOTIFY inside a transaction makes all commits of the server wait for each other, so it goes on a connection of its own,
after the commit, and at most once in 20 ms. Who dies between commit and NOTIFY has told nobody: therefore everybody also
looks once a second whether the numbers moved on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import psycopg

from everysite.index.lanes import Listeners
from everysite.index.postgres_connection import Connection, connect

Topic = int | str
Heard = Callable[[frozenset[Topic]], None]

_PAUSE_S = 0.02
_LOOK_S = 1.0
_MOST = 7_000  # bytes in one message, which has at most 8,000
_CHANNEL = "SELECT 'everysite_' || oid FROM pg_namespace WHERE nspname = current_schema()"
_LAST = "SELECT value FROM number WHERE name = 'change'"
_decode = msgspec.json.Decoder(list[Topic]).decode


class Signals:
    """Starts its thread at once. `committed` are told in their loops when another process committed."""

    def __init__(self, url: str, committed: Listeners) -> None:
        self._url, self._committed = url, committed
        self._hearers: list[tuple[asyncio.AbstractEventLoop, Heard]] = []
        self._lock = threading.Lock()
        self._news = False
        self._topics: set[Topic] = set()
        self._last = -1
        self._closing = False
        self._wakes, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._thread = threading.Thread(target=self._work, name="index-signals", daemon=True)
        self._thread.start()

    def commit(self, last: int) -> None:
        """This process committed, and this is the last change number: the others will be told."""
        with self._lock:
            known, self._news = self._news, True
            self._last = max(self._last, last)
        if not known:
            self._wake()

    def tell(self, topics: Iterable[Topic]) -> None:
        """See the contract's Index."""
        with self._lock:
            self._topics.update(topics)
        self._wake()

    def hear(self, told: Heard) -> Callable[[], None]:
        """See the contract's Index."""
        mine = (asyncio.get_running_loop(), told)
        self._hearers = [*self._hearers, mine]
        return lambda: self._forget(mine)

    def _forget(self, hearer: tuple[asyncio.AbstractEventLoop, Heard]) -> None:
        self._hearers = [each for each in self._hearers if each is not hearer]

    def close(self) -> None:
        """What was committed is told before."""
        self._closing = True
        self._wake()
        self._thread.join()
        os.close(self._wakes)
        os.close(self._waker)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake already
            os.write(self._waker, b".")

    def _work(self) -> None:
        while not self._closing:
            try:
                with connect(self._url) as db:
                    self._serve(db)
            except psycopg.Error:
                time.sleep(0 if self._closing else _LOOK_S / 4)

    def _serve(self, db: Connection) -> None:
        channel = str(db.execute(_CHANNEL).fetchall()[0][0])
        db.execute(f'LISTEN "{channel}"'.encode())
        self._heard(frozenset())
        self._look(db)
        looked = time.monotonic()
        while not self._closing:
            self._wait(db, max(0.0, looked + _LOOK_S - time.monotonic()))
            self._receive(db)
            self._send(db, channel)
            if time.monotonic() >= looked + _LOOK_S:
                self._look(db)
                looked = time.monotonic()
        self._send(db, channel)

    def _wait(self, db: Connection, seconds: float) -> None:
        ready, _, _ = select.select([db.fileno(), self._wakes], [], [], seconds)
        if self._wakes in ready:
            os.read(self._wakes, 4096)
            time.sleep(_PAUSE_S)  # what comes meanwhile goes along

    def _receive(self, db: Connection) -> None:
        mine = db.info.backend_pid
        heard = [note.payload for note in db.notifies(timeout=0) if note.pid != mine]
        if heard:
            self._committed.tell()
        topics = frozenset(topic for text in heard if text for topic in _decode(text))
        if topics:
            self._heard(topics)

    def _heard(self, topics: frozenset[Topic]) -> None:
        for loop, told in self._hearers:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody hears any more
                loop.call_soon_threadsafe(told, topics)

    def _send(self, db: Connection, channel: str) -> None:
        with self._lock:
            news, self._news = self._news, False
            topics, self._topics = sorted(self._topics, key=str), set()
        try:
            for text in _messages(topics):
                db.execute("SELECT pg_notify(%s, %s)", (channel, text))
            if news and not topics:
                db.execute("SELECT pg_notify(%s, '')", (channel,))
        except psycopg.Error:
            with self._lock:
                self._news |= news
                self._topics.update(topics)
            raise

    def _look(self, db: Connection) -> None:
        row = db.execute(_LAST).fetchone()
        last = int(row[0]) if row else 0
        with self._lock:
            known, self._last = self._last, max(self._last, last)
        if known < last and known >= 0:
            self._committed.tell()


def _messages(topics: Sequence[Topic]) -> Iterator[str]:
    """As few as there have to be."""
    some: list[bytes] = []
    size = 0
    for topic in topics:
        text = msgspec.json.encode(topic)
        if some and size + len(text) > _MOST:
            yield f"[{b','.join(some).decode()}]"
            some, size = [], 0
        some.append(text)
        size += len(text) + 1
    if some:
        yield f"[{b','.join(some).decode()}]"
