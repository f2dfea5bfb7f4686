"""Files that come and go through the tracker's own doors: who may, and what the index says afterwards.

Owns: the operations behind `/api/file` and `/api/upload`, whose bytes the doors move themselves.
Must not know: HTTP, disks.

They are no part of the table in `contract.py`: nobody may say that a file was uploaded but the door that took its bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from everysite.decide.locks import holder
from everysite.errors import BadRequest, Conflict, Forbidden, NotFound
from everysite.index.contract import Event, Transaction
from everysite.model.element import Body, Element
from everysite.model.path import check_id, is_package
from everysite.tracker.core import Core
from everysite.tracker.messages import Nothing
from everysite.tracker.operation import Caller, Operation
from everysite.tracker.planning import Planner
from everysite.tracker.sight import Sight, sight
from everysite.tracker.special import acts
from everysite.tracker.states import compose
from everysite.tracker.update import update
from everysite.tracker.writing import Writing

ONLINE = "online"
"""The origin of what was uploaded: it came from nobody's site."""


class FileAsked(msgspec.Struct, frozen=True):
    """A file by its path; '' asks about uploads in general."""

    path: str = ""


class Uploaded(msgspec.Struct, frozen=True):
    """A file that lies in its place now: `size` bytes, `mtime` ms since 1970."""

    path: str
    size: int
    mtime: int
    comment: str = ""


MAY_READ = Operation("mayRead", "GET", "/api/file/{path}", FileAsked, Nothing, "user", "Whether a file is shown.")
MAY_UPLOAD = Operation("mayUpload", "POST", "/api/upload", FileAsked, Nothing, "user", "Whether a file may come.")
UPLOADED = Operation(
    "uploaded", "POST", "/api/upload", Uploaded, dict[str, Any], "user", "A file has come.", status=201
)


class UploadVerbs:
    """What the doors ask before they move bytes, and tell afterwards."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def bound(self) -> dict[Operation[Any, Any], Callable[[Caller, Any], Awaitable[Any]]]:
        """The operations with what carries them out."""
        return {MAY_READ: self.may_read, MAY_UPLOAD: self.may_upload, UPLOADED: self.uploaded}

    async def may_read(self, caller: Caller, asked: FileAsked) -> Nothing:
        """Raises NotFound for a file whose element this caller does not see."""
        view = sight(caller, self._core.limits)
        if view.where is not None:
            [found] = await self._core.index.read(lambda tx: tx.elements.get([asked.path]))
            if not view.covers(asked.path) or (view.own if found is None else not view.sees(found)):
                raise NotFound(f"{asked.path}: no such file")
        return Nothing()

    async def may_upload(self, caller: Caller, asked: FileAsked) -> Nothing:
        """Raises PathRefused, BadRequest (a package), Forbidden (no file), Conflict (locked, or another author's)."""
        if asked.path:
            key = file_key(asked.path)
            view = sight(caller, self._core.limits)
            view.check_write(key, {"_id": key, "author": caller.username, "origin": ONLINE})
            [found] = await self._core.index.read(lambda tx: tx.elements.get([key]))
            if found is not None:
                self._allowed(view, found)
        return Nothing()

    async def uploaded(self, caller: Caller, told: Uploaded) -> Body:
        """The element as it is now. What `may_upload` says must have been asked just before."""
        now = self._core.clock()
        change = await self._core.index.run(lambda tx: _Arrival(tx, caller, now).store(told))
        self._core.wakes.wake(change.woken)
        fresh = [change.child] if change.updated else [change.body, change.child]
        self._core.events.tell(created=fresh, updated=[change.body] if change.updated else [])
        return change.body

    def _allowed(self, view: Sight, found: Element) -> None:
        caller = view.caller
        if acts(found):
            raise Forbidden(f"{found.key} is a user, a site or the global parameters, and no file")
        if not view.sees(found):
            raise Conflict(f"{found.key}: already tracked")
        locked = holder(found.body)
        if self._core.limits.enforce_locks and locked not in ("", caller.username) and caller.rank != "admin":
            raise Conflict(f"{found.key} is locked by {locked}; ask them to unlock it")


def file_key(path: str) -> str:
    """The `_id` of an uploaded file. Raises PathRefused, BadRequest for a package."""
    key = check_id(path)
    if is_package(key):
        raise BadRequest(f"{key} names a package by its trailing '/'; upload its files one by one")
    return key


class _Arrival:
    """The unit of work of one upload. `updated`: the element was there before."""

    def __init__(self, tx: Transaction, caller: Caller, now: int) -> None:
        self._tx, self._caller, self._now = tx, caller, now
        self.woken: set[int] = set()
        self.updated = False
        self.body: Body = {}
        self.child: Body = {}

    def store(self, told: Uploaded) -> _Arrival:
        key = file_key(told.path)
        body: Body = {
            "author": self._caller.username,
            "time": self._now,
            "comment": told.comment,
            "file_mtime": told.mtime,
            "file_size": told.size,
            "origin": ONLINE,
        }
        [found] = self._tx.elements.get([key])
        self.updated = found is not None
        if found is None:
            self._create(key, body)
        else:
            self._change(key, body)
        version = self._tx.stamp(self._now)
        [child] = self._tx.elements.put([Element(secrets.token_hex(12), {**body, "#parent": key}, version)])
        self.child = {"_id": child.key, **child.body}
        self._tx.history.add([Event(key, self._now, "uploaded", who=self._caller.username, text=told.comment)])
        return self

    def _create(self, key: str, body: Body) -> None:
        planner = Planner(self._tx)
        site = planner.site(ONLINE)
        made = Element(key, body, self._tx.stamp(self._now), origin=site.id if site else 0)
        saved = self._tx.elements.put([made])
        planner.wish(saved, fresh=True)
        self.woken = planner.woken
        [shown] = compose(self._tx, saved)
        assert shown is not None
        self.body = shown

    def _change(self, key: str, body: Body) -> None:
        # The server writes author and time here, which the caller's own class may not.
        writer = msgspec.structs.replace(self._caller, rank="admin")
        writing = Writing(self._tx, writer, self._now)
        [shown] = update(writing, [(key, body)])
        self.woken = writing.woken
        assert shown is not None
        self.body = shown
