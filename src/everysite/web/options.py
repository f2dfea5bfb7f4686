"""What the doors may be told from outside.

Owns: Options, with the default of each.
Must not know: settings files, the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Options:
    """How the doors behave.

    `max_body` bytes and `max_batch` items of one request; above: 413 (decisions A 10).
    `base_path` is what a proxy puts in front of every path ('' or '/name').
    `proxies` are addresses or networks whose X-Forwarded-* headers are believed; nobody else's are.
    `faces_off` names faces that are not served.
    `origins` are pages of other sites, like https://tools.example, whose scripts may ask with a token.
    `requests_per_minute` an address has; above: 429. 0: no limit.
    `file_root` is the folder below which /api/file and /api/upload find and put files; '': there are none.
    `create_returns` elements or identifiers; `comment_returns` one object for one parent ("seed"), or always an array.
    """

    max_body: int = 50 << 20
    max_batch: int = 10_000
    base_path: str = ""
    proxies: tuple[str, ...] = ()
    faces_off: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()
    requests_per_minute: int = 0
    file_root: str = ""
    create_returns: Literal["objects", "ids"] = "objects"
    comment_returns: Literal["seed", "array"] = "seed"


DEFAULTS = Options()
