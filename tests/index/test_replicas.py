"""Replicas, on every engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.index.engines import ENGINES, Factory

from everysite.index.contract import Index, Tally, Transaction
from everysite.model.element import Content, Element
from everysite.model.replica import Replica, state

pytestmark = pytest.mark.anyio

FULL = Replica(1, 2, 3, 4, 5, 6, "no route", 7, 8, 9, 10, b"\0\xff", "/old/at")


def bare(replica: Replica) -> Replica:
    return msgspec.structs.replace(replica, change=0)


async def test_put_replaces_by_element_and_site(index: Index) -> None:
    await index.run(lambda t: t.replicas.put([FULL, Replica(1, 1), Replica(2, 2)]))
    got = await index.read(lambda t: t.replicas.of([1, 2, 3]))
    assert [bare(r) for r in got[1]] == [Replica(1, 1), FULL]
    assert set(got) == {1, 2}
    await index.run(lambda t: t.replicas.put([Replica(1, 2, gen=9)]))
    again = await index.read(lambda t: t.replicas.of([1]))
    assert [bare(r) for r in again[1]] == [Replica(1, 1), Replica(1, 2, gen=9)]
    assert again[1][1].change > max(r.change for rows in got.values() for r in rows)


async def test_drop_and_drop_site(index: Index) -> None:
    await index.run(lambda t: t.replicas.put([Replica(e, s) for e in range(1, 400) for s in (1, 2)]))
    await index.run(lambda t: t.replicas.drop([(e, 1) for e in range(2, 400)] + [(9_999, 1)]))
    assert [r.element for r in await index.read(lambda t: t.replicas.at_site(1))] == [1]
    await index.run(lambda t: t.replicas.drop_site(2))
    await index.run(lambda t: t.replicas.drop([]))
    assert await index.read(lambda t: t.replicas.at_site(2)) == []


async def test_at_site_pages_by_element(index: Index) -> None:
    await index.run(lambda t: t.replicas.put([Replica(e, 1) for e in (30, 10, 20)] + [Replica(15, 2)]))
    assert [r.element for r in await index.read(lambda t: t.replicas.at_site(1, 0, 2))] == [10, 20]
    assert [r.element for r in await index.read(lambda t: t.replicas.at_site(1, 20, 2))] == [30]


few = st.integers(0, 2)
replicas = st.builds(
    Replica, st.just(0), st.just(1), few, few, st.integers(0, 1), st.sampled_from([0, 11]),
    attempted=few, modified=st.integers(0, 1), deleted=st.integers(0, 1),
)  # fmt: skip


@pytest.mark.parametrize("factory", ENGINES.values(), ids=ENGINES.keys())
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(replicas, max_size=30))
def test_tally_agrees_with_the_state_a_person_sees(factory: Factory, rows: list[Replica]) -> None:
    with TemporaryDirectory() as folder:
        assert asyncio.run(_tally(factory, Path(folder), rows)) == _expected(rows)


async def _tally(factory: Factory, folder: Path, rows: list[Replica]) -> Tally:
    index = await factory(folder)

    def unit(t: Transaction) -> Tally:
        contents = [Content(n + 1, 0, 0, bytes(32)) for n in range(len(rows))]
        made = t.elements.put([Element(f"/{c.size}", {}, gen=1, content=c) for c in contents])
        ours = [msgspec.structs.replace(row, element=e.id) for row, e in zip(rows, made, strict=True)]
        t.replicas.put([*ours, *(msgspec.structs.replace(row, site=2) for row in ours)])
        return t.replicas.tally(1)

    try:
        return await index.run(unit)
    finally:
        await index.close()


def _expected(rows: list[Replica]) -> Tally:
    states = [state(row, 1) for row in rows]
    current = [number + 1 for number, name in enumerate(states) if name == "current"]
    outdated, failed, conflicts = (states.count(name) for name in ("outdated", "failed", "conflict"))
    return Tally(len(current), sum(current), outdated, failed, conflicts)
