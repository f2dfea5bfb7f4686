from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.decide.values import content

from everysite.decide import tasks
from everysite.decide.tasks import (
    TABLE,
    Effect,
    Event,
    State,
    blocked,
    claimable,
    coalesce,
    overlapping,
    state_of,
    step,
)
from everysite.model.task import Kind, Task, Wish

kinds: st.SearchStrategy[Kind] = st.sampled_from(get_args(Kind))
paths = st.sampled_from(["/a", "/b", "/d/", "/d/a", "/d/e/", "/d/e/f", "/da"])
wishes = st.builds(
    Wish,
    mapping=st.just(1),
    path=paths,
    kind=kinds,
    gen=st.integers(1, 3),
    source=st.one_of(st.just(""), paths),
    priority=st.integers(-1, 1),
)
events: st.SearchStrategy[Event] = st.sampled_from(get_args(Event))


def task(path: str, seq: int, size: int = 1, source: str = "", lease: int = 0, kind: Kind = "present") -> Task:
    return Task(1, path, kind, 7, 1, content(size=size), source, b"", 0, 0, seq, lease=lease, claimed=int(lease > 0))


@st.composite
def queues(draw: st.DrawFn, claimed: bool = True) -> list[Task]:
    """Rows of one mapping: one a path, each with its own seq."""
    chosen = draw(st.lists(paths, unique=True, max_size=7))
    numbers = draw(st.permutations(range(len(chosen))))
    return [
        task(
            path,
            seq,
            draw(st.integers(0, 5)),
            draw(st.sampled_from(["", "", "/a", "/d/", "/d/e/"])),
            draw(st.sampled_from([0, 0, 0, 3])) if claimed else 0,
        )
        for path, seq in zip(chosen, numbers, strict=True)
    ]


def test_every_state_and_effect_is_used() -> None:
    assert {before for before, _ in TABLE} | {after for after, _ in TABLE.values()} == set(get_args(State))
    assert {effect for _, effects in TABLE.values() for effect in effects} == set(get_args(Effect))
    assert {event for _, event in TABLE} == set(get_args(Event))


@given(st.lists(events, max_size=20))
def test_a_result_counts_once_for_each_claim(story: list[Event]) -> None:
    state: State = "gone"
    claims = records = 0
    for event in story:
        state, effects = step(state, event)
        claims += "take" in effects
        records += "record" in effects
        assert records <= claims
        assert ("remove" in effects) <= (state == "gone")
    assert state in get_args(State)


def test_the_drawing_shows_the_table() -> None:
    page = (Path(tasks.__file__).parents[3] / "docs" / "tasks.md").read_text()
    drawn = set(re.findall(r"^    (\w+) --> (\w+): (\w+)$", page, re.MULTILINE))
    assert drawn == {(before, after, event) for (before, event), (after, _) in TABLE.items()}


@given(st.lists(wishes, min_size=1, max_size=12), st.booleans())
def test_wishes_leave_one_row_a_path_and_the_newest_wins(made: list[Wish], claim: bool) -> None:
    rows: dict[str, Task] = {}
    for seq, wish in enumerate(made):
        old = rows.get(wish.path)
        row = rows[wish.path] = coalesce(old, wish, seq)
        assert (row.kind, row.gen, row.source, row.priority) == (wish.kind, wish.gen, wish.source, wish.priority)
        assert row.seq == (old.seq if old is not None and old.kind == wish.kind else seq)
        if claim and old is None:
            rows[wish.path] = replace(row, lease=5, claimed=row.gen, tries=2)
        elif old is not None and old.lease:
            claimed = old.claimed if old.kind == wish.kind else -1
            assert (row.lease, row.claimed, row.tries) == (old.lease, claimed, old.tries)
    assert len({row.seq for row in rows.values()}) == len(rows) == len({wish.path for wish in made})


def test_an_unclaimed_row_starts_anew_with_a_wish() -> None:
    failed = replace(task("/a", 1), tries=4, error=23, error_text="gone")
    row = coalesce(failed, Wish(1, "/a", "present", gen=2), 9)
    assert (row.tries, row.error, row.error_text, row.seq) == (0, 0, "", 1)


def test_only_the_holder_of_the_lease_settles_and_only_what_is_wished_now() -> None:
    row = task("/a", 1, lease=5)
    assert tasks.settles(row, 5, 1) == "settle_ok"
    assert tasks.settles(row, 6, 1) == "settle_stale"
    assert tasks.settles(replace(row, gen=2), 5, 1) == "settle_older"
    assert tasks.settles(replace(row, gen=2), 5, 2) == "settle_stale"
    assert tasks.settles(task("/a", 1), 0, 1) == "settle_stale"
    assert tasks.settles(None, 5, 1) == "settle_stale"


def test_the_state_is_read_from_the_row() -> None:
    assert [state_of(None), state_of(task("/a", 1)), state_of(task("/a", 1, lease=2))] == ["gone", "waiting", "claimed"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("/d/a", ""), ("/d/", ""), True),
        (("/d/", ""), ("/d/e/f", ""), True),
        (("/d/", ""), ("/da", ""), False),
        (("/a", ""), ("/a", ""), True),
        (("/x/", "/d/"), ("/d/a", ""), True),
        (("/b", "/a"), ("/a", ""), True),
        (("/d/a", ""), ("/d/b", ""), False),
    ],
)
def test_what_overlaps(one: tuple[str, str], other: tuple[str, str], expected: bool) -> None:
    first, second = task(one[0], 1, source=one[1]), task(other[0], 2, source=other[1])
    assert overlapping(first, second) is overlapping(second, first) is expected


def test_a_task_waits_for_the_first_that_overlaps() -> None:
    move, inner, late = task("/x/", 2, source="/d/", kind="move"), task("/d/a", 3), task("/d/", 1, kind="absent")
    assert blocked(inner, [move, late]) == late
    assert blocked(inner, [move]) == move
    assert blocked(move, [inner]) is None
    assert blocked(task("/z", 9), [move, inner, late]) is None


def oracle(due: Sequence[Task], barriers: Sequence[Task]) -> list[Task]:
    """What may run, by comparing every pair."""
    everything = (*due, *barriers)
    busy = [row for row in everything if row.lease]
    return [
        row
        for row in due
        if blocked(row, everything) is None and not any(o.seq != row.seq and overlapping(o, row) for o in busy)
    ]


@given(queues(), st.data())
def test_a_claim_is_all_that_is_free(rows: list[Task], data: st.DataObject) -> None:
    waiting = [row for row in rows if not row.lease]
    due = [row for row in waiting if data.draw(st.booleans())]
    barriers = [row for row in rows if row not in due]
    assert claimable(due, barriers, 100, 10**9) == oracle(due, barriers)


@given(queues(claimed=False), st.integers(1, 4), st.integers(0, 8))
def test_a_claim_keeps_its_limits_and_always_goes_on(rows: list[Task], limit: int, room: int) -> None:
    claimed = claimable(rows, [], limit, room)
    assert len(claimed) <= limit
    assert len(claimed) == 1 or sum(row.content.size for row in claimed if row.content) <= room or not claimed
    assert bool(claimed) == bool(rows)  # the lowest seq is never blocked
    assert claimed == oracle(rows, [])[: len(claimed)]


def test_deletes_take_no_room() -> None:
    rows = [task("/a", 1, size=50, kind="absent"), task("/b", 2, size=5), task("/c", 3, size=50, kind="absent")]
    assert claimable(rows, [], 10, 5) == rows
