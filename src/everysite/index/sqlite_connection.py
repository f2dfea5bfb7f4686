"""Connections to a database file, and what its errors mean.

Owns: pragmas and their sizes, translating the engine's errors. Must not know: tables, units, threads.
"""

from __future__ import annotations

import os
from urllib.parse import quote

import apsw

from everysite.errors import EverysiteError, SiteUnreachable, TargetFull

WRITER_CACHE = 32 << 10  # KiB; the inner pages of all indexes of 1e6 elements stay in memory
READER_CACHE = 8 << 10
_BUSY_MS = 10_000  # another process that writes here is a backup or a mistake; both end


def connect(path: str, cache: int = READER_CACHE, writes: bool = False, in_use: bool = True) -> apsw.Connection:
    """A connection with our settings. Raises SiteUnreachable or TargetFull. `in_use` False: nobody else has the file
    open, and nothing is made beside it; it has to be there.

    No mmap: a failing disk would then kill the process instead of raising. synchronous=FULL: a commit is on the disk.
    """
    try:
        db = apsw.Connection(path, statementcachesize=256) if in_use else _alone(path)
        db.set_busy_timeout(_BUSY_MS)
        db.pragma("cache_size", -cache)
        if writes:
            db.pragma("page_size", 8192)  # only heeded by an empty file; see docs/decisions/0007
            db.pragma("journal_mode", "wal")
            db.pragma("synchronous", "full")
            db.pragma("journal_size_limit", 64 << 20)
        else:
            db.pragma("query_only", True)
    except apsw.Error as err:
        raise explain(err, path) from err
    return db


def _alone(path: str) -> apsw.Connection:
    address = f"file:{quote(os.path.abspath(path))}?mode=ro&immutable=1"
    return apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def explain(error: apsw.Error, path: str) -> EverysiteError:
    """What a person can do about an error of the engine."""
    if isinstance(error, apsw.FullError):
        return TargetFull(f"{path}: no space left on the disk of the index; free some, work goes on by itself")
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return SiteUnreachable(f"{path}: the index is damaged ({error}); restore it from a backup: everysite restore")
    if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError, apsw.CantOpenError)):
        return SiteUnreachable(f"{path}: the index cannot be written ({error}); check the owner and mode of its folder")
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return SiteUnreachable(f"{path}: another process holds the index for writing; stop it and try again")
    return SiteUnreachable(f"{path}: the index could not be used ({error}); check its disk")
