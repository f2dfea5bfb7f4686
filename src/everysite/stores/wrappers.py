"""Store -> Store: throttle, limit, count, and break things on purpose, once for all providers.

Owns: Passing (a store that passes everything on) and what may be put in its way.
Must not know: any one provider.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Literal, TypeVar

from everysite.errors import SiteUnreachable, Transient
from everysite.model.path import Name
from everysite.stores.contract import MayPublish, Session, Source, Stat, Store, Traits, allow, forget

T = TypeVar("T")
Verb = Literal["probe", "stat", "list", "read", "write", "write_many", "copy", "move", "delete"]


class Passing:
    """Passes every call on. `local_root` is hidden, since bytes taken on a shortcut pass no wrapper."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def traits(self) -> Traits:
        return replace(self.inner.traits, local_root=None)

    async def called(self, verb: Verb) -> None:
        """Before each call."""

    def turn(self, verb: Verb) -> AbstractAsyncContextManager[object]:
        """Around each call, or around each step of one that answers in steps."""
        return nullcontext()

    async def flow(self, pieces: AsyncIterator[bytes], verb: Verb) -> AsyncIterator[bytes]:
        """Every piece that is read or written."""
        async for piece in pieces:
            yield piece

    async def probe(self) -> None:
        await self._call("probe", self.inner.probe)

    async def stat(self, name: Name) -> Stat:
        return await self._call("stat", lambda: self.inner.stat(name))

    async def list(self, prefix: Name | None = None) -> AsyncIterator[Sequence[Stat]]:
        await self.called("list")
        async for page in self._steps("list", self.inner.list(prefix)):
            yield page

    async def read(self, name: Name, offset: int = 0) -> AsyncIterator[bytes]:
        await self.called("read")
        async for piece in self.flow(self._steps("read", self.inner.read(name, offset)), "read"):
            yield piece

    async def write(
        self,
        name: Name,
        source: Source,
        session: Session | None = None,
        on_session: Callable[[Session], Awaitable[None]] = forget,
        may_publish: MayPublish = allow,
    ) -> Stat:
        watched = self._watched(source, "write")
        return await self._call("write", lambda: self.inner.write(name, watched, session, on_session, may_publish))

    async def write_many(
        self, files: AsyncIterable[tuple[Name, Source]], may_publish: MayPublish = allow
    ) -> Sequence[Stat | Exception]:
        watched = ((name, self._watched(source, "write_many")) async for name, source in files)
        return await self._call("write_many", lambda: self.inner.write_many(watched, may_publish))

    async def copy(self, name: Name, to: Name) -> Stat:
        return await self._call("copy", lambda: self.inner.copy(name, to))

    async def move(self, name: Name, to: Name) -> Stat:
        return await self._call("move", lambda: self.inner.move(name, to))

    async def delete(self, names: Sequence[Name]) -> None:
        await self._call("delete", lambda: self.inner.delete(names))

    async def _call(self, verb: Verb, call: Callable[[], Awaitable[T]]) -> T:
        await self.called(verb)
        async with self.turn(verb):
            return await call()

    async def _steps(self, verb: Verb, steps: AsyncIterator[T]) -> AsyncIterator[T]:
        try:
            while True:
                async with self.turn(verb):
                    step = await anext(steps, None)
                if step is None:
                    return
                yield step
        finally:
            await _close(steps)

    def _watched(self, source: Source, verb: Verb) -> Source:
        return replace(source, open=lambda offset: self.flow(source.open(offset), verb))


async def _close(steps: AsyncIterator[T]) -> None:
    close = getattr(steps, "aclose", None)  # a plain iterator has none
    if close is not None:
        await close()


class Throttled(Passing):
    """At most `rate` bytes a second over all calls together, with bursts of a quarter of a second."""

    def __init__(
        self,
        inner: Store,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(inner)
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._free_at = clock()  # when all bytes let through so far have been paid for

    async def flow(self, pieces: AsyncIterator[bytes], verb: Verb) -> AsyncIterator[bytes]:
        async for piece in pieces:
            now = self._clock()
            self._free_at = max(self._free_at, now - 0.25) + len(piece) / self._rate
            if self._free_at > now:
                await self._sleep(self._free_at - now)
            yield piece


class Limited(Passing):
    """At most `writes` writing calls and `others` other calls (or steps of a read or list) at a time.

    Two counts, because a write may read from this same store while it holds its turn.
    """

    def __init__(self, inner: Store, writes: int = 4, others: int = 8) -> None:
        super().__init__(inner)
        self._writes, self._others = asyncio.Semaphore(writes), asyncio.Semaphore(others)

    def turn(self, verb: Verb) -> AbstractAsyncContextManager[object]:
        return self._writes if verb in ("write", "write_many") else self._others


class Counted(Passing):
    """Counts calls by verb, and bytes read and written."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.calls: Counter[str] = Counter()
        self.bytes_read = 0
        self.bytes_written = 0

    async def called(self, verb: Verb) -> None:
        self.calls[verb] += 1

    async def flow(self, pieces: AsyncIterator[bytes], verb: Verb) -> AsyncIterator[bytes]:
        async for piece in pieces:
            if verb == "read":
                self.bytes_read += len(piece)
            else:
                self.bytes_written += len(piece)
            yield piece


class Cut(Passing):
    """The line breaks when `after` bytes have passed: once, or again after every `after` bytes."""

    def __init__(self, inner: Store, after: int, again: bool = False) -> None:
        super().__init__(inner)
        self._after, self._again = after, again
        self._left: int | None = after

    async def flow(self, pieces: AsyncIterator[bytes], verb: Verb) -> AsyncIterator[bytes]:
        async for piece in pieces:
            if self._left is None or len(piece) <= self._left:
                self._left = None if self._left is None else self._left - len(piece)
                yield piece
                continue
            passed = piece[: self._left]
            self._left = self._after if self._again else None
            if passed:
                yield passed
            raise SiteUnreachable(f"the line was cut after {self._after} bytes; try again")


class Failing(Passing):
    """Every `every`-th call fails with the given error before it does anything."""

    def __init__(self, inner: Store, every: int, error: Callable[[], Transient]) -> None:
        super().__init__(inner)
        self._every, self._error = every, error
        self._count = 0

    async def called(self, verb: Verb) -> None:
        self._count += 1
        if self._count % self._every == 0:
            raise self._error()
