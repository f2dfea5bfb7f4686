"""Packages carried out: a whole folder brought, looked at, or taken away, as one thing.

Owns: the order of it: look, list of parts, parts staged in a folder beside, one switch, note in `held`.
Must not know: how single files come, the queue.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence

import msgspec

from everysite.agent.arrival import Arrival, Supply, failure
from everysite.agent.errands import Show
from everysite.agent.ground import Ground
from everysite.agent.link import Line
from everysite.agent.supply import Supplier, supplies_of
from everysite.agent.trash import discard_folder
from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.reading import peek
from everysite.disk.stages import new_token, stage_of
from everysite.disk.threads import in_thread, stoppable
from everysite.errors import (
    Conflict,
    EverysiteError,
    NotFound,
    Refused,
    SiteUnreachable,
    SourceChanged,
    StaleLease,
    Transient,
)
from everysite.index.contract import HeldFile, Transaction
from everysite.model.element import Content
from everysite.model.path import Name, name_in, to_text
from everysite.observe.hashing import held_file
from everysite.observe.packages import (
    Part,
    content_of,
    decode,
    held_parts,
    look_at_package,
    part,
    remember,
)
from everysite.tracker.agent_messages import Claimed, Fetch, Job, Result, WantedFile
from everysite.transfer.frames import Decoder, Failed, Piece

_LIST = 64 << 20  # bytes a list of parts may have


class Packages:
    """The tasks of a mapping whose path ends with '/'. All raise SiteUnreachable (our folder), StaleLease, Transient."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def carry_out(self, job: Job, claimed: Claimed, show: Show, folders: dict[str, bytes]) -> Result:
        """`folders`: those of this machine by store url."""
        try:
            name = name_in(job.path, self._ground.mapping.prefix)
            if job.kind == "inspect":
                return await self._inspect(job, name)
            if job.kind == "absent":
                return await self._absent(job, name, show)
            return await self._present(job, name, claimed, show, folders)
        except (SiteUnreachable, StaleLease):
            raise
        except EverysiteError as err:
            return failure(job, err)

    async def _look(self, name: Name) -> tuple[dict[bytes, HeldFile], dict[bytes, HeldFile]]:
        """(held, there) of a package."""
        ground = self._ground
        held = await ground.held.read(lambda tx: held_parts(tx, ground.mapping.id, name), scan=True)
        return held, await stoppable(ground.stop, look_at_package, ground.root, name, held, ground.stop)

    async def _inspect(self, job: Job, name: Name) -> Result:
        held, there = await self._look(name)
        if not there:
            raise NotFound(f"{job.path}: there is no such folder, or no file in it")
        await self._note(name, held, there)
        return Result(job.path, job.gen, True, _content(there))

    async def _absent(self, job: Job, name: Name, show: Show) -> Result:
        ground = self._ground
        async with ground.turn:
            held, there = await self._look(name)
            known = [_content(held).digest, job.content.digest if job.content is not None else b""]
            if there and _content(there).digest not in known:
                raise Conflict(f"{job.path}: it was changed here; it stays, publish it or remove it by hand")
            await show(job)
            if there:
                await in_thread(_throw_away, ground.root, name)
            await self._note(name, held, {})
        return Result(job.path, job.gen, True)

    async def _present(self, job: Job, name: Name, claimed: Claimed, show: Show, folders: dict[str, bytes]) -> Result:
        if job.content is None:
            raise Refused(f"{job.path}: nobody has looked at its content yet")
        held, there = await self._look(name)
        if there and (digest := _content(there).digest) != job.content.digest:
            if digest not in (_content(held).digest, job.replaces):
                return Result(job.path, job.gen, True, conflict=digest)
        elif there:
            await self._note(name, held, there)
            return Result(job.path, job.gen, True, job.content)
        stage = stage_of(name, new_token())
        await self._ground.journal.open_folder(stage)
        try:
            there = await self._bring(job, stage, supplies_of(job, claimed.places, self._ground.host, folders))
            async with self._ground.turn:
                await show(job)
                await in_thread(_switch, self._ground.root, stage, name)
                await self._note(name, held, there)
        finally:
            await in_thread(_remove_stage, self._ground.root, stage)
            await self._ground.journal.close_folder(stage)
        return Result(job.path, job.gen, True, job.content)

    async def _bring(self, job: Job, stage: bytes, supplies: Sequence[Supply]) -> dict[bytes, HeldFile]:
        """Stage the parts from the first source that has them."""
        problem: EverysiteError = Transient(f"{job.path}: no site that has it is connected; it comes when one is")
        for supply in supplies:
            try:
                parts = await self._parts(job, supply)
                if content_of(parts).digest != (job.content.digest if job.content else b""):
                    raise SourceChanged(f"{job.path}: it is not what was announced; the next scan tells what it is")
                return await self._stage(job, stage, supply, parts)
            except (NotFound, Transient) as err:
                if isinstance(err, SiteUnreachable):
                    raise
                problem = err
        raise problem

    async def _parts(self, job: Job, supply: Supply) -> list[Part]:
        if supply.root:
            try:
                found = await stoppable(
                    self._ground.stop, look_at_package, supply.root, supply.name, {}, self._ground.stop
                )
            except SiteUnreachable as err:
                raise Transient(f"the source cannot be read: {err}") from err
            return [part(name, file) for name, file in found.items()]
        return await fetch_parts(self._ground.link, supply.site, job)

    async def _stage(self, job: Job, stage: bytes, supply: Supply, parts: Sequence[Part]) -> dict[bytes, HeldFile]:
        root = self._ground.root + b"/" + stage
        landing = await in_thread(_make_stage, self._ground.root, stage)
        arrivals = [_arrival(job, supply, each) for each in parts]
        try:
            await Supplier(self._ground.link, landing, root, self._ground.stop).bring(arrivals)
            for arrival in arrivals:
                if arrival.error is not None:
                    raise arrival.error
            return await in_thread(_unfold, landing, arrivals)
        finally:
            await in_thread(_close, landing, arrivals)

    async def _note(self, name: Name, held: dict[bytes, HeldFile], there: dict[bytes, HeldFile]) -> None:
        mapping = self._ground.mapping.id

        def unit(tx: Transaction) -> None:
            tx.held.remove(mapping, [name + b"/" + each for each in held if each not in there])
            tx.held.put(mapping, [((name + b"/" + each).rpartition(b"/")[0], file) for each, file in there.items()])
            remember(tx, mapping, name, bool(there))

        await self._ground.held.run(unit)


async def fetch_parts(link: Line, site: str, job: Job) -> list[Part]:
    """The list of a package's parts, from another site. Raises Transient, and what the site says."""
    body, decoder = b"", Decoder()
    async for chunk in link.fetch(Fetch(site, [WantedFile(job.path)])):
        for event in decoder.feed(chunk):
            match event:
                case Piece():
                    body += event.data
                    if len(body) > _LIST:
                        raise Refused(f"{job.path}: the list of its parts is too long")
                case Failed():
                    raise event.error
    decoder.close()
    try:
        return decode(body)
    except msgspec.DecodeError as err:
        raise Transient(f"{job.path}: what {site} sent is no list of parts") from err


def _content(files: dict[bytes, HeldFile]) -> Content:
    return content_of(part(name, file) for name, file in files.items())


def _arrival(job: Job, supply: Supply, each: Part) -> Arrival:
    inner = Job(job.path + to_text(each.name), "present", job.gen, each.content)
    source = Supply(supply.site, supply.root, supply.name + b"/" + each.name if supply.root else b"")
    return Arrival(inner, name_in(inner.path, job.path), each.content, supplies=[source])


def _make_stage(root: bytes, stage: bytes) -> Landing:
    with Root(root) as opened:
        above, _, leaf = stage.rpartition(b"/")
        folder = opened.folder(above, make=True)
        try:
            os.mkdir(folder.prefix + leaf, 0o777, dir_fd=folder.fd)
        except OSError as err:
            raise explain(err, folder.full(leaf), "making the folder") from err
    return Landing(Root(root + b"/" + stage))


def _unfold(landing: Landing, arrivals: Sequence[Arrival]) -> dict[bytes, HeldFile]:
    """Give the parts their names, inside the stage."""
    landing.sync()
    found: dict[bytes, HeldFile] = {}
    for arrival in arrivals:
        assert arrival.landing is not None
        stat_now = arrival.landing.publish(arrival.name, None)
        found[arrival.name] = held_file(arrival.name, stat_now, arrival.content.digest)
    landing.root.touched |= {arrival.name.rpartition(b"/")[0] for arrival in arrivals}
    landing.settle()
    return found


def _close(landing: Landing, arrivals: Sequence[Arrival]) -> None:
    for arrival in arrivals:
        if arrival.landing is not None and arrival.landing is not landing:
            arrival.landing.close()
    landing.close()


def _switch(root: bytes, stage: bytes, name: bytes) -> None:
    """The staged folder takes its place; the old one is in the trash afterwards."""
    landing = Landing(Root(root))
    opened = landing.root
    try:
        above, _, stage_leaf = stage.rpartition(b"/")
        folder, leaf = opened.folder(above), name.rpartition(b"/")[2]
        found = peek(folder, leaf)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            raise Conflict(f"{to_text(folder.full(leaf))}: a file is in the place of the folder; rename one of the two")
        if found is not None and not _exchange(opened, stage, name):
            discard_folder(landing, name)
            found = None
        if found is None:
            try:
                opened.system.rename_new(folder.prefix + stage_leaf, folder.prefix + leaf, folder.fd, folder.fd)
            except OSError as err:
                raise explain(err, folder.full(leaf), "putting it in place") from err
        else:
            discard_folder(landing, stage, name)
        opened.touched.add(above)
        landing.settle()
    finally:
        landing.close()


def _exchange(root: Root, stage: bytes, name: bytes) -> bool:
    """Swap two folders in one step, where the system can: nobody ever sees neither."""
    above, _, stage_leaf = stage.rpartition(b"/")
    folder, leaf = root.folder(above), name.rpartition(b"/")[2]
    return root.system.exchange(folder.prefix + stage_leaf, folder.prefix + leaf, folder.fd)


def _throw_away(root: bytes, name: bytes) -> None:
    landing = Landing(Root(root))
    try:
        discard_folder(landing, name)
        landing.settle()
    finally:
        landing.close()


def _remove_stage(root: bytes, stage: bytes) -> None:
    shutil.rmtree(root + b"/" + stage, ignore_errors=True)
