"""A running server: uvicorn inside the loop that is already there.

Owns: listening, how fast the parser and loop are, an end within five seconds whoever is still connected.
Must not know: what is served, settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator

import uvicorn

from everysite.errors import Conflict, Unreadable
from everysite.web.app import App
from everysite.web.corked import CorkedProtocol

_log = logging.getLogger("everysite.web")
_KEEP_ALIVE = 75  # s; longer than our client keeps an idle connection, so it never writes into one that closes
_GRACE = 3  # s for answers that are on their way; with what comes after it the stop stays below 5
_BACKLOG = 2048
_FILES = 65_536
_WS_BYTES = 1 << 20  # of one message from a client; none of ours needs a tenth of it


class _Embedded(uvicorn.Server):
    """Signals belong to the program around it. `ready` is set when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Running:
    """A server that runs. `port` is the real one when 0 was asked for."""

    def __init__(self, app: App, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self._app = app
        self._listener = listener
        self._server = _Embedded(_config(app, context))
        self._task: asyncio.Task[None] | None = None

    async def wait_ready(self) -> None:
        """Return when requests are answered. Raises what kept the server from starting."""
        assert self._task is not None
        ready = asyncio.ensure_future(self._server.ready.wait())
        await asyncio.wait((ready, self._task), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            self._task.result()

    async def wait(self) -> None:
        """Return when the server has ended. Raises what ended it."""
        assert self._task is not None
        await asyncio.shield(self._task)

    async def stop(self) -> None:
        """End: long polls and streams at once, answers on their way within 3 s, then whoever is left is cut off."""
        self._app.attention.close()
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    def start(self) -> None:
        """Begin to serve in the running loop."""
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with contextlib.AsyncExitStack() as held:
            held.callback(self._listener.close)
            await held.enter_async_context(self._app.lifespan())
            self._app.attention.open()
            self._app.attention.cut = self._hang_up
            try:
                await self._server.serve(sockets=[self._listener])
            finally:
                self._app.attention.close()
                await self._cut()

    def _hang_up(self, client: tuple[str, int]) -> None:
        for connection in list(self._server.server_state.connections):
            if getattr(connection, "client", None) == tuple(client):
                connection.transport.abort()

    async def _cut(self) -> None:
        """Cut off those whom the grace did not help: a reader that reads nothing would keep its connection for ever."""
        state = self._server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            _log.warning("%d request(s) were still running at the end", len(state.tasks))
            await asyncio.wait(list(state.tasks), timeout=1)


def _allow_connections() -> None:
    """Many who wait at once are the rule here, and every one is an open file; systems begin with some 1,000."""
    try:
        import resource
    except ImportError:  # no such limit on this system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # a container that forbids it; the limit stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(app: App, host: str, port: int, context: ssl.SSLContext | None = None) -> Running:
    """Listen and serve in the running loop. Raises Conflict when the port is taken, Unreadable for an unusable address."""
    _allow_connections()
    running = Running(app, _listen(host, port), context)
    running.start()
    await running.wait_ready()
    return running


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
    except OSError as err:
        raise Unreadable(f"{host}:{port}: {err.strerror or err}; give an address of this machine with --host") from err
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as err:
        listener.close()
        raise Conflict(
            f"{host}:{port}: {err.strerror or err}; stop the other program or choose another --port"
        ) from err
    return listener


def _config(app: App, context: ssl.SSLContext | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        lifespan="off",  # entered by Running, so that a failed start is an exception and not an exit
        interface="asgi3",
        http=CorkedProtocol,
        access_log=False,  # paths may hold names that are nobody's business; metrics count requests
        log_config=None,
        log_level="critical",  # what the application lets happen it logs itself
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
        backlog=_BACKLOG,
        ws="wsproto",
        ws_max_size=_WS_BYTES,
        ws_per_message_deflate=False,  # its windows take 300 KB a connection
    )
    config.load()
    config.ssl = context
    return config


def addresses(scheme: str, host: str, port: int, base: str) -> tuple[str, str]:
    """(for this machine, for others). What listens everywhere is named by the machine's name, or 127.0.0.1."""
    inside = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    outside = socket.getfqdn() if inside != host else host
    return _url(scheme, inside, port, base), _url(scheme, outside, port, base)


def _url(scheme: str, host: str, port: int, base: str) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{base}"
