"""What the doors may be told from outside.

Owns: Options, with the default of each.
Must not know: settings files, the command line.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How the doors behave.

    `max_body` bytes and `max_batch` items of one request; above: 413 (decisions A 10).
    `base_path` is what a proxy puts in front of every path ('' or '/name').
    `proxies` are addresses or networks whose X-Forwarded-* headers are believed; nobody else's are.
    `faces_off` names faces that are not served.
    `file_root` is the folder below which /api/file and /api/upload find and put files; '': there are none.
    """

    max_body: int = 50 << 20
    max_batch: int = 10_000
    base_path: str = ""
    proxies: tuple[str, ...] = ()
    faces_off: frozenset[str] = frozenset()
    file_root: str = ""


DEFAULTS = Options()
