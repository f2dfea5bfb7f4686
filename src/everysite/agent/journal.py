"""What is about to change in a tree, written down first.

Owns: the journal of a bundle (its stages, and what will be where), and what a start makes of an old one.
Must not know: the tracker, where bytes come from.

A crash between the last renames and the note in `held` would make files we brought look like somebody's work. So the
note is made beforehand: at the next start whatever lies under those names with that content is held, and the stages go.
"""

from __future__ import annotations

import shutil
import stat
import threading
import time
from collections.abc import Sequence

import msgspec

from everysite.disk.folders import Root
from everysite.disk.stages import is_stage
from everysite.disk.threads import in_thread
from everysite.errors import EverysiteError, SiteUnreachable
from everysite.index.contract import HeldFile, Index, Transaction
from everysite.observe import owed
from everysite.observe.hashing import Looked, look

_KEEP_SIZE = 8 << 20  # a stage of a large file is worth taking up again ...
_KEEP_S = 7 * 86_400  # ... for a week


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A file that is about to be under this name."""

    name: bytes
    size: int
    mtime_ns: int
    digest: bytes


class Journal:
    """The journal of one mapping; each worker writes its own page of it."""

    def __init__(self, held: Index, mapping: int, root: bytes) -> None:
        self._held, self._mapping, self._root = held, mapping, root

    async def open(self, page: int, stages: Sequence[bytes], entries: Sequence[Entry]) -> None:
        """To be called before the first stage is made."""

        def unit(tx: Transaction) -> None:
            tx.held.stage(self._mapping, stages)
            tx.set_meta(self._page(page), msgspec.json.encode(list(entries)).decode())

        await self._held.run(unit)

    async def close(
        self,
        page: int,
        stages: Sequence[bytes],
        put: Sequence[tuple[bytes, HeldFile]] = (),
        removed: Sequence[bytes] = (),
    ) -> None:
        """What came of it: these files are held now, those no longer, and these stages are gone. What is held is owed to
        the tracker until `settled`."""

        def unit(tx: Transaction) -> None:
            owed.add(
                tx,
                self._mapping,
                "unsettled",
                page,
                [above + b"/" + file.name if above else file.name for above, file in put],
            )
            tx.held.remove(self._mapping, removed)
            tx.held.put(self._mapping, put)
            tx.held.unstage(self._mapping, stages)
            tx.set_meta(self._page(page), None)

        await self._held.run(unit)

    async def settled(self, page: int, doubtful: Sequence[bytes] = ()) -> None:
        """The tracker knows all that this page put into place, but for the doubtful ones, which are kept apart."""

        def unit(tx: Transaction) -> None:
            owed.clear(tx, self._mapping, "unsettled", page)
            owed.add(tx, self._mapping, "doubtful", page, doubtful)

        await self._held.run(unit)

    async def unsettled(self, page: int) -> list[bytes]:
        """Names put into place that the tracker may not have heard of."""
        return await self._held.read(lambda tx: owed.names(tx, self._mapping, "unsettled", page))

    async def doubtful(self, page: int) -> list[bytes]:
        """Names put into place that are no files of the tracker's any more, or are about to be renamed."""
        return await self._held.read(lambda tx: owed.names(tx, self._mapping, "doubtful", page))

    async def no_doubt(self, page: int) -> None:
        """What was doubtful is dealt with."""
        await self._held.run(lambda tx: owed.clear(tx, self._mapping, "doubtful", page))

    async def open_folder(self, stage: bytes) -> None:
        """To be called before a folder is staged."""
        await self._held.run(lambda tx: tx.held.stage(self._mapping, [stage]))

    async def close_folder(self, stage: bytes) -> None:
        """The staged folder is gone, or has its own name."""
        await self._held.run(lambda tx: tx.held.unstage(self._mapping, [stage]))

    async def recover(self) -> int:
        """After a start: hold what arrived, remove stages. Answers how many stages went. Raises SiteUnreachable."""

        def read(tx: Transaction) -> tuple[list[bytes], list[Entry]]:
            entries: list[Entry] = []
            for page in range(owed.PAGES):
                text = tx.meta(self._page(page))
                entries += msgspec.json.decode(text, type=list[Entry]) if text else []
            return tx.held.staged(self._mapping), entries

        stages, entries = await self._held.read(read)
        if not stages and not entries:
            return 0
        gone, found = await in_thread(self._look, stages, entries)

        def write(tx: Transaction) -> None:
            tx.held.put(self._mapping, found)
            owed.add(
                tx,
                self._mapping,
                "unsettled",
                0,
                [above + b"/" + file.name if above else file.name for above, file in found],
            )
            tx.held.unstage(self._mapping, gone)
            for page in range(owed.PAGES):
                tx.set_meta(self._page(page), None)

        await self._held.run(write)
        return len(gone)

    def _look(
        self, stages: Sequence[bytes], entries: Sequence[Entry]
    ) -> tuple[list[bytes], list[tuple[bytes, HeldFile]]]:
        with Root(self._root) as root:
            gone = [name for name in stages if _remove(root, name)]
            found = [arrived for entry in entries if (arrived := _arrived(root, entry)) is not None]
        return gone, found

    def _page(self, page: int) -> str:
        return f"arriving:{self._mapping}:{page}"


def _names(files: Sequence[tuple[bytes, HeldFile]]) -> list[bytes]:
    return [above + b"/" + file.name if above else file.name for above, file in files]


def _remove(root: Root, name: bytes) -> bool:
    """Whether this stage is gone now."""
    above, _, leaf = name.rpartition(b"/")
    if not is_stage(leaf):
        return True
    try:
        folder = root.folder(above)
        found = folder.stat(leaf)
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(folder.full(leaf))
            return True
        if found.st_size >= _KEEP_SIZE and found.st_mtime > time.time() - _KEEP_S:
            return False
        folder.unlink(leaf)
    except FileNotFoundError:
        return True
    except SiteUnreachable:
        raise
    except EverysiteError:
        return True  # its folder is gone
    except OSError:
        return False
    return True


def _arrived(root: Root, entry: Entry) -> tuple[bytes, HeldFile] | None:
    try:
        folder, leaf = root.split(entry.name)
        found = folder.stat(leaf)
    except SiteUnreachable:
        raise
    except (OSError, EverysiteError):
        return None
    if not stat.S_ISREG(found.st_mode) or (found.st_size, found.st_mtime_ns) != (entry.size, entry.mtime_ns):
        return None
    looked = look(root, entry.name, threading.Event())
    if not isinstance(looked, Looked) or looked.file.digest != entry.digest:
        return None
    return entry.name.rpartition(b"/")[0], looked.file
