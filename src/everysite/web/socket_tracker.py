"""What the parts of the Socket.IO face share: the tracker as they know it, and how much a client may send.

Owns: TellsChanges. Must not know: the protocol.
"""

from __future__ import annotations

from typing import Protocol

from everysite.tracker.events import Events
from everysite.tracker.operation import Caller
from everysite.tracker.sight import Sight
from everysite.web.endpoint import Service

IN = 100_000
"""Bytes a client may send at once; signing in takes less than 1,000."""


class TellsChanges(Service, Protocol):
    """The tracker, as this face knows it."""

    @property
    def events(self) -> Events: ...

    def sight(self, caller: Caller) -> Sight: ...
