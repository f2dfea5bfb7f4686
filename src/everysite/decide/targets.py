"""Which sites a file is to be delivered to, and which keys of an element are about sites.

Owns: the destination rule (`sync_<site>`, `syncEverywhere`, the global default), `sync_priority`, and the spelling of
state keys (`synced_<site>` ...).
Must not know: paths, stores, tasks, or whether a copy is there already.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container
from typing import Any

import msgspec

from everysite.model.element import Body
from everysite.model.replica import Replica

STATE_FIELDS = {
    "synced": "synced",
    "syncing": "syncing",
    "syncError": "error",
    "syncErrorText": "error_text",
    "syncLastAttempt": "attempted",
    "modified": "modified",
    "deleted": "deleted",
}
"""What stands before `_<site>` in a state key -> the field of the replica it shows."""

_DESTINATION = re.compile(r"sync_(?!priority$)[A-Za-z0-9_-]{1,64}")
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?")
_MOST = 2**31 - 1  # priorities are signed 32 bit in both engines


class Verdict(msgspec.Struct, frozen=True):
    """Whether a site is to have the file, and the rule that said so, in words that fit into a sentence."""

    wanted: bool
    rule: str


def wanted(body: Body, site: str, everywhere: bool) -> Verdict:
    """Whether the site of this name shall have the file. `everywhere` is `syncEverywhere` of rsyncGlobalParameters."""
    if is_origin(body, site):
        return Verdict(False, f"{site} is the origin of the file")
    own = truth(body.get(f"sync_{site}"))
    if own is not None:
        return Verdict(own, f"sync_{site} is {_word(own)}")
    file = truth(body.get("syncEverywhere"))
    if file is not None:
        return Verdict(file, f"syncEverywhere of the file is {_word(file)}")
    return Verdict(everywhere, f"syncEverywhere of all files is {_word(everywhere)}")


def is_origin(body: Body, site: str) -> bool:
    """Whether the body names this site as its origin; site names are one whatever their case."""
    origin = body.get("origin")
    return isinstance(origin, str) and origin.lower() == site.lower()


def truth(value: Any) -> bool | None:
    """A switch as clients spell it: JSON true/false, 1/0, or either as a string (forms send strings).
    None: it says nothing, so the next rule decides."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    return None


def _word(value: bool) -> str:
    return "true" if value else "false"


def priority(body: Body) -> int:
    """`sync_priority` as a signed 32-bit number; higher goes first. What is no number counts as 0."""
    value = body.get("sync_priority")
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)  # a number sent by a form
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    if isinstance(value, float) and not math.isfinite(value):
        return 0
    return max(-_MOST - 1, min(_MOST, int(value)))


def is_destination_key(key: str) -> bool:
    """Whether writing this key can change where a file goes: `syncEverywhere` or `sync_<site>`."""
    return key == "syncEverywhere" or _DESTINATION.fullmatch(key) is not None


def state_keys(site: str) -> tuple[str, ...]:
    """All keys that show the state of this site's copy."""
    return tuple(f"{word}_{site}" for word in STATE_FIELDS)


def parse_state_key(key: str, site_names: Container[str]) -> tuple[str, str] | None:
    """(field of Replica, site name) of a state key; None for any other key, and for sites nobody knows.

    `site_names` are the names verbatim. A key of an unknown site is an ordinary key of the element.
    """
    word, mark, site = key.partition("_")
    field = STATE_FIELDS.get(word)
    return (field, site) if mark and field is not None and site in site_names else None


def spell_state(replica: Replica, site: str) -> Body:
    """The state keys of one copy as clients read them. Nothing is shown for what never happened."""
    shown: Body = {}
    for word, field in STATE_FIELDS.items():
        value = getattr(replica, field)
        if value:
            shown[f"{word}_{site}"] = value
    return shown
