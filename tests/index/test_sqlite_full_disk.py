"""The SQLite engine on a disk without room: said clearly, nothing half there, and on it goes once there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from tests.small_disk import mounted

from everysite.errors import TargetFull
from everysite.index import sqlite
from everysite.index.contract import Transaction
from everysite.model.element import Element

pytestmark = pytest.mark.anyio

MB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", 6) as disk:
        yield disk


def put(name: str, size: int) -> Callable[[Transaction], list[Element]]:
    return lambda t: t.elements.put([Element(name, {"x": "y" * size})])


async def fill(index: sqlite.SqliteIndex) -> list[str]:
    """Until it is refused; answers what was acknowledged."""
    kept: list[str] = []
    while True:
        name = f"/{len(kept)}"
        try:
            await index.run(put(name, 200_000))
        except TargetFull as err:
            assert "no space left" in str(err)
            return kept
        kept.append(name)


async def test_a_full_disk_fails_the_units_and_the_index_goes_on(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(3 * MB))
    path = small_disk / "index.db"
    index = sqlite.open(str(path))
    kept = await fill(index)
    assert kept
    assert [e.key for e in await index.read(lambda t: t.elements.where([]))] == kept
    ballast.unlink()
    (after,) = await index.run(lambda t: t.elements.put([Element("/after", {})]))
    assert [e.key for e in await index.read(lambda t: t.elements.where([]))] == [*kept, "/after"]
    assert after.id > len(kept)
    await index.close()
    db = apsw.Connection(str(path))
    assert db.pragma("integrity_check") == "ok"
    db.close()


async def test_all_units_of_a_group_hear_of_it(small_disk: Path) -> None:
    index = sqlite.open(str(small_disk / "index.db"))
    (small_disk / "ballast").write_bytes(bytes(5 * MB))
    units = [put(f"/{n}", 300_000) for n in range(30)]
    got = await asyncio.gather(*(index.run(unit) for unit in units), return_exceptions=True)
    kept = [f"/{n}" for n, result in enumerate(got) if not isinstance(result, BaseException)]
    assert {type(result) for result in got if isinstance(result, BaseException)} == {TargetFull}
    assert sorted(e.key for e in await index.read(lambda t: t.elements.where([]))) == sorted(kept)
    await index.close()


async def test_a_backup_onto_a_full_disk_leaves_nothing_there(small_disk: Path, tmp_path: Path) -> None:
    index = sqlite.open(str(tmp_path / "index.db"))
    for n in range(10):
        await index.run(put(f"/{n}", 900_000))
    with pytest.raises(TargetFull, match=r"copy\.db"):
        await index.backup(str(small_disk / "copy.db"))
    assert list(small_disk.iterdir()) == []
    await index.close()
