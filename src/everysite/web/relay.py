"""The relay's two doors: bytes of one site's agent to another's.

Owns: streaming with back-pressure both ways; each side learns when the other one goes.
Must not know: what the bytes mean, where exchanges wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import msgspec
from starlette.types import Message, Send

from everysite.errors import Cancelled, EverysiteError, Forbidden, Transient
from everysite.tracker.agent_messages import Fetch
from everysite.tracker.contract import FETCH_PATH, SEND_PATH, SITE
from everysite.tracker.messages import Named
from everysite.tracker.operation import Caller
from everysite.tracker.relay import Broker, Exchange
from everysite.web import answer, bodies
from everysite.web.attention import Attention
from everysite.web.endpoint import Service
from everysite.web.identity import caller_of
from everysite.web.options import Options
from everysite.web.request import Asked, Gone
from everysite.web.routing import Route

_log = logging.getLogger("everysite.web")
_decode = msgspec.json.Decoder(Fetch).decode
_BYTES: answer.Headers = [(b"content-type", b"application/octet-stream")]
_LOOK = 1.0  # s between looks whether the reader is still there while the source sends nothing


class Relay:
    """The handlers of FETCH_PATH and SEND_PATH."""

    def __init__(self, service: Service, broker: Broker, options: Options, attention: Attention) -> None:
        self._service, self._broker = service, broker
        self._options, self._attention = options, attention

    def routes(self) -> tuple[Route, Route]:
        return Route("POST", FETCH_PATH, self.fetch, "fetch"), Route("PUT", SEND_PATH, self.send, "send")

    async def fetch(self, asked: Asked, send: Send) -> None:
        """Stream what the site's agent sends. Raises SiteUnreachable before the first byte; later the line is cut."""
        caller = await self._agent(asked)
        wanted = bodies.parsed(asked, _decode, await asked.body(self._options.max_body))
        await self._service.as_caller(caller).call(SITE, Named(wanted.site))  # NotFound beats waiting for nobody
        exchange = await self._broker.open(wanted.site, wanted.files)
        stream = _Stream(exchange, send)
        try:
            await self._attention.during(stream.pump(), asked.receive)
        except EverysiteError as err:
            if not stream.begun:
                raise
            _log.warning("relay from %s cut: %s", wanted.site, err)
            raise Gone from err
        finally:
            await self._broker.finish(exchange)

    async def send(self, asked: Asked, send: Send) -> None:
        """Take the bytes of a Wanted. Raises Cancelled when their reader has gone."""
        asked.whole = True  # what is left when it fails may be gigabytes; nobody reads that away
        caller = await self._agent(asked)
        if process := self._broker.elsewhere(asked.params["id"]):
            await self._pass_on(asked, process)
            await answer.answer(send, 200, b"{}")
            return
        exchange = self._broker.exchange(asked.params["id"])
        if caller.rank != "admin" and caller.site not in ("*", exchange.site):
            raise Forbidden(f"this token does not speak for {exchange.site}")
        try:
            await _take(asked, exchange)
        except BaseException:  # a cancelled request too: the reader must not wait for more
            await exchange.close(Transient(f"{exchange.site}: its agent stopped sending in the middle"))
            raise
        await exchange.close()
        await answer.answer(send, 200, b"{}")

    async def _pass_on(self, asked: Asked, process: str) -> None:
        """To the process in which the reader waits. Raises as `send` does."""
        assert self._broker.peers is not None
        token = asked.headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
        await self._broker.peers.send(process, asked.params["id"], token, _chunks(asked))

    async def _agent(self, asked: Asked) -> Caller:
        caller = await caller_of(asked, self._service, "agent")
        if caller.rank not in ("agent", "admin"):
            raise Forbidden("only agents move bytes through the tracker")
        return caller


class _Stream:
    """The answer of one fetch."""

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange, self._send = exchange, send
        self.begun = False

    async def pump(self) -> None:
        async for chunk in self._exchange:
            if chunk:
                await self._begin()
                await answer.more(self._send, chunk)
        await self._begin()
        await answer.end(self._send)

    async def _begin(self) -> None:
        if not self.begun:
            self.begun = True
            await answer.begin(self._send, _BYTES)


async def _chunks(asked: Asked) -> AsyncIterator[bytes]:
    while True:
        message = await asked.receive()
        if message["type"] == "http.disconnect":
            raise Gone
        if body := message.get("body", b""):
            yield body
        if not message.get("more_body"):
            return


async def _take(asked: Asked, exchange: Exchange) -> None:
    while True:
        message = await _next(asked, exchange)
        if message["type"] == "http.disconnect":
            raise Gone
        await exchange.put(message.get("body", b""))
        if not message.get("more_body"):
            return


async def _next(asked: Asked, exchange: Exchange) -> Message:
    """The next bytes of the body; looks after the reader while there are none. Raises Cancelled when it has gone."""
    coming = asyncio.ensure_future(asked.receive())
    try:
        while not (await asyncio.wait((coming,), timeout=_LOOK))[0]:
            await exchange.put(b"")
        return coming.result()
    except Cancelled:
        coming.cancel()
        raise
