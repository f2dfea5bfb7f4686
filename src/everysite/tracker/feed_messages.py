"""What the change feed takes and answers.

Owns: ChangesAsked, Changes, ChangeEntry. Must not know: how changes are found, sockets.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

PAGE = 1000
"""Most entries of one answer."""


class ChangesAsked(msgspec.Struct, frozen=True):
    """What changed after a cursor: `since` "" from now on, "0" everything there is.

    `wait_ms`: how long to wait for the first change when there is none yet. `prefix`: only what has an identifier that
    starts so. `query`: only elements the text query matches as they are now; what is gone is told whatever it was.
    """

    since: str = ""
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = PAGE
    wait_ms: Annotated[int, Meta(ge=0)] = 0
    prefix: str = ""
    query: str = ""


class ChangeEntry(msgspec.Struct, frozen=True):
    """An element as it is now, whole, with its state keys; or the identifier of one that is gone.

    `cursor` stands behind this entry: asking since it goes on with the next one.
    """

    cursor: str
    kind: Literal["element", "removed"]
    id: str = msgspec.field(name="_id")
    element: msgspec.Raw | UnsetType = UNSET


class Changes(msgspec.Struct, frozen=True):
    """Entries in the order of changes. `cursor` stands behind all that was looked at; `more`: ask on at once."""

    cursor: str
    changes: list[ChangeEntry]
    more: bool = False
