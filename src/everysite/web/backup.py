"""The door of `GET /api/backup`: a copy of everything, streamed from the disk.

Owns: sending the file piece by piece, and its removal. Must not know: how the copy is made, who may have it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from typing import BinaryIO

from starlette.types import Send

from everysite.errors import EverysiteError
from everysite.tracker.contract import BACKUP
from everysite.tracker.messages import Nothing
from everysite.tracker.operation import Tracker
from everysite.web import answer
from everysite.web.attention import Attention
from everysite.web.endpoint import Service
from everysite.web.identity import caller_of
from everysite.web.request import Asked, Gone
from everysite.web.routing import Route

_log = logging.getLogger("everysite.web")
_PIECE = 1 << 20  # read in one thread hop
_KIND: answer.Headers = [
    (b"content-type", b"application/vnd.sqlite3"),
    (b"content-disposition", b'attachment; filename="everysite-backup.db"'),
]


class Backup:
    """The handler."""

    def __init__(self, service: Service, attention: Attention) -> None:
        self._service, self._attention = service, attention

    def routes(self) -> tuple[Route, ...]:
        return (Route(BACKUP.method, BACKUP.path, self.send, BACKUP.name),)

    async def send(self, asked: Asked, send: Send) -> None:
        """Raises what BACKUP raises. Stops, and removes the copy, when the client hangs up."""
        caller = await caller_of(asked, self._service, BACKUP.right)
        tracker = self._service.as_caller(caller)
        stream = _Stream(send)
        try:
            await self._attention.during(stream.pump(tracker), asked.receive)
        except (EverysiteError, OSError) as err:
            if not stream.begun:
                raise
            _log.warning("a backup was cut: %s", err)
            raise Gone from err


class _Stream:
    """One answer. The file is removed as soon as it is open: whatever happens then, its room is free again."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def pump(self, tracker: Tracker) -> None:
        copied = await tracker.call(BACKUP, Nothing())
        try:
            file = await asyncio.to_thread(open, copied.path, "rb")
        finally:
            shutil.rmtree(copied.folder, ignore_errors=True)
        with file:
            await self._pieces(file)

    async def _pieces(self, file: BinaryIO) -> None:
        left = os.fstat(file.fileno()).st_size
        self.begun = True
        await answer.begin(self._send, [*_KIND, (b"content-length", b"%d" % left)])
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(_PIECE, left))
            if not piece:
                raise OSError("the copy became shorter while it was sent")
            await answer.more(self._send, piece)
            left -= len(piece)
        await answer.end(self._send)
