"""Tasks that bring no bytes: look at a file, take one away, rename a folder.

Owns: how each of them is carried out on the disk and noted in `held`.
Must not know: the queue, leases beyond showing one before a change.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Awaitable, Callable, Container, Sequence

from msgspec.structs import replace

from everysite.agent.arrival import failure
from everysite.agent.ground import Ground
from everysite.agent.trash import discard
from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.reading import peek
from everysite.disk.threads import in_thread, stoppable
from everysite.disk.walk import files_below
from everysite.errors import Conflict, EverysiteError, NotFound, Refused, SiteUnreachable, StaleLease
from everysite.index.contract import HeldFile, Transaction
from everysite.model.path import Name, name_in, to_text
from everysite.observe.followed import files_moved, folder_moved
from everysite.observe.hashing import Failed, Looked, look, look_at, matches
from everysite.tracker.agent_messages import Job, Result

_STEP = 1000  # files noted in one unit

Looks = dict[str, tuple[bytes, HeldFile]]
"""Path of a job -> (folder, file) as `held` keeps it."""

Show = Callable[[Job], Awaitable[None]]
"""Shows the lease for a job right before the disk is changed. Raises StaleLease, Transient."""


class Errands:
    """The `inspect`, `absent` and `move` jobs of a mapping. All raise SiteUnreachable (our folder), StaleLease, Transient."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._looks: Looks = {}

    async def inspect(self, jobs: Sequence[Job]) -> list[Result]:
        """What is under these paths. `held` learns it by `note`, once the tracker has heard."""
        ground = self._ground
        names, results = self._names(jobs)
        looks = await stoppable(ground.stop, look_at, ground.root, [name for _, name in names], ground.stop)
        for (job, _), seen in zip(names, looks, strict=True):
            if isinstance(seen, Looked):
                results[job.path] = Result(job.path, job.gen, True, seen.content)
                self._looks[job.path] = (seen.name.rpartition(b"/")[0], seen.file)
            else:
                results[job.path] = failure(job, seen.error)
        return [results[job.path] for job in jobs]

    def take_looks(self) -> Looks:
        """What was looked at since the last call."""
        looks, self._looks = self._looks, {}
        return looks

    async def note(self, looks: Looks, refused: Container[str]) -> None:
        """Have what the tracker has heard of held. What it refused, or after a crash all of it, the next scan tells."""
        put = [file for path, file in looks.items() if path not in refused]
        if put:
            await self._ground.held.run(lambda tx: tx.held.put(self._ground.mapping.id, put))

    async def absent(self, job: Job, show: Show) -> Result:
        """Have nothing under this path; what was there goes to the trash, if it is what we know."""
        ground = self._ground
        try:
            name = name_in(job.path, ground.mapping.prefix)
            [held] = await ground.held.read(lambda tx: tx.held.get(ground.mapping.id, [name]))
            async with ground.turn:
                await show(job)
                await stoppable(ground.stop, self._remove, job, name, held)
                await ground.held.run(lambda tx: tx.held.remove(ground.mapping.id, [name]))
        except SiteUnreachable:
            raise
        except Refused as err:
            return _failed(job, err)
        return Result(job.path, job.gen, True)

    def _remove(self, job: Job, name: Name, held: HeldFile | None) -> None:
        landing = Landing(Root(self._ground.root))
        try:
            try:
                folder, leaf = landing.root.split(name)
            except NotFound:
                return
            found = peek(folder, leaf)
            if found is None:
                return
            if not stat.S_ISREG(found.st_mode):
                raise Conflict(f"{job.path}: what is there is no file; it stays")
            if not self._known(landing.root, job, name, found, held):
                raise Conflict(f"{job.path}: it was changed here; it stays, publish it or remove it by hand")
            discard(landing, name)
            landing.settle()
        finally:
            landing.close()

    def _known(self, root: Root, job: Job, name: Name, found: os.stat_result, held: HeldFile | None) -> bool:
        if held is not None and matches(held, found):
            return True
        looked = look(root, name, self._ground.stop)
        if isinstance(looked, Failed):
            raise looked.error
        known = {held.digest if held is not None else b"", job.content.digest if job.content is not None else b""}
        return looked.file.digest in known

    async def move(self, job: Job, show: Show) -> Result:
        """Rename the folder `source` to `path`, or what is in it where a folder of that name is there already."""
        ground = self._ground
        try:
            old, new = name_in(job.source, ground.mapping.prefix), name_in(job.path, ground.mapping.prefix)
            async with ground.turn:
                await show(job)
                moved = await in_thread(_move_folder, ground.root, old, new)
                await self._note_move(old, new, moved)
        except SiteUnreachable:
            raise
        except Refused as err:
            return _failed(job, err)
        return Result(job.path, job.gen, True)

    async def _note_move(self, old: Name, new: Name, moved: list[tuple[bytes, bytes]] | None) -> None:
        mapping = self._ground.mapping.id
        if moved is None:

            def whole(tx: Transaction) -> None:
                folder_moved(tx, mapping, old, new)

            await self._ground.held.run(whole)
            return
        for at in range(0, len(moved), _STEP):
            step = moved[at : at + _STEP]

            def unit(tx: Transaction, step: Sequence[tuple[bytes, bytes]] = step) -> None:
                gone = [was for was, _ in step]
                files = tx.held.get(mapping, gone)
                tx.held.remove(mapping, gone)
                known = [(now, file) for (_, now), file in zip(step, files, strict=True) if file is not None]
                tx.held.put(mapping, [(now.rpartition(b"/")[0], _named(file, now)) for now, file in known])
                files_moved(tx, mapping, dict(step))

            await self._ground.held.run(unit)

    def _names(self, jobs: Sequence[Job]) -> tuple[list[tuple[Job, Name]], dict[str, Result]]:
        names, results = [], {}
        for job in jobs:
            try:
                names.append((job, name_in(job.path, self._ground.mapping.prefix)))
            except EverysiteError as err:
                results[job.path] = failure(job, err)
        return names, results


def _failed(job: Job, err: Refused) -> Result:
    if isinstance(err, StaleLease):
        raise err
    return failure(job, err)


def _named(file: HeldFile, name: bytes) -> HeldFile:
    return replace(file, name=name.rpartition(b"/")[2])


def _move_folder(root_path: bytes, old: Name, new: Name) -> list[tuple[bytes, bytes]] | None:
    """None: one rename did it. Else (old, new) of the files that were renamed one by one; what is in the way stays."""
    landing = Landing(Root(root_path))
    root = landing.root
    try:
        try:
            old_folder, old_leaf = root.split(old)
        except NotFound:
            return []
        found = peek(old_folder, old_leaf)
        if found is None:
            return []
        if not stat.S_ISDIR(found.st_mode):
            raise Conflict(f"{to_text(old)} is no folder here")
        folder, leaf = root.split(new, make=True)
        if peek(folder, leaf) is None:
            try:
                root.system.rename_new(old_folder.prefix + old_leaf, folder.prefix + leaf, old_folder.fd, folder.fd)
            except OSError as err:
                raise explain(err, folder.full(leaf), "renaming the folder") from err
            root.touched |= {old.rpartition(b"/")[0], new.rpartition(b"/")[0]}
            return None
        return _merge(landing, old, new)
    finally:
        with contextlib.suppress(SiteUnreachable):
            landing.settle()
        landing.close()


def _merge(landing: Landing, old: Name, new: Name) -> list[tuple[bytes, bytes]]:
    moved: list[tuple[bytes, bytes]] = []
    for name, _ in list(files_below(landing.root, old)):
        to = new + name[len(old) :]
        with contextlib.suppress(
            Conflict
        ):  # what is there has an element of its own; the file under the old name stays
            landing.rename(name, to, None)
            moved.append((name, to))
    _prune(landing.root.path, old)
    return moved


def _prune(root: bytes, folder: bytes) -> None:
    """Remove folders that are empty now."""
    for path, _, _ in os.walk(root + b"/" + folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)
