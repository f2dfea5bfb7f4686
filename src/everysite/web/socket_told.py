"""What Socket.IO clients are told, and that they are told it once.

Owns: the events `create`, `update`, `remove`: from requests, and from what agents do. Must not know: sessions, sockets.

A request tells its events itself, after its unit and before its answer. All other changes (agents settle, announce,
report; users sign in) come from the change feed, in batches and as `update`: who reads the feed may miss that an element
is new, never that it changed. One rule keeps both apart: *what an element was last told to be is not told again*.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from engineio.packet import MESSAGE, Packet  # type: ignore[import-untyped]  # it ships no type information

from everysite.errors import CursorLost, EverysiteError
from everysite.model.element import Body
from everysite.tracker.contract import CHANGES
from everysite.tracker.events import Told
from everysite.tracker.feed_messages import Changes, ChangesAsked
from everysite.tracker.feed_tail import SECRET
from everysite.tracker.feed_view import shows_removal
from everysite.tracker.operation import Caller
from everysite.tracker.sight import Sight
from everysite.web.socket_tracker import TellsChanges

_log = logging.getLogger("everysite.web")
_BATCH_S = 0.1  # changes of agents within this time are one event; requests have told theirs by then
_WAIT_MS = 60_000
_KNOWN = 50_000
_EVERYBODY = Caller("support", "admin")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(eq=False, slots=True)
class Member:
    """One client. `put` queues a packet for its session; `leave` is called when it has gone."""

    sid: str
    session: str
    sight: Sight
    put: Callable[[str, Any], None]
    leave: Callable[[], None]

    @property
    def view(self) -> Hashable:
        """Members with the same view are told the same."""
        return (self.sight.caller.prefix, self.sight.own and self.sight.caller.username)


class Telling:
    """All members. The tracker is listened to while there are any."""

    def __init__(self, service: TellsChanges) -> None:
        self._service = service
        self._members: dict[str, Member] = {}
        self._sessions: dict[str, str] = {}
        self._known = _Known()
        self._unlisten: Callable[[], None] | None = None
        self._following: asyncio.Task[None] | None = None

    def of_session(self, session: str) -> Member | None:
        """The member of a session, if it has signed in."""
        return self._members.get(self._sessions.get(session, ""))

    def join(self, member: Member) -> None:
        self._members[member.sid] = member
        self._sessions[member.session] = member.sid
        if self._unlisten is None:
            self._unlisten = self._service.events.listen(self._told)
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow(), name="socketio-feed")

    def leave(self, sid: str) -> None:
        member = self._members.pop(sid, None)
        if member is None:
            return
        self._sessions.pop(member.session, None)
        member.leave()
        if not self._members:
            if self._unlisten is not None:
                self._unlisten()
                self._unlisten = None
            if self._following is not None:
                self._following.cancel()
                self._following = None
            self._known = _Known()

    def _told(self, told: Told) -> None:
        """What one request did: one event of each kind, in the order of creation."""
        for event, bodies in (("create", told.created), ("update", told.updated)):
            self._tell(event, [_open(body) for body in bodies])
        self._tell("remove", list(told.removed))

    def _tell(self, event: str, things: Sequence[Any]) -> None:
        if not things:
            return
        packets: dict[Hashable, Any] = {}
        for member in list(self._members.values()):
            if member.view not in packets:
                packets[member.view] = _packet(event, [each for each in things if _shows(member.sight, each)])
            if packets[member.view] is not None:
                member.put(member.session, packets[member.view])
        self._known.add(things)

    # --- what no request tells ---

    async def _follow(self) -> None:
        tracker, cursor = self._service.as_caller(_EVERYBODY), ""
        while self._members:
            try:
                page = await tracker.call(CHANGES, ChangesAsked(cursor, limit=1, wait_ms=_WAIT_MS if cursor else 0))
                if not page.changes:
                    cursor = page.cursor
                    continue
                await asyncio.sleep(_BATCH_S)
                mark = self._known.mark
                page = await tracker.call(CHANGES, ChangesAsked(cursor))
                cursor = self._tell_changes(page, mark, cursor)
            except CursorLost:
                cursor = ""
            except EverysiteError as err:  # the tracker stops, or its disk has no answer just now
                _log.info("events of agents are told later: %s", err)
                await asyncio.sleep(1)

    def _tell_changes(self, page: Changes, mark: int, cursor: str) -> str:
        """Tell what is new in a page; where to go on. `mark`: what requests told since may be newer than the page."""
        updated: list[Body] = []
        removed: list[str] = []
        unclear = False
        for entry in page.changes:
            now = _decode(entry.element) if isinstance(entry.element, msgspec.Raw) else None
            if self._known.is_told(entry.id, now):
                continue
            if self._known.told_since(entry.id, mark):
                unclear = True  # asked again in a moment, when the feed has what the request did
            elif now is None:
                removed.append(entry.id)
            else:
                updated.append(now)
        self._tell("update", updated)
        self._tell("remove", removed)
        if unclear:
            return cursor
        if not page.more:
            self._known.forget_until(mark)
        return page.cursor


class _Known:
    """What was told of which element, until the feed has passed it."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, Body | None]] = {}
        self.mark = 0

    def add(self, things: Sequence[Any]) -> None:
        self.mark += 1
        if len(self._told) + len(things) > _KNOWN:
            self._told.clear()  # rather something twice than memory without bound
        for thing in things:
            if isinstance(thing, str):
                self._told[thing] = (self.mark, None)
            else:
                self._told[thing["_id"]] = (self.mark, thing)

    def is_told(self, key: str, now: Body | None) -> bool:
        told = self._told.get(key)
        return told is not None and told[1] == now

    def told_since(self, key: str, mark: int) -> bool:
        told = self._told.get(key)
        return told is not None and told[0] > mark

    def forget_until(self, mark: int) -> None:
        self._told = {key: told for key, told in self._told.items() if told[0] > mark}


def _open(body: Body) -> Body:
    return {key: value for key, value in body.items() if key != SECRET} if SECRET in body else body


def _shows(sight: Sight, thing: Any) -> bool:
    return shows_removal(sight, thing) if isinstance(thing, str) else sight.shows(thing)


def _packet(event: str, things: Sequence[Any]) -> Any:
    """An EVENT of the default namespace, encoded once for all who are told the same; None when nothing is left."""
    return Packet(MESSAGE, "2" + _encode([event, things]).decode()) if things else None
