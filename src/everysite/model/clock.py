"""Versions: when something was written, comparable on every machine.

Owns: the hybrid clock rule. Must not know: who keeps the last value.
"""

from __future__ import annotations

from typing import NamedTuple


class Version(NamedTuple):
    """(ms since 1970, counter within that ms). A tie is broken by the content's digest, computed when needed."""

    ms: int
    counter: int


def tick(last: Version, now_ms: int) -> Version:
    """The next version after `last`, never older than the wall clock and never going backwards."""
    return Version(now_ms, 0) if now_ms > last.ms else Version(last.ms, last.counter + 1)
