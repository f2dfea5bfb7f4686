"""Files that were brought here without the tracker having heard of it.

Owns: what becomes of them after a crash, or after a lease that was lost in the middle of a settle.
Must not know: how they were brought.

The tracker takes such a site for one that has no copy. So a delete or a rename of the file since then was not passed on,
and the copy would stay for ever. What is still a file is told; what is none any more goes to the trash.
"""

from __future__ import annotations

from collections.abc import Sequence

from everysite.agent.ground import Ground
from everysite.agent.trash import discard
from everysite.decide.plan import GONE
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.reading import peek
from everysite.disk.threads import in_thread
from everysite.errors import EverysiteError, NotFound, SiteUnreachable
from everysite.index.contract import HeldFile
from everysite.model.element import Body
from everysite.model.path import key_of
from everysite.observe.hashing import content_of, matches
from everysite.tracker.agent_messages import Announce, SeenItem
from everysite.tracker.contract import ANNOUNCE, READ
from everysite.tracker.messages import Ids

_STEP = 1000


async def reconcile(ground: Ground, page: int, epoch: int) -> None:
    """Make up for the settles this page of the journal still owes. Raises Transient, StaleLease, SiteUnreachable."""
    names = await ground.journal.unsettled(page)
    for at in range(0, len(names), _STEP):
        async with ground.turn:
            await _step(ground, names[at : at + _STEP], epoch)
    if names:
        await ground.journal.settled(page)


async def _step(ground: Ground, names: Sequence[bytes], epoch: int) -> None:
    mapping = ground.mapping
    files = await ground.held.read(lambda tx: tx.held.get(mapping.id, names))
    keys = [key_of(name, mapping.prefix) for name in names]
    bodies = (await ground.link.call(READ, Ids(list(keys)))).items
    told: list[SeenItem] = []
    unwanted: list[tuple[bytes, HeldFile]] = []
    for name, file, key, body in zip(names, files, keys, bodies, strict=True):
        if file is None:
            continue
        if body is None or body.get(GONE):
            unwanted.append((name, file))
        elif _is_this(file, body):
            told.append(SeenItem(key, content_of(file)))
    gone = await in_thread(_take_away, ground.root, unwanted)
    await ground.held.run(lambda tx: tx.held.remove(mapping.id, gone))
    if told:
        await ground.link.call(ANNOUNCE, Announce(mapping.id, epoch, told))


def _is_this(file: HeldFile, body: Body) -> bool:
    """Whether the copy is the newest content; an older one is about to be replaced anyway."""
    return bool(body.get("file_size") == file.size and body.get("file_mtime") == file.mtime_ns // 1_000_000)


def _take_away(root: bytes, files: Sequence[tuple[bytes, HeldFile]]) -> list[bytes]:
    """Move to the trash what is still as we brought it."""
    gone: list[bytes] = []
    landing = Landing(Root(root))
    try:
        for name, file in files:
            try:
                folder, leaf = landing.root.split(name)
                found = peek(folder, leaf)
                if found is not None and matches(file, found):
                    discard(landing, name)
                    gone.append(name)
            except NotFound:
                continue
            except SiteUnreachable:
                raise
            except EverysiteError:
                continue  # something else is there; the scan tells
        landing.settle()
    finally:
        landing.close()
    return gone
