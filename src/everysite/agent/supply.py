"""Bytes for files that are to arrive: from this machine's disks, else from another site by way of the tracker.

Owns: the order in which sources are tried, and that the fault of a source stays a fault of its files.
Must not know: leases, what happens after the bytes are staged.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from everysite.agent.arrival import Arrival, Supply, theirs
from everysite.agent.incoming import receive
from everysite.agent.link import Line
from everysite.disk.copying import copy_into
from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Landing
from everysite.disk.threads import stoppable
from everysite.errors import (
    Cancelled,
    EverysiteError,
    NotFound,
    PathRefused,
    SiteUnreachable,
    SourceChanged,
    TargetFull,
    Transient,
)
from everysite.model.path import below, name_in, to_text
from everysite.tracker.agent_messages import Job, Place


def supplies_of(job: Job, places: dict[str, list[Place]], host: str, folder_of: dict[str, bytes]) -> list[Supply]:
    """Where a file's bytes may come from, nearest first. `folder_of`: folders of this machine by store url."""
    found: list[Supply] = []
    for site in job.sources:
        covering = [place for place in places.get(site, ()) if below(job.path, place.prefix)]
        if not covering:
            continue
        place = max(covering, key=lambda place: len(place.prefix))
        if host and place.host == host and place.url in folder_of:
            try:
                found.append(Supply(site, folder_of[place.url], name_in(job.path, place.prefix)))
            except PathRefused:
                continue
        if place.online:
            found.append(Supply(site))
    return found


class Supplier:
    """Stages the bytes of arrivals in one landing."""

    def __init__(self, link: Line, landing: Landing, root: bytes, stop: threading.Event) -> None:
        self._link, self._landing, self._root, self._stop = link, landing, root, stop

    async def bring(self, arrivals: Sequence[Arrival]) -> None:
        """Try the sources of every file one after the other. Raises SiteUnreachable for our own folder, Cancelled."""
        waiting = [arrival for arrival in arrivals if arrival.needs_bytes]
        for arrival in waiting:
            if not arrival.supplies:
                arrival.fail(Transient(f"{arrival.job.path}: no site that has it is connected; it comes when one is"))
        while waiting := [arrival for arrival in waiting if arrival.supplies and arrival.landing is None]:
            for (site, root), group in _grouped(waiting).items():
                for arrival in group:
                    arrival.error = None
                if root:
                    await stoppable(self._stop, self._copy, root, group)
                else:
                    await receive(self._link, site, group, self._landing, self._stop)
                for arrival in group:
                    if arrival.landing is None:
                        arrival.supplies.pop(0)

    def _copy(self, root: bytes, arrivals: Sequence[Arrival]) -> None:
        try:
            source = Root(root)
        except SiteUnreachable as err:
            for arrival in arrivals:
                arrival.fail(theirs(err))
            return
        with source:
            for arrival in arrivals:
                try:
                    self._copy_one(source, arrival)
                except (TargetFull, Cancelled):
                    raise
                except SiteUnreachable as err:
                    _blame(self._root, err)
                    arrival.fail(theirs(err))
                except NotFound as err:  # the target's folders are made, so it is the source that is gone
                    arrival.fail(theirs(err))
                except EverysiteError as err:
                    arrival.fail(err)

    def _copy_one(self, source: Root, arrival: Arrival) -> None:
        supply, content, landing = arrival.supplies[0], arrival.content, self._landing
        # A copy of our own under another name has times of its own; another site's has those that were announced.
        wanted = (content.size, content.mtime_ns, content.mode) if supply.site else None
        digest, _ = copy_into(landing, arrival.name, source, supply.name, wanted, self._stop)
        if digest != content.digest:
            landing.drop(arrival.name)
            raise SourceChanged(f"{to_text(supply.root + b'/' + supply.name)}: its content is not what was announced")
        if not supply.site:
            dress_stage(landing, arrival)
        arrival.landing = landing


def dress_stage(landing: Landing, arrival: Arrival) -> None:
    """Give a stage the times and mode of the file it is for."""
    folder, leaf = landing.staged(arrival.name)
    try:
        os.chmod(folder.prefix + leaf, arrival.content.mode & 0o777, dir_fd=folder.fd)
        times = (arrival.content.mtime_ns, arrival.content.mtime_ns)
        os.utime(folder.prefix + leaf, ns=times, dir_fd=folder.fd)
    except OSError as err:
        landing.drop(arrival.name)
        raise explain(err, folder.full(leaf), "setting its time and mode") from err


def _grouped(arrivals: Sequence[Arrival]) -> dict[tuple[str, bytes], list[Arrival]]:
    groups: dict[tuple[str, bytes], list[Arrival]] = {}
    for arrival in arrivals:
        supply = arrival.supplies[0]
        groups.setdefault((supply.site, supply.root), []).append(arrival)
    return groups


def _blame(root: bytes, err: SiteUnreachable) -> None:
    """Raises the error when it is our own folder that does not work."""
    try:
        Root(root).close()
        os.statvfs(root) if hasattr(os, "statvfs") else None
    except (OSError, SiteUnreachable):
        raise err from None
    if to_text(root) in str(err):
        raise err
