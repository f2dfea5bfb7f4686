"""Bytes from one site's agent to another's, piped through the tracker.

Owns: the meeting of a fetch with the agent that serves it, with back-pressure and an end for both when one goes.
Must not know: what the bytes mean, HTTP, how another process is reached (`Peers` does).

Where several processes share an index, an exchange stays in the process its reader asked. The others hear of it; the one
in which the site's agent waits takes it from there, and its name tells every process where its bytes have to go.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from everysite.errors import Cancelled, EverysiteError, NotFound, SiteUnreachable
from everysite.tracker.agent_messages import Wanted, WantedFile

_log = logging.getLogger(__name__)
_BUFFERED = 4 << 20  # bytes in flight for one exchange before its sender has to wait
_PICK_UP = 15.0  # s a source agent has to begin sending


class Exchange:
    """One fetch. The source's side puts chunks, the reader's side iterates over them."""

    def __init__(self, site: str, files: Sequence[WantedFile], process: str = "") -> None:
        self.id = process + secrets.token_hex(16)
        self.site = site
        self.files = list(files)
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Condition()
        self._begun = False
        self._ended = False
        self._gone = False
        self._error: EverysiteError | None = None

    async def put(self, chunk: bytes) -> None:
        """Hand a chunk on; waits while the reader is behind. Raises Cancelled when the reader has gone."""
        async with self._changed:
            self._begun = True
            while self._size >= _BUFFERED and not self._gone:
                await self._changed.wait()
            if self._gone:
                raise Cancelled(f"nobody waits for these bytes of {self.site} any longer")
            self._chunks.append(chunk)
            self._size += len(chunk)
            self._changed.notify_all()

    async def close(self, error: EverysiteError | None = None) -> None:
        """No more chunks. With an error the reader gets it after the chunks that are already here."""
        async with self._changed:
            self._ended, self._error = True, self._error or error
            self._changed.notify_all()

    async def cancel(self) -> None:
        """The reader has gone."""
        async with self._changed:
            self._gone = True
            self._chunks.clear()
            self._changed.notify_all()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks as they come. Raises SiteUnreachable when the source does not begin in time, or what it was closed with."""
        while True:
            async with self._changed:
                await self._something()
                if not self._chunks:
                    if self._error:
                        raise self._error
                    return
                chunk = b"".join(self._chunks)
                self._chunks.clear()
                self._size = 0
                self._changed.notify_all()
            yield chunk

    async def _something(self) -> None:
        ready = self._changed.wait_for(lambda: self._chunks or self._ended)
        if self._begun:
            await ready
            return None
        try:
            await asyncio.wait_for(ready, _PICK_UP)
        except TimeoutError:
            if self._begun:
                return await self._something()
            raise SiteUnreachable(
                f"{self.site}: its agent did not begin to send within {_PICK_UP:.0f} s; check that it runs there"
            ) from None


class Peers(Protocol):
    """The other processes on this index."""

    def known(self, process: str, host: str, fingerprint: str, url: str) -> None:
        """Where one is, for those on the machine `host` ('*': for all)."""

    async def serve(self, process: str, site: str) -> Wanted:
        """A request for the site's bytes that waits there, with the id "" when none does. Raises SiteUnreachable."""

    async def send(self, process: str, id: str, token: str, chunks: AsyncIterator[bytes]) -> None:
        """Bytes for an exchange there, in the name of the agent with this token. Raises what `exchange` and `put` raise,
        SiteUnreachable, Transient."""


class Broker:
    """Where fetches wait for the agent of their site. `ask` tells the others of one, `peers` are how they are reached."""

    def __init__(self) -> None:
        self.process = secrets.token_hex(8)
        self.ask: Callable[[str], None] = lambda _: None
        self.peers: Peers | None = None
        self._elsewhere: dict[str, set[str]] = {}  # site -> processes where somebody asked for its bytes
        self._asked: dict[str, deque[Exchange]] = {}
        self._open: dict[str, Exchange] = {}
        self._waiting: dict[str, asyncio.Event] = {}

    async def open(self, site: str, files: Sequence[WantedFile]) -> Exchange:
        """Ask the site's agent for files. The reader must end with `finish`."""
        exchange = Exchange(site, files, self.process)
        self._open[exchange.id] = exchange
        self._asked.setdefault(site, deque()).append(exchange)
        self._event(site).set()
        self.ask(site)
        return exchange

    def asked_elsewhere(self, process: str, site: str) -> None:
        """In another process somebody asked for a site's bytes."""
        self._elsewhere.setdefault(site, set()).add(process)
        self._event(site).set()

    def elsewhere(self, id: str) -> str:
        """The process in which an exchange waits; '' for one of our own."""
        process = id[: len(self.process)]
        return "" if process == self.process or len(id) <= len(process) or self.peers is None else process

    def exchange(self, id: str) -> Exchange:
        """The exchange a source agent is about to send. Raises NotFound when its reader has gone."""
        try:
            return self._open[id]
        except KeyError:
            raise NotFound(f"relay {id}: nobody waits for it (any longer)") from None

    async def finish(self, exchange: Exchange) -> None:
        """The reader is through with it, or has gone."""
        self._open.pop(exchange.id, None)
        await exchange.cancel()

    async def next(self, site: str, wait_ms: int) -> Wanted:
        """The next request for a site's bytes, or one with the id "" after `wait_ms`."""
        event = self._event(site)
        end = asyncio.get_running_loop().time() + (max(wait_ms, 0) / 1000 or 0.001)
        while True:
            event.clear()
            if wanted := self._next_here(site, event) or await self._next_elsewhere(site, event):
                return wanted
            try:
                async with asyncio.timeout_at(end):
                    await event.wait()
            except TimeoutError:
                return Wanted("", [])

    def _next_here(self, site: str, event: asyncio.Event) -> Wanted | None:
        asked = self._asked.get(site, deque())
        while asked:
            exchange = asked.popleft()
            if exchange.id in self._open:
                if asked:
                    event.set()
                return Wanted(exchange.id, exchange.files)
        return None

    async def _next_elsewhere(self, site: str, event: asyncio.Event) -> Wanted | None:
        """From a process that has more than one, the next call takes the next."""
        asked = self._elsewhere.get(site)
        while asked and self.peers is not None:
            process = asked.pop()
            try:
                wanted = await self.peers.serve(process, site)
            except EverysiteError as err:  # it was killed; its reader asks again
                _log.info("relay: what another process wants of %s cannot be had: %s", site, err)
                continue
            if wanted.id:
                asked.add(process)
                event.set()
                return wanted
        return None

    def _event(self, site: str) -> asyncio.Event:
        return self._waiting.setdefault(site, asyncio.Event())

    async def close(self) -> None:
        """End every exchange; for the end of the process."""
        for exchange in list(self._open.values()):
            await exchange.close(Cancelled("the tracker is shutting down"))
