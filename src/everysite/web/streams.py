"""What lasts longer than one answer, and the token it stands on.

Owns: the look, every second, whether those who follow a stream may still do so; sending to readers that do not read.
Must not know: what is streamed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass

from starlette.types import Message, Send

from everysite.errors import EverysiteError, Forbidden, SignInNeeded
from everysite.tracker.operation import Caller
from everysite.web.attention import Attention
from everysite.web.identity import Authenticator, caller_of
from everysite.web.request import Asked, Gone

_log = logging.getLogger("everysite.web")
_EVERY_S = 1.0
_TURN = 50  # tokens looked up before others get a turn
_STALLED_S = 30.0
_ENDED = "what this token allows has changed; sign in again"

End = Callable[[EverysiteError], None]


@dataclass(eq=False, slots=True)
class _Stream:
    asked: Asked
    caller: Caller
    end: End


class Streams:
    """Everybody who follows something at this face."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._streams: set[_Stream] = set()
        self._looking: asyncio.Task[None] | None = None

    def add(self, asked: Asked, caller: Caller, end: End) -> Callable[[], None]:
        """Call `end` when the caller may no longer do what they could when they came; answers a function to leave."""
        stream = _Stream(asked, caller, end)
        self._streams.add(stream)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="streams")
        return lambda: self._streams.discard(stream)

    @contextlib.asynccontextmanager
    async def admitted(self, asked: Asked, caller: Caller) -> AsyncIterator[None]:
        """The block ends with SignInNeeded or Forbidden when the caller may no longer go on."""
        task = asyncio.current_task()
        assert task is not None
        why: list[EverysiteError] = []

        def end(error: EverysiteError) -> None:
            why.append(error)
            task.cancel()

        leave = self.add(asked, caller, end)
        try:
            yield
        except asyncio.CancelledError:
            if not why:
                raise
            task.uncancel()
            raise why[0] from None
        finally:
            leave()

    async def _look(self) -> None:
        while self._streams:
            await asyncio.sleep(_EVERY_S)
            try:
                await self._look_once()
            except EverysiteError as err:
                _log.warning("tokens could not be looked up; asked again in a second: %s", err)
            except Exception:  # noqa: BLE001  whatever it was: a stream must not outlive its token because one look failed
                _log.exception("tokens could not be looked up; asked again in a second")

    async def _look_once(self) -> None:
        known: dict[Hashable, Caller | EverysiteError] = {}
        for stream in tuple(self._streams):
            identity = _identity(stream.asked)
            if identity not in known:
                known[identity] = await self._now(stream.asked)
                if not len(known) % _TURN:
                    await asyncio.sleep(0)
            now = known[identity]
            if now != stream.caller and stream in self._streams:
                self._streams.discard(stream)
                stream.end(SignInNeeded(_ENDED) if isinstance(now, Caller) else now)

    async def _now(self, asked: Asked) -> Caller | EverysiteError:
        try:
            return await caller_of(asked, self._authenticator, "guest")
        except (SignInNeeded, Forbidden) as err:
            return err


def _identity(asked: Asked) -> Hashable:
    return asked.headers.get(b"authorization"), asked.headers.get(b"cookie"), asked.address


def patient(send: Send, asked: Asked, attention: Attention) -> Send:
    """`send` that cuts the line of a reader that has taken nothing for half a minute. Raises Gone then."""

    async def sending(message: Message) -> None:
        if not await finished(send(message), _STALLED_S):
            attention.hang_up(asked.scope)
            raise Gone

    return sending


async def finished(work: Awaitable[None], seconds: float) -> bool:
    """Whether it was done in time; it is cancelled otherwise."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return False
    return True
