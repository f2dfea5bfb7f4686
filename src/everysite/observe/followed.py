"""A folder has another name: everything noted by name goes along.

Owns: the one unit that every rename of a folder ends in, whoever made it.
Must not know: how the rename was found or carried out.
"""

from __future__ import annotations

from collections.abc import Mapping

from everysite.index.contract import Transaction
from everysite.observe import owed, packages, pending


def folder_moved(tx: Transaction, mapping: int, old: bytes, new: bytes) -> None:
    """The folder with all below it was renamed by one call."""

    def rename(name: bytes) -> bytes:
        return new + name[len(old) :] if name.startswith(old + b"/") else name

    tx.held.move_folder(mapping, old, new)
    packages.moved(tx, mapping, old, new)
    pending.moved(tx, mapping, rename)
    owed.moved(tx, mapping, rename)


def files_moved(tx: Transaction, mapping: int, names: Mapping[bytes, bytes]) -> None:
    """These files (old name -> new one) were renamed one by one; what is held of them is the caller's to move."""
    pending.moved(tx, mapping, lambda name: names.get(name, name))
    owed.moved(tx, mapping, lambda name: names.get(name, name))
