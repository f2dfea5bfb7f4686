"""The care of a tracker: a copy of everything while it works, and whether everything is sound.

Owns: what may be copied by whom, how many copies there are at once, and where they lie.
Must not know: HTTP, the engine behind the index.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from everysite.errors import Forbidden, SiteUnreachable, TargetFull, Transient
from everysite.tracker.audit import note
from everysite.tracker.care_messages import Copied, Verdict
from everysite.tracker.contract import BACKUP, INTEGRITY
from everysite.tracker.core import Core
from everysite.tracker.messages import Nothing
from everysite.tracker.operation import Caller, Operation

_AT_ONCE = 2  # each needs the room of the whole index until it is fetched
_MARK = ".everysite-backup-"


class CareVerbs:
    """`scratch` is a private folder for copies until they are fetched; '': the system's folder for such."""

    def __init__(self, core: Core, scratch: str) -> None:
        self._core = core
        self._scratch = scratch or None
        self._copying = 0

    def bound(self) -> dict[Operation[Any, Any], Callable[[Caller, Any], Awaitable[Any]]]:
        """The operations with what carries them out."""
        return {BACKUP: self.backup, INTEGRITY: self.integrity}

    async def backup(self, caller: Caller, asked: Nothing) -> Copied:
        """Raises Forbidden (it holds password hashes, so a part of an admin's rights is not enough), Transient, TargetFull."""
        if not caller.administers:
            raise Forbidden("a backup holds everything; it needs a token of an admin without limits")
        if self._copying >= _AT_ONCE:
            raise Transient(f"{_AT_ONCE} backups are being written already; come back when they are done")
        self._copying += 1
        try:
            await self._core.index.run(lambda tx: note(tx, caller, self._core.clock(), "backup taken"))
            folder = _private_folder(self._scratch)
            try:
                path = os.path.join(folder, "everysite.db")
                await self._core.index.backup(path)
            except BaseException:  # a caller who went away too: nobody would remove it
                shutil.rmtree(folder, ignore_errors=True)
                raise
        finally:
            self._copying -= 1
        return Copied(path, folder)

    async def integrity(self, caller: Caller, asked: Nothing) -> Verdict:
        return Verdict(await self._core.index.check())


def _private_folder(scratch: str | None) -> str:
    try:
        return tempfile.mkdtemp(prefix=_MARK, dir=scratch)
    except OSError as err:
        kind = TargetFull if err.errno == 28 else SiteUnreachable
        raise kind(f"{scratch or 'the folder for temporary files'}: {err.strerror}; the backup has no place") from err


def sweep(scratch: Path) -> None:
    """Remove copies that a killed tracker left."""
    for left in scratch.glob(f"{_MARK}*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(left)
