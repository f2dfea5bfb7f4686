"""How an agent reaches its tracker and, through it, other sites.

Owns: Link (the verbs and the relay), Options, and patience while the tracker is away.
Must not know: HTTP, any one verb's meaning. `everysite.client.Client` is a Link.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from everysite.errors import SiteUnreachable, Transient
from everysite.tracker.agent_messages import Fetch
from everysite.tracker.operation import Operation

R = TypeVar("R")
A = TypeVar("A")

_log = logging.getLogger(__name__)
_FIRST, _LONGEST = 0.25, 5.0  # s between two tries to reach a tracker; a restarted one is found within 5 s


class Link(Protocol):
    """A tracker for one caller, and bytes of other sites."""

    async def call(self, operation: Operation[R, A], request: R) -> A: ...

    def fetch(self, asked: Fetch) -> AsyncIterator[bytes]:
        """The frames of files of another site, in chunks."""

    async def send(self, id: str, frames: AsyncIterator[bytes]) -> None:
        """Answer a Wanted with the frames of its files."""


class Line:
    """A Link whose tracker may be away: that is Transient here, since SiteUnreachable stands for the site's own folder."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def call(self, operation: Operation[R, A], request: R) -> A:
        """Raises what the verb raises; Transient when the tracker does not answer."""
        try:
            return await self._link.call(operation, request)
        except SiteUnreachable as err:
            raise Transient(str(err)) from err

    async def fetch(self, asked: Fetch) -> AsyncGenerator[bytes, None]:
        """Raises Transient when the tracker or the other site does not answer."""
        stream = self._link.fetch(asked)
        try:
            async for chunk in stream:
                yield chunk
        except SiteUnreachable as err:
            raise Transient(str(err)) from err
        finally:
            await _closed(stream)

    async def send(self, id: str, frames: AsyncIterator[bytes]) -> None:
        """Raises Transient when the tracker does not answer, NotFound when nobody waits for it any more."""
        try:
            await self._link.send(id, frames)
        except SiteUnreachable as err:
            raise Transient(str(err)) from err


async def _closed(stream: AsyncIterator[bytes]) -> None:
    """End a stream that is not read to its end, so that the other side learns of it now."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


@dataclass(frozen=True, slots=True)
class Options:
    """How an agent works. `probe_seconds`: waits between probes of a lost folder, the last one repeats."""

    workers: int = 2
    bundle_files: int = 1000
    bundle_bytes: int = 64 << 20
    probe_seconds: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
    read_back: bool = False
    scan_processes: int = 2
    wait_ms: int = 25_000  # how long a call that waits for work may wait
    version: str = ""


async def patiently(link: Link, operation: Operation[R, A], request: R) -> A:
    """Call until the tracker answers, however long it is away. Raises what is not Transient."""
    wait = _FIRST
    while True:
        try:
            return await link.call(operation, request)
        except Transient as err:
            _log.debug("%s: %s", operation.name, err)
            if wait == _LONGEST:
                _log.info("the tracker does not answer yet: %s", err)
        await asyncio.sleep(wait * random.uniform(0.5, 1.0))
        wait = min(_LONGEST, wait * 2)
