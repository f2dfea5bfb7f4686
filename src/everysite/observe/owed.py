"""Names of files that were put into place here, and that the tracker may not have heard of.

Owns: the lists of them, a page a worker, and what a rename of a folder means for them.
Must not know: how files come here, or what is done about those on the lists (`agent.unsettled`).

They are names, so they have to follow when a folder is renamed, here or by order of another site: a copy that nobody
remembers by its new name would stay for ever, for the tracker takes this site for one that has no copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from everysite.index.contract import Transaction

PAGES = 64
"""Pages that are looked through; more workers than that nobody runs."""

List = Literal["unsettled", "doubtful"]
LISTS: tuple[List, ...] = ("unsettled", "doubtful")


def names(tx: Transaction, mapping: int, kind: List, page: int) -> list[bytes]:
    """What is on a page of a list."""
    text = tx.meta(_key(mapping, kind, page))
    return msgspec.json.decode(text, type=list[bytes]) if text else []


def add(tx: Transaction, mapping: int, kind: List, page: int, more: Sequence[bytes]) -> None:
    """Put names on a page, next to those that are there."""
    if more:
        _write(tx, mapping, kind, page, {*names(tx, mapping, kind, page), *more})


def clear(tx: Transaction, mapping: int, kind: List, page: int) -> None:
    """Nothing is owed on this page any more."""
    tx.set_meta(_key(mapping, kind, page), None)


def moved(tx: Transaction, mapping: int, rename: Callable[[bytes], bytes]) -> None:
    """Files have other names now; `rename` answers the new name of any file, or the same one."""
    for kind in LISTS:
        for page in range(PAGES):
            listed = names(tx, mapping, kind, page)
            renamed = {rename(name) for name in listed}
            if renamed != set(listed):
                _write(tx, mapping, kind, page, renamed)


def _write(tx: Transaction, mapping: int, kind: List, page: int, listed: set[bytes]) -> None:
    tx.set_meta(_key(mapping, kind, page), msgspec.json.encode(sorted(listed)).decode())


def _key(mapping: int, kind: List, page: int) -> str:
    return f"{kind}:{mapping}:{page}"
