"""Units of work: alone or not at all, together, in both lanes, and what reads see. On every engine."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from tests.index.engines import Factory

from everysite.errors import Cancelled, TooCostly
from everysite.index.contract import Index, Lane, Transaction
from everysite.model.element import Element

pytestmark = pytest.mark.anyio


def add_one(t: Transaction) -> int:
    number = int(t.meta("n") or 0) + 1
    t.set_meta("n", str(number))
    return number


async def test_counting_at_once_loses_nothing(index: Index) -> None:
    lanes: tuple[Lane, Lane] = ("interactive", "bulk")
    got = await asyncio.gather(*(index.run(add_one, lanes[n % 2]) for n in range(50)))
    assert sorted(got) == list(range(1, 51))
    assert await index.read(lambda t: t.meta("n")) == "50"


async def test_a_unit_that_raises_leaves_nothing_and_disturbs_nobody(index: Index) -> None:
    def fails(t: Transaction) -> None:
        t.set_meta("bad", "1")
        t.elements.put([Element("/bad", {})])
        add_one(t)
        raise ValueError("mine")

    units = [fails if n % 3 == 0 else add_one for n in range(30)]
    got = await asyncio.gather(*(index.run(unit) for unit in units), return_exceptions=True)
    assert sum(isinstance(result, ValueError) for result in got) == 10
    assert sorted(result for result in got if isinstance(result, int)) == list(range(1, 21))
    assert await index.read(lambda t: (t.meta("bad"), t.meta("n"))) == (None, "20")
    assert await index.read(lambda t: t.elements.get(["/bad"])) == [None]


@pytest.mark.parametrize("error", [StopIteration, asyncio.CancelledError, KeyError, MemoryError])
async def test_whatever_a_unit_raises_the_index_lives_on(index: Index, error: type[BaseException]) -> None:
    def fails(t: Transaction) -> None:
        add_one(t)
        raise error("x")

    with pytest.raises((error, RuntimeError)):
        await index.run(fails)
    assert await index.run(add_one) == 1


async def test_a_read_sees_what_was_written_before(index: Index) -> None:
    for n in range(1, 101):
        await index.run(add_one)
        assert await index.read(lambda t: t.meta("n"), scan=n % 2 == 0) == str(n)


async def test_a_read_stays_on_one_state(index: Index) -> None:
    await index.run(add_one)
    begun, go_on = threading.Event(), threading.Event()

    def twice(t: Transaction) -> tuple[str | None, str | None]:
        first = t.meta("n")
        begun.set()
        assert go_on.wait(10)
        return first, t.meta("n")

    reading = asyncio.create_task(index.read(twice, scan=True))
    await asyncio.to_thread(begun.wait)
    await index.run(add_one)
    go_on.set()
    first, second = await reading
    assert first == second  # "1" where the unit was carried out once, "2" where it was begun anew
    assert await index.read(lambda t: t.meta("n")) == "2"


async def test_a_read_that_takes_long_is_answered_all_the_same(index: Index) -> None:
    await index.run(lambda t: t.elements.put([Element(f"/{n}", {"n": n}) for n in range(5_000)]))
    got = await index.read(lambda t: t.elements.where([("n", 4_999)]))
    assert [e.key for e in got] == ["/4999"]


async def test_a_read_may_not_write(index: Index) -> None:
    for scan in (False, True):
        with pytest.raises(TypeError, match="run"):
            await index.read(lambda t: t.set_meta("x", "1"), scan)
        with pytest.raises(TypeError, match="run"):
            await index.read(lambda t: t.stamp(5), scan)
    assert await index.read(lambda t: t.meta("x")) is None


async def test_a_unit_nobody_waits_for_any_more_is_not_started(index: Index) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def block(t: Transaction) -> None:
        busy.set()
        assert go_on.wait(10)

    blocking = asyncio.create_task(index.run(block))
    await asyncio.to_thread(busy.wait)
    given_up = asyncio.create_task(index.run(add_one))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await blocking
    assert await index.run(add_one) == 1


async def test_interactive_units_pass_waiting_bulk_units(index: Index) -> None:
    order: list[str] = []
    begun = threading.Event()

    def work(name: str, seconds: float = 0.0) -> None:
        begun.set()
        time.sleep(seconds)
        order.append(name)

    bulk = [asyncio.create_task(index.run(lambda t, n=n: work(f"bulk {n}", 0.02), "bulk")) for n in range(5)]  # type: ignore[misc]
    await asyncio.to_thread(begun.wait)
    await index.run(lambda t: work("asked"))
    assert order.index("asked") <= 2
    await asyncio.gather(*bulk)
    assert [name for name in order if name != "asked"] == [f"bulk {n}" for n in range(5)]


async def test_bulk_goes_on_under_steady_interactive_load(index: Index) -> None:
    done = asyncio.Event()

    async def press() -> None:
        while not done.is_set():
            await index.run(add_one)

    pressing = [asyncio.create_task(press()) for _ in range(8)]
    for _ in range(20):
        await index.run(add_one, "bulk")
    done.set()
    await asyncio.gather(*pressing)


async def test_the_clock_never_goes_back(index: Index) -> None:
    stamps = [await index.run(lambda t, now=now: t.stamp(now)) for now in (10, 10, 5, 11, 3)]  # type: ignore[misc]
    assert stamps == [(10, 0), (10, 1), (10, 2), (11, 0), (11, 1)]


async def test_facts_are_kept_and_forgotten(index: Index) -> None:
    await index.run(lambda t: t.set_meta("a", "ö\0x"))
    assert await index.read(lambda t: (t.meta("a"), t.meta("b"))) == ("ö\0x", None)
    await index.run(lambda t: t.set_meta("a", None))
    assert await index.read(lambda t: t.meta("a")) is None


async def test_everything_is_there_after_reopening(engine: Factory, tmp_path: Path) -> None:
    index = await engine(tmp_path)
    (made,) = await index.run(lambda t: t.elements.put([Element("/a", {"x": 1})]))
    stamp = await index.run(lambda t: t.stamp(50))
    await index.close()
    index = await engine(tmp_path)
    assert await index.read(lambda t: t.elements.get(["/a"])) == [made]
    assert await index.run(lambda t: t.stamp(1)) > stamp
    (again,) = await index.run(lambda t: t.elements.put([made]))
    assert again.change > made.change
    await index.close()


async def test_a_closed_index_says_so(engine: Factory, tmp_path: Path) -> None:
    index = await engine(tmp_path)
    queued = [asyncio.create_task(index.run(add_one)) for _ in range(20)]
    await asyncio.sleep(0)
    await index.close()
    assert await asyncio.gather(*queued) == list(range(1, 21))
    with pytest.raises(Cancelled):
        await index.run(add_one)
    with pytest.raises(Cancelled):
        await index.read(lambda t: t.meta("n"))


async def test_a_unit_that_takes_too_long_is_ended(index: Index) -> None:
    await index.run(lambda tx: tx.elements.put([Element(f"/{n}", {"n": n}) for n in range(2_000)]))

    def endless(tx: Transaction) -> None:
        while True:
            tx.elements.where([("n", -1)])

    with pytest.raises(TooCostly, match=r"longer than 0\.05 s.*everysite index add"):
        await index.read(endless, scan=True, seconds=0.05)
    with pytest.raises(TooCostly):
        await index.read(endless, seconds=0.05)
    assert await index.read(lambda tx: tx.elements.count(), scan=True, seconds=0.05) == 2_000
