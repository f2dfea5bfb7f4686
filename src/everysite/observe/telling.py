"""Differences of a tree told to the tracker, and written down when it has taken them.

Owns: hashing what changed, the last look before it is told, batches, what is left for the next scan.
Must not know: how differences were found, packages, renames of folders.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from everysite.disk.threads import in_thread
from everysite.errors import Cancelled, EverysiteError
from everysite.index.contract import HeldFile, Index, Transaction
from everysite.model.path import key_of, name
from everysite.model.site import Mapping as SiteMapping
from everysite.observe.hashing import Failed, Looked, look_at_all, matches, passing, stats_of
from everysite.observe.pending import Note, Pending
from everysite.observe.renames import Renames
from everysite.tracker.agent_messages import Announced, SeenItem

Announcer = Callable[[list[SeenItem], bool], Awaitable[Announced]]
"""Tells the tracker a batch; the flag says that this tree was never scanned to the end before."""

ERRORS = 50
"""Lines of a report."""

_BATCH = 2000  # differences a call to the tracker
_SECOND_LOOK = 0.3  # s between two looks at a file that was written to a moment ago


class Teller:
    """Tells what one scan found. `untold`: folders with differences that wait for the next scan; `unsettled`: how many
    files were being written to."""

    def __init__(
        self,
        root: bytes,
        mapping: SiteMapping,
        held: Index,
        announce: Announcer,
        turn: asyncio.Lock,
        stop: threading.Event,
    ) -> None:
        self._root, self._mapping, self._held = root, mapping, held
        self._announce, self._turn, self._stop = announce, turn, stop
        self.pending = Pending(held, mapping.id)
        self.counts: dict[str, int] = {}
        self.errors: list[str] = []
        self.untold: set[bytes] = set()
        self.unsettled = 0
        self.first = False

    def check_stopped(self) -> None:
        """Raises Cancelled when the scan is to end."""
        if self._stop.is_set():
            raise Cancelled("the scan was stopped; the next one goes on")

    async def tell_changed(self, changed: Sequence[tuple[bytes, int]], renames: Renames) -> None:
        """New and changed files; one that is found again under another path is a rename."""
        looks = look_at_all(self._root, self._valid(changed), self._stop)
        async with contextlib.aclosing(looks):
            async for batch in looks:
                self.check_stopped()
                if any(isinstance(look, Looked) and look.young for look in batch):
                    await asyncio.sleep(_SECOND_LOOK)
                async with self._turn:
                    await self._tell_looks([look for look in batch if self._usable(look)], renames)

    def _valid(self, files: Sequence[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
        for path, size in files:
            try:
                yield name(path), size
            except EverysiteError as err:
                self.fault(path, str(err))

    def _usable(self, look: Looked | Failed) -> bool:
        if isinstance(look, Looked):
            return True
        if passing(look.error):
            self._later(look.name)
        else:
            self.fault(look.name, str(look.error))
        return False

    def _later(self, path: bytes) -> None:
        self.unsettled += 1
        self.untold.add(path.rpartition(b"/")[0])

    def fault(self, path: bytes, text: str) -> None:
        """Something could not be told; its folder is looked at again."""
        self.untold.add(path.rpartition(b"/")[0])
        if len(self.errors) < ERRORS:
            self.errors.append(text)

    async def _tell_looks(self, looks: Sequence[Looked | Failed], renames: Renames) -> None:
        """Under `turn`: look once more, tell what is not held by now, write down what was told."""
        fresh = [look for look in looks if isinstance(look, Looked)]
        names = [look.name for look in fresh]
        if not fresh:
            return
        stats = await in_thread(stats_of, self._root, names)
        known = await self._held.read(lambda tx: tx.held.get(self._mapping.id, names))
        items: list[SeenItem] = []
        told: list[tuple[Looked, bytes]] = []
        for look, stat, old in zip(fresh, stats, known, strict=True):
            if stat is None or not matches(look.file, stat):
                self._later(look.name)
            elif old is not None and _same_content(old, look.file):
                told.append((look, b""))  # only its inode or ctime moved
            else:
                was = renames.take(look.file) if old is None else b""
                told.append((look, was))
                items.append(SeenItem(self.key(look.name), look.content, self.key(was) if was else ""))
        if items:
            await self.pending.write(Note([look.name for look, _ in told]))
        refused = await self.call(items) if items else set()
        self.untold.update(look.name.rpartition(b"/")[0] for look, _ in told if self.key(look.name) in refused)
        await self._write_down([(look, was) for look, was in told if self.key(look.name) not in refused])

    async def _write_down(self, told: Sequence[tuple[Looked, bytes]]) -> None:
        def unit(tx: Transaction) -> None:
            tx.held.put(self._mapping.id, [(look.name.rpartition(b"/")[0], look.file) for look, _ in told])
            tx.held.remove(self._mapping.id, [was for _, was in told if was])
            self.pending.clear(tx)

        await self._held.run(unit, "bulk")

    async def tell_gone(self, lost: Mapping[bytes, HeldFile], renames: Renames) -> None:
        """Last, so that a file that was moved is known under its new name before its old one goes."""
        gone = [path for path in lost if not renames.taken(path)]
        for at in range(0, len(gone), _BATCH):
            self.check_stopped()
            async with self._turn:
                await self._tell_gone_batch(gone[at : at + _BATCH])

    async def _tell_gone_batch(self, paths: Sequence[bytes]) -> None:
        stats = await in_thread(stats_of, self._root, paths)
        known = await self._held.read(lambda tx: tx.held.get(self._mapping.id, paths))
        lost = [path for path, stat, file in zip(paths, stats, known, strict=True) if stat is None and file is not None]
        if lost:
            await self.call([SeenItem(self.key(path)) for path in lost])
            await self._held.run(lambda tx: tx.held.remove(self._mapping.id, lost), "bulk")

    async def call(self, items: list[SeenItem]) -> set[str]:
        """Tell the tracker; the keys it refused, which count as errors."""
        answer = await self._announce(items, self.first)
        for word, count in answer.counts.items():
            self.counts[word] = self.counts.get(word, 0) + count
        for key, reason in answer.refused.items():
            if len(self.errors) < ERRORS:
                self.errors.append(f"{key}: {reason}")
        return set(answer.refused)

    def key(self, path: bytes) -> str:
        """The `_id` of a path below the root."""
        return key_of(path, self._mapping.prefix)


def _same_content(one: HeldFile, other: HeldFile) -> bool:
    return (one.digest, one.size, one.mtime_ns, one.mode & 0o777) == (
        other.digest, other.size, other.mtime_ns, other.mode & 0o777,
    )  # fmt: skip
