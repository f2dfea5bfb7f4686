"""Whatever is noted by name follows when a folder gets another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from everysite.index.contract import HeldFile, Index
from everysite.index.sqlite import open as open_index
from everysite.observe import owed, packages
from everysite.observe.followed import files_moved, folder_moved
from everysite.observe.pending import Note, Pending

pytestmark = pytest.mark.anyio

FILE = HeldFile(b"a", 1, 2, 3, 4, 0o644, bytes(32))


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[Index]:
    index = open_index(str(tmp_path / "held.db"))
    yield index
    await index.close()


async def noted(held: Index) -> tuple[list[bytes], list[bytes], list[bytes], set[bytes]]:
    """(unsettled, doubtful, told, packages) of mapping 1."""
    told = (await Pending(held, 1).read()).files
    return await held.read(
        lambda tx: (
            owed.names(tx, 1, "unsettled", 0),
            owed.names(tx, 1, "doubtful", 63),
            told,
            set(packages.known(tx, 1)),
        )
    )


async def write(held: Index) -> None:
    await Pending(held, 1).write(Note([b"d/a", b"da"]))
    await held.run(lambda tx: owed.add(tx, 1, "unsettled", 0, [b"d/a", b"x/a"]))
    await held.run(lambda tx: owed.add(tx, 1, "doubtful", 63, [b"d/b", b"d"]))
    await held.run(lambda tx: packages.remember(tx, 1, b"d/p"))
    await held.run(lambda tx: tx.held.put(1, [(b"d", FILE)]))


async def test_a_renamed_folder_takes_all_notes_along(held: Index) -> None:
    await write(held)
    await held.run(lambda tx: folder_moved(tx, 1, b"d", b"e/f"))
    assert await noted(held) == ([b"e/f/a", b"x/a"], [b"d", b"e/f/b"], [b"e/f/a", b"da"], {b"e/f/p"})
    assert await held.read(lambda tx: tx.held.get(1, [b"d/a", b"e/f/a"])) == [None, FILE]


async def test_files_renamed_one_by_one_take_their_own_along(held: Index) -> None:
    await write(held)
    await held.run(lambda tx: files_moved(tx, 1, {b"d/a": b"e/a"}))
    assert (await noted(held))[:3] == ([b"e/a", b"x/a"], [b"d", b"d/b"], [b"e/a", b"da"])


async def test_notes_of_other_mappings_stay(held: Index) -> None:
    await write(held)
    await held.run(lambda tx: folder_moved(tx, 2, b"d", b"e"))
    assert await noted(held) == ([b"d/a", b"x/a"], [b"d", b"d/b"], [b"d/a", b"da"], {b"d/p"})
