"""Putting a backup in the place of a database.

Owns: the order of steps, so that a process killed at any point leaves the old database or the new one, whole.
Must not know: homes, locks, where the backup comes from.

Nobody has either file open: the caller holds the lock of the home.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import BinaryIO

import apsw

from everysite.errors import Refused, SiteUnreachable, TargetFull
from everysite.index.sqlite_check import check
from everysite.index.sqlite_connection import WRITER_CACHE, connect, explain
from everysite.index.sqlite_schema import migrate

_CHUNK = 1 << 20
_LEAP = 1 << 32  # more than is given out between a backup and its restore, far below what JSON numbers hold


def restore(source: BinaryIO, shown: str, target: str, kept: str, epoch: str) -> bool:
    """Make the database `target` what the backup `source` (called `shown` in errors) says, with a new `epoch`.

    What was there is kept under the name `kept`; answers whether anything was. Raises Refused (no backup of ours, a newer
    schema, a damaged one), TargetFull, SiteUnreachable; `target` is as it was then.
    """
    stage = f"{target}.restoring"
    sweep(stage)
    _sweep_twins(target)
    try:
        prepared(source, shown, stage, epoch)
        there = _keep(target, kept)
        os.replace(stage, target)
        _sync(os.path.dirname(target))
        return there
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TargetFull(
                f"{target}: no room for the backup beside the database; free some and restore again"
            ) from err
        raise
    finally:
        sweep(stage)


def prepared(source: BinaryIO, shown: str, stage: str, epoch: str) -> None:
    """Make `stage` a database of our schema from a backup, sound, with a new `epoch`. Raises as `restore` does; whatever
    happens, the caller removes it (`sweep`)."""
    _receive(source, stage)
    _prepare(stage, shown, epoch)


def sweep(stage: str) -> None:
    """Remove a database and its log."""
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stage + end)


def _sweep_twins(target: str) -> None:
    """Second names of the database itself, which a restore that was killed gave it and took no further."""
    folder, name = os.path.split(target)
    for entry in os.scandir(folder) if os.path.exists(target) else ():
        if entry.name.startswith(f"{name}.before") and entry.is_file() and os.path.samefile(entry.path, target):
            os.unlink(entry.path)


def _receive(source: BinaryIO, stage: str) -> None:
    with open(os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


def _prepare(stage: str, shown: str, epoch: str) -> None:
    """Everything that can be refused is refused here, before the old database is touched."""
    try:
        db = apsw.Connection(stage)
        try:
            if not int(db.pragma("user_version")):  # an empty file is an empty database to the engine
                raise Refused(f"{shown} is no backup of everysite; take one with: everysite backup FILE")
        finally:
            db.close()
        db = connect(stage, WRITER_CACHE, writes=True)
        try:
            migrate(db, shown)
            if problems := check(db):
                raise Refused(f"{shown} is damaged ({problems[0]}); take another backup")
            _renew(db, epoch)
        finally:
            db.close()  # the last connection carries the log into the file
    except (apsw.CorruptError, apsw.NotADBError) as err:
        raise Refused(f"{shown} is damaged or no backup ({err}); take another one") from err
    except apsw.Error as err:
        raise explain(err, stage) from err
    _sync(stage)


def _renew(db: apsw.Connection, epoch: str) -> None:
    """Whoever followed the old database must notice: cursors by the epoch, agents by holdings they no longer have. The
    counters leap over every number that was given out after the backup, so none is given twice."""
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?)", (epoch,))
    db.execute("UPDATE number SET value = value + ? WHERE name NOT GLOB 'clock.*'", (_LEAP,))
    db.execute("UPDATE holding SET epoch = epoch + ?, until = 0", (1 << 20,))
    db.execute("UPDATE lease SET until = 0")
    db.execute("COMMIT")


def _keep(target: str, kept: str) -> bool:
    """Give the old database a second name. Its own one is taken over by a rename, so there is no moment without."""
    if not os.path.exists(target):
        _sweep_log(target)
        return False
    _fold(target, kept)
    try:
        os.link(target, kept)
    except OSError:  # a file system without second names
        shutil.copyfile(target, kept)
        os.chmod(kept, 0o600)
        _sync(kept)
    _sync(os.path.dirname(kept))
    return True


def _fold(target: str, kept: str) -> None:
    """Carry the log of a killed tracker into its file: the engine would play it into the new one. The log of a database
    too damaged for that is kept beside it; a second name is needed for it, since the engine removes logs it cannot use."""
    log, spare = f"{target}-wal", f"{kept}-wal"
    if os.path.exists(log):
        shutil.copyfile(log, spare)
    try:
        db = apsw.Connection(target)
        try:
            db.execute(
                "SELECT 1 FROM sqlite_schema"
            ).fetchall()  # only a database that was read knows that it has a log
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            db.close()
    except (apsw.CorruptError, apsw.NotADBError):
        _sweep_log(target)
        return
    except apsw.Error as err:
        raise explain(err, target) from err
    if os.path.exists(log) and os.path.getsize(log):
        raise SiteUnreachable(
            f"{log}: the log of the old database could not be carried over; is another program using it?"
        )
    _sweep_log(target)
    _sweep_log(kept)


def _sweep_log(target: str) -> None:
    for end in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target + end)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
