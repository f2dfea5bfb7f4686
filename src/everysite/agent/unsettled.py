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
from everysite.tracker.contract import ANNOUNCE, READ, STATUS
from everysite.tracker.messages import Ids, Nothing

_STEP = 1000


async def make_up(ground: Ground, page: int, epoch: int) -> bool:
    """Tell what this page of the journal still owes. Answers whether doubtful files are left: their content is not the
    newest, or they are no files of the tracker's under this path, which may mean that a rename is still to be done here.

    Raises Transient, StaleLease, SiteUnreachable."""
    names = await ground.journal.unsettled(page)
    doubtful: list[bytes] = []
    for at in range(0, len(names), _STEP):
        async with ground.turn:
            told, left, older = await _sorted(ground, names[at : at + _STEP])
            doubtful += [name for name, _ in (*left, *older)]
            if told:
                keys = {key_of(name, ground.mapping.prefix): name for name, _ in told}
                items = [SeenItem(k, content_of(f), brought=True) for k, (_, f) in zip(keys, told, strict=True)]
                answer = await ground.link.call(ANNOUNCE, Announce(ground.mapping.id, epoch, items))
                doubtful += [keys[key] for key in answer.refused]
    if names:
        await ground.journal.settled(page, doubtful)
    return bool(await ground.journal.doubtful(page))


async def clear_up(ground: Ground, page: int) -> bool:
    """When nothing waits for this site any more, whatever is doubtful still is of no use to anybody: it goes to the trash.
    Answers whether that is done. Raises Transient, SiteUnreachable."""
    names = await ground.journal.doubtful(page)
    for at in range(0, len(names), _STEP):
        async with ground.turn:
            # In this order: a rename that makes a path nobody's and the work that follows from it come at one moment.
            _, left, _ = await _sorted(ground, names[at : at + _STEP])
            status = await ground.link.call(STATUS, Nothing())
            if any(site.waiting or site.running for site in status.sites if site.name == ground.site):
                return False
            gone = await in_thread(_take_away, ground.root, left)
            await ground.held.run(lambda tx, gone=gone: tx.held.remove(ground.mapping.id, gone))  # type: ignore[misc]
    await ground.journal.no_doubt(page)
    return True


Copies = list[tuple[bytes, HeldFile]]


async def _sorted(ground: Ground, names: Sequence[bytes]) -> tuple[Copies, Copies, Copies]:
    """(copies of the newest content of a file, copies that are no file's, copies of older content) of those still held
    under these names."""
    files = await ground.held.read(lambda tx: tx.held.get(ground.mapping.id, names))
    keys: list[str | None] = [key_of(name, ground.mapping.prefix) for name in names]
    bodies = (await ground.link.call(READ, Ids(keys))).items
    newest: Copies = []
    nobodys: Copies = []
    older: Copies = []
    for name, file, body in zip(names, files, bodies, strict=True):
        if file is None:
            continue
        if body is None or body.get(GONE):
            nobodys.append((name, file))
        else:
            (newest if _is_this(file, body) else older).append((name, file))
    return newest, nobodys, older


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
