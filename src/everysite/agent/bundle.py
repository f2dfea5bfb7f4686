"""Files of one lease brought into place together.

Owns: the order of a bundle: look, journal, bytes, one sync, show the lease, last renames, note in `held`.
Must not know: the queue, how results are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from urllib.parse import unquote_to_bytes, urlsplit

from everysite.agent.arrival import Arrival, Supply, failure, put_in_place, read_back, survey
from everysite.agent.ground import Ground
from everysite.agent.journal import Entry
from everysite.agent.supply import Supplier, supplies_of
from everysite.agent.trash import discard
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.stages import stage_of
from everysite.disk.threads import in_thread, stoppable
from everysite.errors import PathRefused, Refused, StaleLease
from everysite.index.contract import HeldFile, Transaction
from everysite.model.path import Name, below, name_in
from everysite.tracker.agent_messages import Check, Claimed, Job, Place, Result
from everysite.tracker.contract import CHECK


def folder_of(url: str) -> bytes | None:
    """The folder a store url names on this machine, None for other kinds."""
    parts = urlsplit(url)
    path = unquote_to_bytes(parts.path)
    return path.rstrip(b"/") or b"/" if parts.scheme == "file" and not parts.netloc and path.startswith(b"/") else None


class Bundle:
    """The `present` jobs of one claim."""

    def __init__(self, ground: Ground, claimed: Claimed, epoch: int, page: int) -> None:
        self._ground, self._claimed, self._epoch, self._page = ground, claimed, epoch, page
        self._stages: set[bytes] = set()  # that the journal names
        self._owes_note = False  # the journal waits for a note

    async def carry_out(self, jobs: Sequence[Job]) -> list[Result]:
        """Results in the order of the jobs. Raises SiteUnreachable (our folder), StaleLease, Transient (the tracker)."""
        results: dict[str, Result] = {}
        arrivals = self._arrivals(jobs, results)
        await self._recall(arrivals)
        landing = await in_thread(self._landing)
        try:
            await stoppable(self._ground.stop, survey, landing.root, arrivals, self._ground.stop)
            await self._bring(landing, arrivals)
            await self._publish(landing, arrivals)
        finally:
            await in_thread(_close, landing, arrivals)
            await self._note_left(landing, arrivals)
        for arrival in arrivals:
            results[arrival.job.path] = arrival.result
        return [results[job.path] for job in jobs]

    def _arrivals(self, jobs: Sequence[Job], results: dict[str, Result]) -> list[Arrival]:
        prefix = self._ground.mapping.prefix
        found = []
        for job in jobs:
            try:
                if job.content is None:
                    raise Refused(f"{job.path}: nobody has looked at its content yet")
                old = name_in(job.source, prefix) if job.source and below(job.source, prefix) else None
                found.append(Arrival(job, name_in(job.path, prefix), job.content, old=old))
            except (PathRefused, Refused) as err:
                results[job.path] = failure(job, err)
        return found

    async def _recall(self, arrivals: Sequence[Arrival]) -> None:
        """What is held under these names, and where else we have their content."""
        mapping = self._ground.mapping.id
        names: list[bytes] = [arrival.name for arrival in arrivals]
        olds: list[bytes] = [arrival.old for arrival in arrivals if arrival.old is not None]
        digests = [arrival.content.digest for arrival in arrivals]

        def unit(
            tx: Transaction,
        ) -> tuple[list[HeldFile | None], dict[bytes, HeldFile | None], dict[bytes, bytes]]:
            before = dict(zip(olds, tx.held.get(mapping, olds), strict=True))
            return tx.held.get(mapping, names), before, tx.held.with_digest(mapping, digests)

        held, before, alike = await self._ground.held.read(unit)
        folders = folders_of(self._claimed.places, self._ground.host)
        for arrival, file in zip(arrivals, held, strict=True):
            arrival.held = file
            arrival.held_old = before.get(arrival.old) if arrival.old is not None else None
            arrival.supplies = supplies_of(arrival.job, self._claimed.places, self._ground.host, folders)
            own = alike.get(arrival.content.digest)
            if own is not None and own != arrival.name and arrival.content.size:
                arrival.supplies.insert(0, Supply("", self._ground.root, Name(own)))

    def _landing(self) -> Landing:
        return Landing(Root(self._ground.root))

    async def _bring(self, landing: Landing, arrivals: Sequence[Arrival]) -> None:
        waiting = [arrival for arrival in arrivals if arrival.needs_bytes]
        self._stages = {stage_of(a.name, token) for a in waiting for token in (landing.token, a.content.digest)}
        self._owes_note = True
        entries = [Entry(a.name, a.content.size, a.content.mtime_ns, a.content.digest) for a in arrivals if a.open]
        await self._ground.journal.open(self._page, sorted(self._stages), entries)
        supplier = Supplier(self._ground.link, landing, self._ground.root, self._ground.stop)
        await supplier.bring(waiting)
        await in_thread(landing.sync)
        if self._ground.options.read_back or self._ground.mapping.policy.read_back:
            await stoppable(self._ground.stop, read_back, waiting)

    async def _publish(self, landing: Landing, arrivals: Sequence[Arrival]) -> None:
        """Under the turn of the tree: nobody takes what appears now for a change."""
        ready = [arrival for arrival in arrivals if arrival.open]
        async with self._ground.turn:
            ready = await self._allowed(ready)
            self._ground.holder.show(self._claimed.lease, self._epoch)
            await in_thread(put_in_place, landing, ready)
            removed = await in_thread(self._clear_up, landing, ready)
            await self._note(landing, ready, removed)

    async def _allowed(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Show the lease. Raises StaleLease, and Transient when the tracker cannot be asked."""
        changes = [(a.job.path, a.job.gen) for a in arrivals]
        if not changes:
            return []
        check = Check(self._ground.mapping.id, self._epoch, self._claimed.lease, changes)
        refused = set((await self._ground.link.call(CHECK, check)).refused)
        for arrival in arrivals:
            if arrival.job.path in refused:
                arrival.fail(StaleLease(f"{arrival.job.path}: something newer is wished by now"))
        return [arrival for arrival in arrivals if arrival.open]

    def _clear_up(self, landing: Landing, arrivals: Sequence[Arrival]) -> list[bytes]:
        """Copies under old names that were renamed, or are of no use any more."""
        removed: list[bytes] = []
        for arrival in arrivals:
            if arrival.file is None or arrival.old is None or not (arrival.moves or arrival.leftover):
                continue
            if arrival.leftover:
                discard(landing, arrival.old)
            removed.append(arrival.old)
        return removed

    async def _note(self, landing: Landing, arrivals: Sequence[Arrival], removed: Sequence[bytes] = ()) -> None:
        """What is in its place now. The stages of the others are there until the landing is closed."""
        arrived = [arrival for arrival in arrivals if arrival.file is not None]
        gone = {stage_of(a.name, token) for a in arrived for token in (landing.token, a.content.digest)}
        put = [(a.name.rpartition(b"/")[0], a.file) for a in arrived if a.file is not None]
        await self._ground.journal.close(self._page, sorted(self._stages & gone), put, removed)
        self._stages -= gone
        self._owes_note = False

    async def _note_left(self, landing: Landing, arrivals: Sequence[Arrival]) -> None:
        """Once the landing is closed only large files that came in part have a stage; their journal stays."""
        if self._owes_note:
            await self._note(landing, arrivals)
        gone = self._stages - {stage_of(a.name, a.content.digest) for a in arrivals if a.file is None}
        if gone:
            await self._ground.journal.close(self._page, sorted(gone))


def folders_of(places: dict[str, list[Place]], host: str) -> dict[str, bytes]:
    """Store url -> folder of the places on this machine."""
    found = {}
    for place in chain.from_iterable(places.values()):
        folder = folder_of(place.url) if host and place.host == host else None
        if folder is not None:
            found[place.url] = folder
    return found


def _close(landing: Landing, arrivals: Sequence[Arrival]) -> None:
    for arrival in arrivals:
        if arrival.landing is not None and arrival.landing is not landing:
            arrival.landing.close()
    landing.close()
