"""What the tracker believes to be here and is not: told as gone.

Owns: the comparison of the tracker's memory with the disk. Must not know: scans, why the tracker may be wrong.

A scan tells what is gone since the scan before it. A tracker that was put back to an earlier state believes in files
whose end it had been told already; so does one that would hear of no deletions for a while (enableDiscoveryDeletedFiles).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

from everysite.disk.threads import in_thread
from everysite.model.path import name_in
from everysite.model.site import Mapping
from everysite.observe import rootguard
from everysite.observe.telling import Announcer
from everysite.tracker.agent_messages import Recalled, SeenItem

Asker = Callable[[int], Awaitable[Recalled]]
"""Asks the tracker for a page of what it believes, after a place in it."""


async def recall(root: bytes, mapping: Mapping, ask: Asker, announce: Announcer, turn: asyncio.Lock) -> None:
    """Tell what is gone. To be called after a scan, which made sure that the folder is the right one.

    Raises SiteUnreachable (the folder went away meanwhile), and what `ask` and `announce` raise.
    """
    identity = await in_thread(rootguard.identity, root)
    after = 0
    while True:
        page = await ask(after)
        async with turn:
            lost = await in_thread(_lost, root, mapping.prefix, page.keys)
            await in_thread(rootguard.check, root, identity, True)
            if lost:
                await announce([SeenItem(key, package=key.endswith("/")) for key in lost], False)
        after = page.after
        if not after:
            return


def _lost(root: bytes, prefix: str, keys: Sequence[str]) -> list[str]:
    return [key for key in keys if not os.path.lexists(root + b"/" + name_in(key, prefix))]
