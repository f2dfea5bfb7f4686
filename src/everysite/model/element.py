"""Elements: JSON documents that say what is wished; and what is known of a file's content.

Owns: Content, Element, Tombstone, the names of state keys. Must not know: how they are stored or sent.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from everysite.model.clock import Version

Body = dict[str, Any]


class Content(msgspec.Struct, frozen=True):
    """What a version of a file is: `size` bytes, `mtime_ns` since 1970, `mode` permission bits, BLAKE3 `digest` (32 bytes)."""

    size: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    mtime_ns: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o7777)]
    digest: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Element(msgspec.Struct, frozen=True):
    """A JSON document. `body` holds every key but `_id`, and no site state (that is in replicas).

    Files and packages also have `gen`, which counts changes of content (0: not known to have any yet), and the
    `content` of that gen as measured at the origin (None until the origin's agent has looked).
    `id` is the index's own number; 0 before the first put. `change` is the change number of the last write.
    """

    key: str
    body: Body
    version: Version = Version(0, 0)
    late: dict[str, Version] = {}  # top-level keys written after `version`
    gen: int = 0
    content: Content | None = None
    origin: int = 0  # site id, 0: none
    id: int = 0
    change: int = 0

    @property
    def is_file(self) -> bool:
        """Files and packages have a path as `_id`."""
        return self.key.startswith("/")


class Tombstone(msgspec.Struct, frozen=True):
    """A remembered delete. A scan that finds the same content still there does not publish it again."""

    key: str
    version: Version
    content: Content | None = None
    renamed_to: str | None = None
    change: int = 0
