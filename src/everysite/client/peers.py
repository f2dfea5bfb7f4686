"""The other processes of a tracker, as one of them reaches them.

Owns: their addresses, a client for each, the token for them. Must not know: who wants which bytes, how addresses are told.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from everysite.client.connection import Client
from everysite.errors import SiteUnreachable
from everysite.tracker.agent_messages import Serve, Wanted
from everysite.tracker.contract import SERVE
from everysite.tracker.messages import Nothing, TokenId
from everysite.tracker.operation import Caller
from everysite.tracker.service import Service

_ANSWER_S = 5.0
_MOST = 1_000  # processes remembered: each start is one more


class HttpPeers:
    """See the broker's Peers. `host`: the identity of this machine; `token`: this process's own, of an agent of all sites."""

    def __init__(self, host: str, token: str) -> None:
        self._host, self._token = host, token
        self._places: dict[str, tuple[str, str]] = {}
        self._clients: dict[str, Client] = {}

    def known(self, process: str, host: str, fingerprint: str, url: str) -> None:
        if host not in ("*", self._host):
            return
        self._places.pop(process, None)
        self._places[process] = url, fingerprint
        while len(self._places) > _MOST:
            del self._places[next(iter(self._places))]

    async def serve(self, process: str, site: str) -> Wanted:
        url, fingerprint = self._place(process)
        client = self._clients.get(process)
        if client is None:
            client = self._clients[process] = Client(url, self._token, fingerprint, _ANSWER_S)
        return await client.call(SERVE, Serve(site, 0))

    async def send(self, process: str, id: str, token: str, chunks: AsyncIterator[bytes]) -> None:
        url, fingerprint = self._place(process)
        async with Client(url, token, fingerprint) as client:
            await client.send(id, chunks)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _place(self, process: str) -> tuple[str, str]:
        try:
            return self._places[process]
        except KeyError:
            raise SiteUnreachable(
                "another process of this tracker wants bytes and cannot be reached; set server.peer_url there"
            ) from None


@contextlib.asynccontextmanager
async def met(service: Service, host: str, fingerprint: str, url: str, anywhere: bool) -> AsyncIterator[None]:
    """While the block runs, the other processes on this index reach us, and we reach them.

    `host`: the identity of this machine. `url` and `fingerprint`: where we are, for those of this machine or `anywhere`.
    """
    if not service.home:
        yield
        return
    label = f"a process of the tracker ({service.home})"
    await _forget(service, label)  # what one that was killed has left
    peers = HttpPeers(host, await service.access.grants.agent_token("*", label))
    service.broker.peers = peers
    service.others.met_at("*" if anywhere else host, fingerprint, url.rstrip("/"))
    try:
        yield
    finally:
        service.broker.peers = None
        await peers.close()
        await _forget(service, label)


async def _forget(service: Service, label: str) -> None:
    admin, grants = Caller("support", "admin"), service.access.grants
    for token in (await grants.tokens(admin, Nothing())).tokens:
        if token.label == label:
            await grants.remove_token(admin, TokenId(token.id))
