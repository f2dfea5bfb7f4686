"""What is being announced just now, written down first.

Owns: the note made before an announcement, and what a scan owes the tracker when it finds one.
Must not know: how a tree is walked, what the tracker makes of it.

`held` learns of a file only after the tracker has. Killed in between, a file that is then deleted or renamed would be
known to the tracker for ever and to us not at all. The note says which paths that may be.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from everysite.index.contract import Index, Transaction


class Note(msgspec.Struct, frozen=True):
    """`files`: paths being told. `folder`: (old, new) of a folder rename being told. `packages`: their folders."""

    files: list[bytes] = []
    folder: tuple[bytes, bytes] | None = None
    packages: list[bytes] = []


class Pending:
    """The note of one mapping. Files of a former note are carried along until each is held again, or told to be gone."""

    def __init__(self, held: Index, mapping: int) -> None:
        self._held, self._mapping = held, mapping
        self._key = _key(mapping)
        self._carried: list[bytes] = []

    async def write(self, note: Note) -> None:
        """To be called before the announcement."""
        text = _text(msgspec.structs.replace(note, files=self._carried + note.files))
        await self._held.run(lambda tx: tx.set_meta(self._key, text))

    def follow(self, tx: Transaction) -> None:
        """Names were changed by `moved`."""
        text = tx.meta(self._key)
        self._carried = msgspec.json.decode(text, type=Note).files if text else []

    def clear(self, tx: Transaction) -> None:
        """To be called in the unit that writes the answer down."""
        tx.set_meta(self._key, _text(Note(self._carried)) if self._carried else None)

    async def read(self) -> Note:
        """What a scan that was killed was about to tell."""
        text = await self._held.read(lambda tx: tx.meta(self._key))
        note = msgspec.json.decode(text, type=Note) if text else Note()
        self._carried = note.files
        return note

    async def lost(self, root: bytes) -> list[bytes]:
        """Carried paths that are neither held nor there: the tracker has to be told that they are gone. Those that are
        there and not held stay carried."""
        if not self._carried:
            return []
        names = self._carried
        known = await self._held.read(lambda tx: tx.held.get(self._mapping, names))
        unknown = [name for name, file in zip(names, known, strict=True) if file is None]
        lost = [name for name in unknown if not os.path.lexists(root + b"/" + name)]
        self._carried = [name for name in unknown if name not in set(lost)]
        return lost


def moved(tx: Transaction, mapping: int, rename: Callable[[bytes], bytes]) -> None:
    """Files have other names for the tracker too: what was told under the old ones is known under the new ones."""
    text = tx.meta(_key(mapping))
    if text:
        note = msgspec.json.decode(text, type=Note)
        renamed = msgspec.structs.replace(note, files=[rename(name) for name in note.files])
        tx.set_meta(_key(mapping), _text(renamed))


def _key(mapping: int) -> str:
    return f"announcing:{mapping}"


def _text(note: Note) -> str:
    return msgspec.json.encode(note).decode()
