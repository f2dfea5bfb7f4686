"""One scan of a site's folder: a walk against what is held, and only the differences told.

Owns: the order of a scan; renamed folders, packages, and what is written down at its end.
Must not know: HTTP, when scans run, how single files are told.

A scan that is stopped or crashes anywhere repeats what it had not told; announcing twice changes nothing. Everything
that compares, tells and writes down runs under `turn`, which whoever writes to the tree at the same time shares.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from everysite.disk.faults import explain
from everysite.disk.threads import in_thread
from everysite.errors import Refused, StaleLease
from everysite.index.contract import HeldFolder, Index, Transaction
from everysite.model.site import Mapping
from everysite.observe import rootguard
from everysite.observe.apart import walk_apart
from everysite.observe.findings import Findings
from everysite.observe.folder import Folder, Skip
from everysite.observe.followed import folder_moved
from everysite.observe.hashing import passing
from everysite.observe.package_scan import PackageScan
from everysite.observe.packages import Matches, Owners, known
from everysite.observe.pending import Note
from everysite.observe.renames import Renames
from everysite.observe.scanned import Scanned
from everysite.observe.telling import ERRORS, Announcer, Teller
from everysite.observe.walk import walk
from everysite.tracker.agent_messages import SeenItem

_FOLDERS = 200  # walked folders a step
_LARGE = 500  # folders known of a tree that is worth a process of its own
_ROOT, _DONE = "root", "scanned"


async def scan(
    root: bytes,
    mapping: Mapping,
    held: Index,
    announce: Announcer,
    *,
    skip: Skip | None = None,
    turn: asyncio.Lock | None = None,
    stop: threading.Event | None = None,
    packages: Matches | None = None,
    processes: int = 1,
) -> Scanned:
    """Find and tell what changed below `root` since the last scan. `packages`: which folders are, next to those known.

    A large tree without patterns is walked by so many `processes`, apart from this one when there is more than one.

    Raises SiteUnreachable (the folder is not there), Cancelled (`stop` was set), and what `announce` raises.
    """
    return await _Scan(
        root, mapping, held, announce, skip, turn or asyncio.Lock(), stop or threading.Event(), packages, processes
    ).run()


async def forget(mapping: int, held: Index) -> None:
    """Have the next scan count as the first one: everything is told again."""

    def unit(tx: Transaction) -> None:
        for folder in tx.held.folders(mapping):
            if not folder.parent:
                tx.held.remove_folder(mapping, folder.path)
        tx.set_meta(f"{_DONE}:{mapping}", None)

    await held.run(unit)


class _Scan:
    def __init__(
        self,
        root: bytes,
        mapping: Mapping,
        held: Index,
        announce: Announcer,
        skip: Skip | None,
        turn: asyncio.Lock,
        stop: threading.Event,
        packages: Matches | None,
        processes: int,
    ) -> None:
        self._matches = packages
        self._processes = processes
        self._owners = Owners(lambda folder: False)
        self._touched: set[bytes] = set()  # packages that changed inside
        self._root, self._mapping, self._held = root, mapping, held
        self._skip, self._turn, self._stop = skip, turn, stop
        self._teller = Teller(root, mapping, held, announce, turn, stop)

    async def run(self) -> Scanned:
        began = time.monotonic()
        identity = await self._begin()
        await self._know_packages()
        await self._make_up()
        findings = await self._walk()
        await self._rename_folders(findings)
        self._set_packages_aside(findings)
        renames = Renames(findings.gone)
        await self._teller.tell_changed(findings.changed, renames)
        await in_thread(rootguard.check, self._root, identity, True)  # it may have been unmounted meanwhile
        await self._tell_packages()
        await self._teller.tell_gone(findings.gone, renames)
        await self._drop_folders(findings)
        await self._tell_lost()
        await self._end(findings, identity)
        self._list_errors(findings)
        return Scanned(
            findings.files, findings.bytes, len(findings.marks), time.monotonic() - began,
            self._teller.counts, self._teller.errors, self._teller.unsettled,
        )  # fmt: skip

    # --- begin and end ---

    async def _begin(self) -> str:
        def facts(tx: Transaction) -> tuple[str, bool, bool]:
            holds = any(folder.inode or folder.fingerprint for folder in tx.held.folders(self._mapping.id))
            return tx.meta(self._meta(_ROOT)) or "", holds, tx.meta(self._meta(_DONE)) is None

        known, holds, self._teller.first = await self._held.read(facts, scan=True)
        return await in_thread(rootguard.check, self._root, known, holds)

    async def _make_up(self) -> None:
        """Tell again what a scan that was killed may have left half told."""
        note = await self._teller.pending.read()
        async with self._turn:
            if note.folder is not None:
                await self._rename_folder(*note.folder)
            for folder in note.packages:
                await self._package_scan().tell(folder)

    async def _tell_lost(self) -> None:
        """What that scan may have told and what has gone since: nothing but the note knows of it."""
        async with self._turn:
            lost = await self._teller.pending.lost(self._root)
            if lost:
                await self._teller.call([SeenItem(self._teller.key(path)) for path in lost])
            await self._held.run(self._teller.pending.clear)

    async def _end(self, findings: Findings, identity: str) -> None:
        """Folders whose differences are all told need no second look while their fingerprint stays; the others are known
        by their inode, so that a rename is seen as one."""
        marks = [
            (path, inode, b"" if self._untold_in(path) else mark) for path, (inode, mark) in findings.marks.items()
        ]
        for at in range(0, len(marks), _FOLDERS):
            step = [HeldFolder(*mark) for mark in marks[at : at + _FOLDERS]]

            def unit(tx: Transaction, step: Sequence[HeldFolder] = step) -> None:
                for folder in step:
                    tx.held.put_folder(self._mapping.id, folder)

            await self._held.run(unit, "bulk")

        def done(tx: Transaction) -> None:
            tx.set_meta(self._meta(_ROOT), identity)
            tx.set_meta(self._meta(_DONE), "1")

        await self._held.run(done)

    def _untold_in(self, folder: bytes) -> bool:
        return folder in self._teller.untold or self._owners.of(folder) in self._touched

    def _meta(self, fact: str) -> str:
        return f"{fact}:{self._mapping.id}"

    def _list_errors(self, findings: Findings) -> None:
        for path, number in findings.errors:
            if len(self._teller.errors) < ERRORS:
                err = OSError(number, os.strerror(number))
                self._teller.errors.append(str(explain(err, self._root + b"/" + path, "reading")))

    # --- the walk ---

    async def _walk(self) -> Findings:
        findings = Findings(await self._held.read(lambda tx: tx.held.folders(self._mapping.id), scan=True))
        folders = self._folders(findings.known)
        while step := await in_thread(_next, folders, self._root):
            await self._held.read(lambda tx, step=step: _add(findings, tx, step), scan=True)  # type: ignore[misc]
            self._teller.check_stopped()
        return findings

    def _folders(self, known: dict[bytes, bytes]) -> Iterator[Folder]:
        if self._processes > 1 and self._skip is None and len(known) >= _LARGE:
            return walk_apart(self._root, self._processes, known)
        return walk(self._root, 1, self._skip, known)

    async def _rename_folders(self, findings: Findings) -> None:
        """Folders first: what is below them then differs in nothing."""
        if findings.strangers:
            async with self._turn:
                await self._refresh(findings)
                pairs = await self._held.read(lambda tx: findings.renamed(tx.held.files), scan=True)
                for old, new in pairs:
                    await self._rename_folder(old, new)
                if pairs:
                    await self._refresh(findings)
        await self._held.read(lambda tx: findings.settle_strangers(tx.held.files), scan=True)

    async def _refresh(self, findings: Findings) -> None:
        findings.refresh(await self._held.read(lambda tx: tx.held.folders(self._mapping.id), scan=True))

    async def _rename_folder(self, old: bytes, new: bytes) -> None:
        inside = {owner for path in (old, new) if (owner := self._owners.of(path.rpartition(b"/")[0]))}
        if inside:
            self._touched |= inside  # what moves within, into or out of a package is no rename of its own
            return
        item = SeenItem(self._teller.key(new) + "/", was=self._teller.key(old) + "/")
        await self._teller.pending.write(Note(folder=(old, new)))
        try:
            await self._teller.call([item])
        except StaleLease:
            raise
        except Refused:
            await self._held.run(self._teller.pending.clear)
            return  # told as files that are gone and files that are new

        def unit(tx: Transaction) -> None:
            folder_moved(tx, self._mapping.id, old, new)
            self._teller.pending.follow(tx)
            self._teller.pending.clear(tx)

        await self._held.run(unit)
        await self._know_packages()

    # --- packages ---

    async def _know_packages(self) -> None:
        names = await self._held.read(lambda tx: known(tx, self._mapping.id))
        matches = self._matches
        self._owners = Owners(lambda folder: folder in names or (matches is not None and matches(folder)))

    def _set_packages_aside(self, findings: Findings) -> None:
        """What differs below a package is no difference of its own."""
        for paths in ([path for path, _ in findings.changed], findings.gone):
            self._touched |= {owner for path in paths if (owner := self._owners.of_file(path))}
        if self._touched:
            findings.changed = [(path, size) for path, size in findings.changed if not self._owners.of_file(path)]
            findings.gone = {path: file for path, file in findings.gone.items() if not self._owners.of_file(path)}

    async def _tell_packages(self) -> None:
        for folder in sorted(self._touched):
            self._teller.check_stopped()
            async with self._turn:
                fault = await self._package_scan().tell(folder)
            if fault is not None and passing(fault):
                self._teller.unsettled += 1
            elif fault is not None:
                self._teller.fault(folder + b"/", str(fault))

    def _package_scan(self) -> PackageScan:
        return PackageScan(self._root, self._mapping, self._held, self._teller.pending, self._teller.call, self._stop)

    async def _drop_folders(self, findings: Findings) -> None:
        async with self._turn:
            await self._refresh(findings)

            def unit(tx: Transaction) -> None:
                lost = sorted(findings.vanished().items(), reverse=True)
                for path, folder in lost:
                    if path and not tx.held.files(folder.id) and not os.path.lexists(self._root + b"/" + path):
                        tx.held.remove_folder(self._mapping.id, path)

            await self._held.run(unit, "bulk")


def _next(folders: Iterator[Folder], root: bytes) -> list[Folder]:
    try:
        return list(islice(folders, _FOLDERS))
    except OSError as err:
        raise explain(err, root, "reading the folder") from err


def _add(findings: Findings, tx: Transaction, step: Sequence[Folder]) -> None:
    for folder in step:
        findings.add(folder, tx.held.files)
