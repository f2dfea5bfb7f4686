"""What is held, told once more: a switch was opened, so what the tracker refused until now it may take.

Owns: the announcement of everything held. Must not know: scans, the disk, which switch it was.

Nothing is hashed and `held` stays as it is. Announcing what the tracker knows changes nothing there.
"""

from __future__ import annotations

import asyncio

from everysite.index.contract import HeldFolder, Index, Transaction
from everysite.model.element import Content
from everysite.model.path import key_of
from everysite.model.site import Mapping
from everysite.observe.packages import Owners, content_of, held_parts, known, part
from everysite.observe.telling import Announcer
from everysite.tracker.agent_messages import SeenItem

_FOLDERS = 50  # folders read and told at a time


async def retell(mapping: Mapping, held: Index, announce: Announcer, turn: asyncio.Lock) -> None:
    """Announce all held files, and packages as one. Raises what `announce` raises; telling it again does no harm."""
    packages = await held.read(lambda tx: known(tx, mapping.id))
    folders = await held.read(lambda tx: tx.held.folders(mapping.id), scan=True)
    owners = Owners(lambda folder: folder in packages)
    plain = [folder for folder in folders if not owners.of(folder.path)]
    for start in range(0, len(plain), _FOLDERS):
        page = plain[start : start + _FOLDERS]
        async with turn:
            items = await held.read(lambda tx, page=page: _files(tx, mapping, page), scan=True)  # type: ignore[misc]
            if items:
                await announce(items, False)
    for name in sorted(packages):
        async with turn:
            items = await held.read(lambda tx, name=name: _package(tx, mapping, name), scan=True)  # type: ignore[misc]
            if items:
                await announce(items, False)


def _files(tx: Transaction, mapping: Mapping, folders: list[HeldFolder]) -> list[SeenItem]:
    found = []
    for folder in folders:
        above = folder.path + b"/" if folder.path else b""
        for file in tx.held.files(folder.id):
            content = Content(file.size, file.mtime_ns, file.mode & 0o777, file.digest)
            found.append(SeenItem(key_of(above + file.name, mapping.prefix), content))
    return found


def _package(tx: Transaction, mapping: Mapping, name: bytes) -> list[SeenItem]:
    parts = held_parts(tx, mapping.id, name)
    if not parts:
        return []
    content = content_of(part(inner, file) for inner, file in parts.items())
    return [SeenItem(key_of(name, mapping.prefix, package=True), content, package=True)]
