"""An element as it is against the element that comes.

Owns: what counts as the same, and the sum by which a whole import is checked. Must not know: dumps, how elements are read.
"""

from __future__ import annotations

import msgspec
from blake3 import blake3

from everysite.importer.convert import Coming
from everysite.model.element import Body
from everysite.tracker.settings import GLOBALS

_ADDED = frozenset({"_id", "author", "time", "digest", "username", "class", "url", "agent"})
"""What a tracker adds by itself where a dump does not say it."""
_DEFAULTS = {"parameters": frozenset(GLOBALS)}
"""What it has from its first start on."""
_SEEN = {"user": frozenset({"lastlogin", "lastActivity"})}
"""What changes by itself."""


def same(coming: Coming, there: Body) -> bool:
    """Whether the element is what the dump says."""
    return not extra(coming, there) and _shown(coming, there) == _shown(coming, coming.body)


def extra(coming: Coming, there: Body) -> list[str]:
    """Keys it has that the dump does not know."""
    ignored = _ADDED | _SEEN.get(coming.kind, frozenset()) | _DEFAULTS.get(coming.kind, frozenset())
    return [key for key, value in there.items() if key not in coming.body and key not in ignored and value is not None]


def _shown(coming: Coming, body: Body) -> bytes:
    """What the dump says of it, as bytes; null is the same as nothing."""
    ignored = _SEEN.get(coming.kind, frozenset())
    shown = {key: body[key] for key in coming.body if body.get(key) is not None and key not in ignored}
    return msgspec.json.encode([coming.key, shown], order="deterministic")


class Sum:
    """How many elements, and the sum of their BLAKE3 digests: the same for the same elements in any order."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, coming: Coming, body: Body) -> None:
        """Count an element, as far as the dump speaks of it."""
        self.count += 1
        self._sum = (self._sum + int.from_bytes(blake3(_shown(coming, body)).digest(), "big")) % (1 << 256)

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return f"{self._sum:064x}"
