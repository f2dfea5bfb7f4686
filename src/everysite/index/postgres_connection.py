"""Connections to a PostgreSQL database, and what its errors mean.

Owns: how values travel, the session's settings, translating the engine's errors, which of them pass by themselves.
Must not know: tables, units, threads.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper, Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format

from everysite.errors import BadRequest, EverysiteError, SiteUnreachable, TargetFull
from everysite.index.postgres_text import body_bytes, loaded, stored

Connection = psycopg.Connection[tuple[Any, ...]]

_CONNECT_S = 5
_SETTINGS = (
    # Compiling a statement takes longer than any of ours runs.
    "SET jit = off;"
    " SET client_encoding = 'UTF8';"
    " SET client_min_messages = 'warning';"
    " SET standard_conforming_strings = on;"
    # A commit that was answered is on the disk, whatever the server's own setting.
    " SET synchronous_commit = {durable};"
    # Who stalls in the middle of a unit loses its turn: nobody else could write.
    " SET idle_in_transaction_session_timeout = '15s'"
)
_PASSING = (
    errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable, errors.AdminShutdown,
    errors.CrashShutdown, errors.CannotConnectNow, errors.IdleInTransactionSessionTimeout, errors.TooManyConnections,
)  # fmt: skip


class _Text(Dumper):
    """Without a type: the statement says it."""

    def dump(self, obj: str) -> Buffer:
        return stored(obj).encode()


class _Number(Dumper):
    """Without a type: the statement says it."""

    def dump(self, obj: float) -> Buffer:
        return (b"1" if obj else b"0") if isinstance(obj, bool) else repr(obj).encode()


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        return loaded(bytes(data))


class _BinaryTextLoader(_TextLoader):
    format = Format.BINARY


class _BodyLoader(Loader):
    """JSON stays JSON: who needs it decodes it."""

    def load(self, data: Buffer) -> bytes:
        return body_bytes(bytes(data))


class _BinaryBodyLoader(_BodyLoader):
    format = Format.BINARY


def _adapters() -> AdaptersMap:
    found = AdaptersMap(psycopg.adapters)
    for kind in (int, float, bool):
        found.register_dumper(kind, _Number)
    found.register_dumper(str, _Text)
    for name in ("text", "varchar", "name"):
        found.register_loader(name, _TextLoader)
        found.register_loader(name, _BinaryTextLoader)
    found.register_loader("json", _BodyLoader)
    found.register_loader("json", _BinaryBodyLoader)
    return found


_ADAPTERS = _adapters()


def connect(url: str, durable: bool = True) -> Connection:
    """A connection with our settings, each statement a transaction of its own. Raises psycopg.Error."""
    given = conninfo_to_dict(url)
    given.setdefault("connect_timeout", _CONNECT_S)
    given.setdefault("application_name", "everysite")
    # A machine that is gone without a word is noticed in some 15 s, on both sides.
    given.setdefault("keepalives_idle", 5)
    given.setdefault("keepalives_interval", 3)
    given.setdefault("keepalives_count", 3)
    given.setdefault("tcp_user_timeout", 15_000)
    db: Connection = psycopg.connect(**given, autocommit=True, context=_Context())  # type: ignore[arg-type]
    try:
        db.execute(_SETTINGS.format(durable="on" if durable else "off").encode())
    except psycopg.Error:
        db.close()
        raise
    db.prepare_threshold = 2
    db.prepared_max = 300
    return db


class _Context:
    """What psycopg asks for the adapters."""

    adapters = _ADAPTERS
    connection = None


def shown(url: str) -> str:
    """A database as people may see it: without password and options."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return urlsplit(url).scheme + "://..."
    host = str(given.get("host") or "localhost")
    port = f":{given['port']}" if given.get("port") else ""
    return f"postgresql://{host}{port}/{given.get('dbname') or given.get('user') or ''}"


def passes(error: BaseException, db: Connection | None) -> bool:
    """Whether the same unit may well succeed when it is repeated: a conflict with others, or the connection is gone."""
    if isinstance(error, _PASSING):
        return True
    lost = db is None or db.broken or db.closed
    # What the server said has a state; without one, the driver lost it in the middle of something ("cannot exit pipeline mode").
    return isinstance(error, psycopg.OperationalError) and (lost or error.sqlstate is None)


def explain(error: psycopg.Error, place: str) -> EverysiteError:
    """What a person can do about an error of the engine."""
    text = str(error).strip().split("\n", 1)[0]
    if isinstance(error, (errors.DiskFull, errors.OutOfMemory)):
        return TargetFull(f"{place}: the database has no room left ({text}); free some, work goes on by itself")
    if isinstance(error, errors.ProgramLimitExceeded):
        return BadRequest("a key or path is too long for PostgreSQL to index (some 2,700 bytes); shorten it")
    if isinstance(error, errors.NumericValueOutOfRange):
        return BadRequest("a number is too large for the index; numbers have at most 64 bits there")
    if isinstance(
        error, (errors.InsufficientPrivilege, errors.InvalidPassword, errors.InvalidAuthorizationSpecification)
    ):
        return SiteUnreachable(f"{place}: the database does not let us in ({text}); check user, password and rights")
    if isinstance(error, errors.InvalidCatalogName) or ('database "' in text and "does not exist" in text):
        return SiteUnreachable(f"{place}: there is no such database; make it with createdb, in UTF-8")
    if isinstance(error, psycopg.OperationalError):
        return SiteUnreachable(f"{place}: the database cannot be reached ({text}); start it, work goes on by itself")
    return SiteUnreachable(f"{place}: the database could not be used ({text})")
