"""The wiring: which index, which stores, which tracker an agent talks to.

Owns: the only place that names concrete adapters; a tracker in this process with its doors; an agent in this process.
Must not know: the command line, what is printed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote_to_bytes, urlsplit

from everysite.errors import BadRequest, Forbidden, NotFound, NotOffered, Unreadable

if TYPE_CHECKING:
    import asyncio

    from everysite.agent.supervisor import Supervisor
    from everysite.client import Client
    from everysite.config import Settings
    from everysite.index.contract import Index
    from everysite.index.database_copy import Copied, Hold
    from everysite.stores.contract import Store
    from everysite.tracker.mail import Mail
    from everysite.tracker.service import Service

# Everything else is imported where it is used: an agent needs no web server, and a copy no index.


def open_index(settings: Settings) -> Index:
    """The tracker's index. The caller holds the lock of the home.

    Raises Refused, SiteUnreachable, TargetFull, NotOffered (PostgreSQL is not installed here).
    """
    from everysite.index import sqlite

    if settings.index.url:
        index: Index = _postgres().open(settings.index.url, settings.index.reader_threads)
        return index
    settings.database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _only_ours(settings.database)
    return sqlite.open(str(settings.database), settings.index.reader_threads)


def _postgres() -> ModuleType:
    """The other engine. Raises NotOffered where its driver is missing."""
    try:
        from everysite.index import postgres
    except ImportError as err:  # psycopg itself, or the library it needs
        if not (err.name or "psycopg").startswith("psycopg"):
            raise
        raise NotOffered(
            f"PostgreSQL needs a driver; install it with: pip install 'everysite[postgres]' ({err})"
        ) from err
    return postgres


def check_home(settings: Settings) -> list[str]:
    """As check_index, of what a home's tracker remembers. One in PostgreSQL may be in use by others meanwhile."""
    if settings.index.url:
        problems: list[str] = _postgres().inspect(settings.index.url)
        return problems
    return check_index(settings.database)


def check_index(path: Path) -> list[str]:
    """What is wrong with a tracker's database (or a backup of one) that no process has open; [] when it is sound.

    Raises NotFound, Refused (another program's file, or a newer schema), SiteUnreachable (not allowed).
    """
    from everysite.index import sqlite

    if not path.is_file():
        raise NotFound(f"{path} is not there; name the home of a tracker with --home, or a backup")
    return sqlite.inspect(str(path))


def restore_index(settings: Settings, source: BinaryIO, shown: str) -> Path | None:
    """Put a backup in the place of the index; where the old one is kept now, None when there was none. The caller holds
    the lock of the home. Raises Refused (no good backup), Conflict (a process has the PostgreSQL database open),
    SiteUnreachable, TargetFull; the old one stays then."""
    from everysite.index import sqlite

    target = settings.database
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = target.with_name(f"{target.name}.before-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    epoch = secrets.token_hex(8)
    if url := settings.index.url:
        stage = f"{target}.restoring"
        return kept if _postgres().restore(source, shown, url, stage, str(kept), epoch) else None
    there = sqlite.restore(source, shown, str(target), str(kept), epoch)
    return kept if there else None


def copy_database(
    source: str, target: str, hold: Hold, said: Callable[[str, int], None], wait_s: float
) -> list[Copied]:
    """Bring what one database (a file, or postgresql://...) keeps into another that is empty, verified table by table.

    `hold` keeps trackers from starting on either, or raises Conflict; that is waited for. Raises BadRequest (the same
    database twice), NotFound, Refused, Conflict, SiteUnreachable, TargetFull; called again it goes on.
    """
    from everysite.index.database_copy import copy
    from everysite.index.sqlite_side import SqliteSource, SqliteTarget

    if is_file(source) and is_file(target) and os.path.realpath(source) == os.path.realpath(target):
        raise BadRequest(f"{source} cannot be copied into itself")
    with contextlib.ExitStack() as stack:
        here = SqliteSource(source) if is_file(source) else _postgres_side().PostgresSource(source)
        stack.callback(here.close)
        if not is_file(source) and not is_file(target):
            _postgres_side().refuse_same(here, target)
        there = SqliteTarget(target) if is_file(target) else _postgres_side().PostgresTarget(target)
        stack.callback(there.close)
        return copy(here, there, hold, said, wait_s)


def is_file(database: str) -> bool:
    """Whether this names an SQLite file, not a server."""
    return not database.startswith(("postgresql://", "postgres://"))


def _postgres_side() -> ModuleType:
    _postgres()  # says what is missing
    from everysite.index import postgres_side

    return postgres_side


def _only_ours(path: Path) -> None:
    """Make the file, readable by its owner only, before the engine does: it will hold password hashes."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as err:
        raise Unreadable(f"{path} cannot be opened ({err.strerror}); give this account the right to it") from err


def open_held(state: Path) -> Index:
    """An agent's own index, in its state folder, of what is really on its disk."""
    from everysite.index import sqlite

    return sqlite.open(str(state / "held.db"))


def store_for(url: str) -> Store:
    """The store a url names. Raises BadRequest for a kind that is not known."""
    from everysite.stores.folder import FolderStore

    parts = urlsplit(url)
    path = unquote_to_bytes(parts.path)
    if parts.scheme != "file" or parts.netloc or not path.startswith(b"/"):
        raise BadRequest(f"{url!r} names no store; a folder is given like file:///data/paris/")
    return FolderStore(os.fsdecode(path))


def agent_tracker(url: str, token: str, fingerprint: str = "") -> Client:
    """The tracker as an agent in another process sees it; to be used with `async with`."""
    from everysite.client import Client

    return Client(url, token, fingerprint)


@contextlib.asynccontextmanager
async def open_tracker(settings: Settings) -> AsyncIterator[Service]:
    """A tracker in this process, without doors; ended and its index closed when the block is left."""
    from everysite.agent.host import home_identity, host_identity
    from everysite.tracker.care import sweep
    from everysite.tracker.core import Limits
    from everysite.tracker.service import Service
    from everysite.tracker.tokens import life_span

    # The index's writer thread gives the interpreter lock away at every row; beside a busy loop it waits this long to get
    # it back. 5 ms, Python's own, made a batch of 1,000 rows take 755 ms instead of 3.
    sys.setswitchinterval(0.0005)
    limits = Limits(
        batch=settings.api.max_batch,
        lease_ms=round(settings.agent.lease_seconds * 1000),
        token_life_s=life_span(settings.access.token_life, 0),
        required=settings.access.required,
        open_mode=settings.api.open_mode,
        sign_in_per_minute=settings.access.sign_in_per_minute,
        enforce_locks=settings.api.enforce_locks,
        author_mode=settings.api.author_mode,
        id_pattern=settings.api.id_pattern,
        lone_words=settings.api.lone_words,
        search_s=settings.api.search_seconds,
        graph=settings.api.max_graph,
    )
    index = open_index(settings)
    try:
        scratch = settings.home / "run"
        sweep(scratch)
        place = str(scratch) if scratch.is_dir() else ""
        service = Service(
            index, limits, host=host_identity(), scratch=place, mail=_mail(settings), home=home_identity(settings.home)
        )
        await service.start()
        try:
            yield service
        finally:
            await service.stop()
    finally:
        await index.close()


def _mail(settings: Settings) -> Mail | None:
    """Where letters are handed over; None: nowhere. Raises Unreadable for its password."""
    from everysite.tracker.mail import Mail

    mail = settings.mail
    if not mail.host:
        return None
    file = settings.home / mail.password_file
    try:
        password = file.read_text(encoding="utf-8").split("\n", 1)[0].strip() if mail.user else ""
    except (OSError, UnicodeDecodeError) as err:
        raise Unreadable(f"{file}: the password of the mail server cannot be read; see mail.password_file") from err
    return Mail(mail.host, mail.port, mail.security, mail.sender, mail.url.rstrip("/"), mail.user, password)


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a tracker is reached, by others and by programs of this machine. Fingerprints are SHA-256 of its certificate
    in hex: `fingerprint` for those who cannot check it otherwise ('' when they can), `local_fingerprint` for this machine,
    where no certificate names 127.0.0.1."""

    url: str
    local_url: str
    fingerprint: str = ""
    local_fingerprint: str = ""


@contextlib.asynccontextmanager
async def open_doors(service: Service, settings: Settings) -> AsyncIterator[Doors]:
    """Serve a tracker over HTTP while the block runs. Raises Conflict (port taken), Unreadable (no such address)."""
    from everysite.agent.host import host_identity
    from everysite.client.peers import met
    from everysite.web.app import create_app
    from everysite.web.options import Options
    from everysite.web.server import addresses, serve
    from everysite.web.tls import fingerprint_of, server_ssl

    server = settings.server
    options = Options(
        max_body=settings.api.max_body,
        max_batch=settings.api.max_batch,
        base_path=server.base_path,
        faces_off=frozenset(server.faces_off),
        requests_per_minute=settings.api.requests_per_minute,
        proxies=server.trusted_proxies,
        create_returns=settings.api.create_returns,
        comment_returns=settings.api.comment_returns,
        origins=settings.api.origins,
        file_root=str(settings.home / settings.api.file_root) if settings.api.file_root else "",
    )
    cert, key = (str(settings.home / file) if file else "" for file in (server.tls_cert, server.tls_key))
    context, fingerprint = server_ssl(settings.home, server.host, cert, key, server.behind_proxy)
    port = server.tls_port if context else server.port
    running = await serve(create_app(service, options), server.host, port, context)
    local = fingerprint_of(Path(cert)) if cert else fingerprint
    try:
        here, there = addresses("https" if context else "http", running.host, running.port, server.base_path)
        doors = Doors(there, here, fingerprint or "", local or "")
        inside, outside = (doors.local_fingerprint, doors.local_url), (doors.fingerprint, server.peer_url)
        async with met(service, host_identity(), *(outside if server.peer_url else inside), bool(server.peer_url)):
            yield doors
    finally:
        await running.stop()


def supervised(argv: Sequence[str], secret: str, log: Callable[[str], None]) -> Supervisor:
    """A process that will be kept running; `secret` is the line it reads from its standard input."""
    from everysite.agent.supervisor import Supervisor

    return Supervisor(argv, secret=secret, log=log)


async def introduce(tracker: Client, folder: str) -> str:
    """Say hello for the site a token is for, whose files are in this store; the site's name.

    Raises SignInNeeded (no such token), Forbidden (a user's token), Conflict (another site's folder), SiteUnreachable.
    """
    from everysite import __version__
    from everysite.agent.host import host_identity
    from everysite.tracker.agent_messages import Hello
    from everysite.tracker.contract import HELLO, VERIFY
    from everysite.tracker.messages import Nothing

    me = str((await tracker.call(VERIFY, Nothing())).get("_id", ""))
    if not me.startswith("agent:"):
        raise Forbidden(
            f"this is the token of the user {me.removeprefix('@')}; make one for a site: everysite site token"
        )
    welcome = await tracker.call(HELLO, Hello(me.removeprefix("agent:"), host_identity(), __version__, folder))
    return welcome.site


def agent_settings(home: Path) -> Settings:
    """How an agent works, from everysite.toml in this folder and the environment. Raises BadRequest."""
    from everysite.config import load

    return load(home, os.environ)


async def serve_sites(
    state: Path,
    place: tuple[str, str, str],
    settings: Settings,
    stop: asyncio.Event,
    site: str = "",
    folder: Path | None = None,
) -> None:
    """Work for `site` with its files in `folder`, or for all sites of the tracker's machine, until `stop` is set.

    `place` is the tracker's (url, token, fingerprint). Raises Conflict when the state folder is another process's.
    """
    from everysite import __version__
    from everysite.agent.link import Options
    from everysite.agent.run import run_agent
    from everysite.agent.state import StateFolder

    agent = settings.agent
    options = Options(
        agent.workers, agent.bundle_files, agent.bundle_bytes, agent.probe_seconds, agent.read_back,
        agent.scan_processes, version=__version__,
    )  # fmt: skip
    with StateFolder(state) as own:
        held = open_held(state)
        try:
            url = folder.as_uri() + "/" if folder else ""
            await run_agent(lambda: agent_tracker(*place), own.holder, held, store_for, stop, options, site, url)
        finally:
            await held.close()
