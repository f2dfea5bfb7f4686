"""The packages a scan found changed: each told as one element.

Owns: how the differences below a package become one announcement.
Must not know: how the differences were found.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable

from everysite.disk.threads import stoppable
from everysite.errors import EverysiteError, SiteUnreachable
from everysite.index.contract import HeldFile, Index, Transaction
from everysite.model.path import key_of
from everysite.model.site import Mapping
from everysite.observe.packages import content_of, held_parts, look_at_package, part, remember
from everysite.observe.pending import Note, Pending
from everysite.tracker.agent_messages import SeenItem

Call = Callable[[list[SeenItem]], Awaitable[set[str]]]


class PackageScan:
    """Tells packages, one after the other; all under the turn of the tree, which the caller has."""

    def __init__(
        self, root: bytes, mapping: Mapping, held: Index, pending: Pending, call: Call, stop: threading.Event
    ) -> None:
        self._root, self._mapping, self._held = root, mapping, held
        self._pending, self._call, self._stop = pending, call, stop

    async def tell(self, folder: bytes) -> EverysiteError | None:
        """Look at a package and tell it if it changed. Answers why it could not be looked at; the next scan tries again."""
        old = await self._held.read(lambda tx: held_parts(tx, self._mapping.id, folder), scan=True)
        try:
            new = await stoppable(self._stop, look_at_package, self._root, folder, old, self._stop)
        except SiteUnreachable:
            raise
        except EverysiteError as err:
            return err
        before = content_of(part(name, file) for name, file in old.items()) if old else None
        after = content_of(part(name, file) for name, file in new.items()) if new else None
        if before != after:
            key = key_of(folder, self._mapping.prefix, package=True)
            await self._pending.write(Note(packages=[folder]))
            if await self._call([SeenItem(key, after, package=True)]):
                return None
        await self._write_down(folder, old, new)
        return None

    async def _write_down(self, folder: bytes, old: Iterable[bytes], new: dict[bytes, HeldFile]) -> None:
        gone = [folder + b"/" + name for name in old if name not in new]
        put = [((folder + b"/" + name).rpartition(b"/")[0], file) for name, file in new.items()]

        def unit(tx: Transaction) -> None:
            tx.held.remove(self._mapping.id, gone)
            tx.held.put(self._mapping.id, put)
            remember(tx, self._mapping.id, folder, bool(new))
            self._pending.clear(tx)

        await self._held.run(unit)
