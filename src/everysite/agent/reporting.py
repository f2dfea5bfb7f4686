"""What a site says of itself: status keys, told together and not too often.

Owns: the pace of reports. Must not know: what the keys mean.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping

from everysite.agent.link import Link
from everysite.errors import EverysiteError, Transient
from everysite.tracker.agent_messages import Report
from everysite.tracker.contract import REPORT

_log = logging.getLogger(__name__)
_PACE = 5.0  # s between two reports (decisions B 7)
Value = str | int | float | bool | None


def now_ms() -> int:
    """Wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


class Reporter:
    """Gathers values; the newest of a key counts."""

    def __init__(self, link: Link, site: str, pace: float = _PACE) -> None:
        self._link, self._site, self._pace = link, site, pace
        self._values: dict[str, Value] = {}
        self._news = asyncio.Event()

    def tell(self, values: Mapping[str, Value]) -> None:
        """To be reported within the pace."""
        self._values.update(values)
        self._news.set()

    def ended(self, what: str, exit_code: int, text: str = "", **more: Value) -> None:
        """Something (`scan`, `emission`, `reception`) ended just now; a success clears the text of the last failure."""
        values: dict[str, Value] = {
            f"last_{what}": now_ms(),
            f"exit_{what}": exit_code,
            f"stderr_{what}": text.encode()[-4096:].decode(errors="ignore"),
            **more,
        }
        if exit_code:
            values["error"] = exit_code
        self.tell(values)

    async def run(self) -> None:
        """Report what was told, until cancelled."""
        while True:
            await self._news.wait()
            await self.flush()
            await asyncio.sleep(self._pace)

    async def flush(self) -> None:
        """Report now. What cannot be told is told with the next report."""
        self._news.clear()
        values, self._values = self._values, {}
        if not values:
            return
        try:
            await self._link.call(REPORT, Report(self._site, values))
        except Transient:
            self._values = values | self._values
            self._news.set()
        except EverysiteError as err:
            _log.warning("the status of %s was refused: %s", self._site, err)


def room(root: bytes) -> dict[str, Value]:
    """Bytes of the disk a folder is on, for the report."""
    if not hasattr(os, "statvfs"):
        return {}
    try:
        found = os.statvfs(root)
    except OSError:
        return {}
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return {"bytesTotal": total, "bytesUsed": total - found.f_bfree * found.f_frsize, "bytesRemaining": free}
