"""One bundle of files between two stores: the shortest way that both allow.

Owns: move_bundle. Must not know: tasks, leases (beyond `may_publish`), retries.

Same machine: LocalBundle. Otherwise small files go through write_many, large ones one by one with a session each, and
files the target holds under another name are renamed there.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, MutableMapping, Sequence
from dataclasses import replace

from everysite.disk.landing import Anything
from everysite.disk.threads import in_thread, stoppable
from everysite.errors import Conflict, EverysiteError, NotFound, SiteUnreachable, StaleLease
from everysite.model.path import Name, to_text
from everysite.stores.contract import MayPublish, Session, Source, Stat, Store, allow, forget
from everysite.transfer.copy import copy_file, source_of
from everysite.transfer.local import LocalBundle
from everysite.transfer.piece import How, Landed, Piece, Result
from everysite.transfer.verify import digest_of, states_of

LARGE = 8 << 20  # from here on a file is worth a session of its own
Progress = Callable[[int], None]


def ignore(count: int) -> None:
    """The default for `progress`."""


async def move_bundle(
    source: Store,
    target: Store,
    pieces: Sequence[Piece],
    may_publish: MayPublish = allow,
    sessions: MutableMapping[Name, Session] | None = None,
    progress: Progress = ignore,
    token: bytes | None = None,
) -> Result:
    """Bring all pieces to the target; one bad file stops no other. Raises nothing of its own: see Result.fault.

    `may_publish` is asked before names become visible, perhaps several times with different names. `sessions` keeps where
    large files stood; hand the same mapping in again to go on. `progress` hears bytes added, perhaps in another thread.
    `token` (local only) makes stage names known beforehand. Each name may occur once.
    """
    here, there = source.traits.local_root, target.traits.local_root
    if here is not None and there is not None:
        local = LocalBundle(os.fsencode(here), os.fsencode(there), pieces, token)
        return await _local(local, may_publish, progress)
    return await _Remote(source, target, pieces, may_publish, sessions, progress).run()


async def _local(bundle: LocalBundle, may_publish: MayPublish, progress: Progress) -> Result:
    stop = threading.Event()
    try:
        await stoppable(stop, bundle.stage, stop, progress)
        if bundle.waiting:
            await in_thread(bundle.publish, await may_publish(bundle.waiting))
    except EverysiteError as err:  # of may_publish: a bundle keeps its own
        return Result(bundle.result.outcomes, err)
    finally:
        await in_thread(bundle.close)
    return bundle.result


class _Remote:
    def __init__(
        self,
        source: Store,
        target: Store,
        pieces: Sequence[Piece],
        may_publish: MayPublish,
        sessions: MutableMapping[Name, Session] | None,
        progress: Progress,
    ) -> None:
        self._source, self._target = source, target
        self._pieces = {piece.name: piece for piece in pieces}
        self._may_publish, self._sessions, self._progress = may_publish, sessions, progress
        self._outcomes: dict[Name, Landed | EverysiteError] = {}
        self._fault: EverysiteError | None = None
        self._turns = asyncio.Semaphore(max(1, min(source.traits.streams, target.traits.streams)))

    async def run(self) -> Result:
        rest = [p for p in self._pieces.values() if p.moved_from is None or not self._target.traits.renames]
        moved = [p for p in self._pieces.values() if p not in rest]
        await self._each(moved, self._rename)
        rest += [p for p in moved if p.name not in self._outcomes]
        small = [p for p in rest if p.size < LARGE] if self._target.traits.bundles else []
        if small and self._fault is None:
            await self._write_many(small)
        await self._each([p for p in rest if p.size >= LARGE or not self._target.traits.bundles], self._write)
        return Result([self._outcomes.get(name) for name in self._pieces], self._fault)

    async def _each(self, pieces: Sequence[Piece], work: Callable[[Piece], Awaitable[None]]) -> None:
        async def one(piece: Piece) -> None:
            async with self._turns:
                if self._fault is None:
                    try:
                        await work(piece)
                    except SiteUnreachable as err:
                        self._fault = self._fault or err
                    except EverysiteError as err:
                        if err is not self._fault:  # that one concerns them all
                            self._outcomes[piece.name] = err

        async with asyncio.TaskGroup() as group:
            for piece in pieces:
                group.create_task(one(piece))

    async def _rename(self, piece: Piece) -> None:
        assert piece.moved_from is not None
        try:
            found = await self._target.stat(piece.moved_from)
        except NotFound:
            return
        if (found.size, found.mtime_ns) != (piece.size, piece.mtime_ns):
            return
        if piece.name not in await self._guard([piece.name]):
            self._outcomes.setdefault(piece.name, _stale(piece.name))
            return
        stat = await self._target.move(piece.moved_from, piece.name)
        self._landed(stat, piece.digest or await digest_of(self._target, piece.name), "renamed")

    async def _write(self, piece: Piece) -> None:
        done = 0

        def progress(so_far: int) -> None:
            nonlocal done
            self._progress(so_far - done)
            done = so_far

        session = self._sessions.get(piece.name) if self._sessions is not None else None
        keep = self._keeper(piece.name)
        try:
            stat = await copy_file(self._source, self._target, piece, session, keep, self._guard, progress)
        except StaleLease:
            self._outcomes.setdefault(piece.name, _stale(piece.name))  # or what _guard found
        else:
            self._landed(stat, bytes.fromhex(stat.digest or ""), "copied")
            await self._remove_moved(piece)
        if self._sessions is not None:
            self._sessions.pop(piece.name, None)

    def _keeper(self, name: Name) -> Callable[[Session], Awaitable[None]]:
        sessions = self._sessions
        if sessions is None:
            return forget  # or the store would keep a stage for nobody

        async def keep(session: Session) -> None:
            sessions[name] = session

        return keep

    async def _write_many(self, pieces: Sequence[Piece]) -> None:
        asked: list[Piece] = []

        async def files() -> AsyncIterator[tuple[Name, Source]]:
            for piece in pieces:
                if self._fault is not None:
                    return
                asked.append(piece)
                yield piece.name, self._heard(piece)

        try:
            answers = await self._target.write_many(files(), self._guard)
        except EverysiteError as err:
            self._fault = self._fault or err
            return
        for piece, answer in zip(asked, answers, strict=False):
            await self._settle(piece, answer)

    async def _settle(self, piece: Piece, answer: Stat | Exception) -> None:
        if isinstance(answer, Stat):
            self._landed(answer, bytes.fromhex(answer.digest or ""), "copied")
            await self._remove_moved(piece)
        elif isinstance(answer, SiteUnreachable) or answer is self._fault:
            self._fault = self._fault or answer
        elif isinstance(answer, EverysiteError):
            self._outcomes.setdefault(piece.name, answer)
        else:  # an adapter's own mistake: not to be taken for a file's
            raise answer

    def _heard(self, piece: Piece) -> Source:
        done = 0

        def progress(so_far: int) -> None:
            nonlocal done
            self._progress(so_far - done)
            done = so_far

        plain = source_of(self._source, piece, progress)

        async def pieces(offset: int) -> AsyncIterator[bytes]:
            try:
                async for data in plain.open(offset):
                    yield data
            except SiteUnreachable as err:  # the source is away: nothing more is asked of it
                self._fault = self._fault or err
                raise

        return replace(plain, open=pieces)

    async def _guard(self, names: Collection[Name]) -> Collection[Name]:
        """Names whose target is as expected and whose lease still holds."""
        guarded = [name for name in names if not isinstance(self._pieces[name].expected, Anything)]
        states = await states_of(self._target, guarded)
        wrong = {n for n in guarded if not await self._as_expected(self._pieces[n], states[n])}
        fit = [name for name in names if name not in wrong]
        try:
            return await self._may_publish(fit) if fit else []
        except EverysiteError as err:
            self._fault = self._fault or err
            raise

    async def _as_expected(self, piece: Piece, found: Stat | None) -> bool:
        if found is None:
            if piece.expected is None:
                return True
            self._outcomes[piece.name] = Conflict(f"{to_text(piece.name)} is gone; nothing is put in its place")
            return False
        if (found.size, found.mtime_ns) == piece.expected:
            return True
        digest = await digest_of(self._target, piece.name)
        if digest == piece.digest and (found.size, found.mtime_ns) == (piece.size, piece.mtime_ns):
            self._landed(found, digest, "there")
            return False
        if piece.replaces and digest == piece.replaces:
            return True
        self._outcomes[piece.name] = Conflict(f"{to_text(piece.name)} was changed by somebody; nothing is overwritten")
        return False

    async def _remove_moved(self, piece: Piece) -> None:
        if piece.moved_from is None or piece.moved_state is None:
            return
        try:
            found = await self._target.stat(piece.moved_from)
        except NotFound:
            return
        if (found.size, found.mtime_ns) == piece.moved_state:
            await self._target.delete([piece.moved_from])

    def _landed(self, stat: Stat, digest: bytes, how: How) -> None:
        self._outcomes[stat.name] = Landed(stat.name, stat.size, stat.mtime_ns, stat.mode, digest, how)


def _stale(name: Name) -> StaleLease:
    return StaleLease(f"{to_text(name)}: somebody else does this by now; nothing was changed")
