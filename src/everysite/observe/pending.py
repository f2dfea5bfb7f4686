"""What is being announced just now, written down first.

Owns: the note made before an announcement, and what a scan owes the tracker when it finds one.
Must not know: how a tree is walked, what the tracker makes of it.

`held` learns of a file only after the tracker has. Killed in between, a file that is then deleted or renamed would be
known to the tracker for ever and to us not at all. The note says which paths that may be.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from everysite.index.contract import Index, Transaction


class Note(msgspec.Struct, frozen=True):
    """`files`: paths being told. `folder`: (old, new) of a folder rename being told."""

    files: list[bytes] = []
    folder: tuple[bytes, bytes] | None = None


class Pending:
    """The note of one mapping."""

    def __init__(self, held: Index, mapping: int) -> None:
        self._held, self._mapping = held, mapping
        self._key = f"announcing:{mapping}"

    async def write(self, note: Note) -> None:
        """To be called before the announcement."""
        text = msgspec.json.encode(note).decode()
        await self._held.run(lambda tx: tx.set_meta(self._key, text))

    def clear(self, tx: Transaction) -> None:
        """To be called in the unit that writes the answer down."""
        tx.set_meta(self._key, None)

    async def read(self) -> Note | None:
        """What a killed scan was about to tell; None: nothing."""
        text = await self._held.read(lambda tx: tx.meta(self._key))
        return msgspec.json.decode(text, type=Note) if text else None

    async def lost(self, root: bytes, files: Sequence[bytes]) -> list[bytes]:
        """Those of these paths that are neither held nor there: the tracker has to be told that they are gone."""
        known = await self._held.read(lambda tx: tx.held.get(self._mapping, files))
        return [
            name
            for name, file in zip(files, known, strict=True)
            if file is None and not os.path.lexists(root + b"/" + name)
        ]
