"""The life of a task: what each event does to it, which task waits for which, and which are given out next.

Owns: the state table (drawn in docs/tasks.md), coalescing, blocking by folder moves, the choice of a claim.
Must not know: the index that keeps the rows, leases' times, how work is done.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec.structs import replace

from everysite.model.path import is_package
from everysite.model.task import Task, Wish

State = Literal["waiting", "claimed", "gone"]
Event = Literal[
    "wish", "claim", "settle_ok", "settle_older", "settle_stale", "fail", "halt", "release", "expire", "cancel"
]
Effect = Literal[
    "insert",  # a new row with a new seq
    "update",  # the newer wish takes the row over; tries and error start anew unless it is claimed
    "take",  # lease and claimed gen are set
    "record",  # the replica learns what arrived
    "refuse",  # the worker is told that its result does not count
    "count",  # one more try, a later run_at, the error stands in the row
    "unclaim",  # the lease is taken off, nothing is counted
    "remove",  # the row goes
    "halt site",  # no further claims for this mapping until a probe succeeds
]

TABLE: dict[tuple[State, Event], tuple[State, tuple[Effect, ...]]] = {
    ("gone", "wish"): ("waiting", ("insert",)),
    ("gone", "settle_ok"): ("gone", ("refuse",)),
    ("gone", "settle_older"): ("gone", ("refuse",)),
    ("gone", "settle_stale"): ("gone", ("refuse",)),
    ("waiting", "wish"): ("waiting", ("update",)),
    ("waiting", "claim"): ("claimed", ("take",)),
    ("waiting", "settle_ok"): ("waiting", ("refuse",)),
    ("waiting", "settle_older"): ("waiting", ("refuse",)),
    ("waiting", "settle_stale"): ("waiting", ("refuse",)),
    ("waiting", "cancel"): ("gone", ("remove",)),
    ("claimed", "wish"): ("claimed", ("update",)),
    ("claimed", "settle_ok"): ("gone", ("record", "remove")),
    ("claimed", "settle_older"): ("waiting", ("record", "unclaim")),
    ("claimed", "settle_stale"): ("claimed", ("refuse",)),
    ("claimed", "fail"): ("waiting", ("count", "unclaim")),
    ("claimed", "halt"): ("waiting", ("unclaim", "halt site")),
    ("claimed", "release"): ("waiting", ("unclaim",)),
    ("claimed", "expire"): ("waiting", ("unclaim",)),
    ("claimed", "cancel"): ("gone", ("remove",)),
}
"""What is not in here changes nothing: a failure reported for a row that waits again came from a lease that ended."""


def step(state: State, event: Event) -> tuple[State, tuple[Effect, ...]]:
    """The next state and what is to be done for it."""
    return TABLE.get((state, event), (state, ()))


def state_of(task: Task | None) -> State:
    """The state a row is in."""
    if task is None:
        return "gone"
    return "claimed" if task.lease else "waiting"


def settles(task: Task | None, lease: int, gen: int) -> Event:
    """Which event a worker's good result is. It counts only under the row's own lease and for the gen that was claimed;
    `settle_older`: something newer has been wished since, so the row goes on after what arrived is recorded."""
    if task is None or not task.lease or task.lease != lease or task.claimed != gen:
        return "settle_stale"
    return "settle_ok" if task.gen == gen else "settle_older"


def coalesce(task: Task | None, wish: Wish, seq: int) -> Task:
    """The one row of (mapping, path) after a wish: what every index does in `Tasks.wish`. `seq` is the next number.

    A row keeps its seq while its kind stays, so a file that changes all day is not sent to the end of the queue.
    A claimed row stays claimed; its holder finds another gen when it settles. Of another kind nothing it did counts: the
    claimed gen is then -1, which nobody was given.
    """
    fresh = Task(
        mapping=wish.mapping,
        path=wish.path,
        kind=wish.kind,
        element=wish.element,
        gen=wish.gen,
        content=wish.content,
        source=wish.source,
        replaces=wish.replaces,
        priority=wish.priority,
        run_at=wish.run_at,
        seq=seq,
    )
    if task is None:
        return fresh
    kept = replace(fresh, seq=task.seq if task.kind == wish.kind else seq)
    if not task.lease:
        return kept
    claimed = task.claimed if task.kind == wish.kind else -1
    return replace(
        kept, lease=task.lease, claimed=claimed, tries=task.tries, error=task.error, error_text=task.error_text
    )


def overlapping(one: Task, other: Task) -> bool:
    """Whether two tasks of a mapping touch the same place: equal or nested paths, their `source` included."""
    if one.mapping != other.mapping:
        return False
    return any(_nested(a, b) for a in _places(one) for b in _places(other))


def _places(task: Task) -> tuple[str, ...]:
    return (task.path, task.source) if task.source else (task.path,)


def _nested(one: str, other: str) -> bool:
    if one == other:
        return True
    return (is_package(one) and other.startswith(one)) or (is_package(other) and one.startswith(other))


def blocked(task: Task, others: Sequence[Task]) -> Task | None:
    """The first task (lowest seq) that has to end before this one may start; None: it is free.

    `others` are the tasks of the mapping that may overlap it: moves and packages for a file, all for those.
    """
    earlier = [other for other in others if other.seq < task.seq and overlapping(task, other)]
    return min(earlier, key=lambda other: other.seq, default=None)


class _Places:
    """Tasks by the places they touch, so that finding what overlaps costs the depth of a path, not the queue's length."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._at: dict[str, list[Task]] = {}
        for task in tasks:
            for place in _places(task):
                self._at.setdefault(place, []).append(task)
        self._sorted = sorted(self._at)

    def overlapping(self, task: Task) -> Iterator[Task]:
        """Every task that touches a place of this one, itself included, some perhaps twice."""
        for place in _places(task):
            for above in self._above(place):
                yield from self._at.get(above, ())
            if is_package(place):
                for inner in self._below(place):
                    yield from self._at[inner]

    def _above(self, place: str) -> Iterator[str]:
        yield place
        end = place.rfind("/", 0, len(place) - 1)
        while end > 0:
            yield place[: end + 1]
            end = place.rfind("/", 0, end)

    def _below(self, folder: str) -> Iterator[str]:
        for number in range(bisect_right(self._sorted, folder), len(self._sorted)):
            if not self._sorted[number].startswith(folder):
                return
            yield self._sorted[number]


def claimable(due: Sequence[Task], barriers: Sequence[Task], limit: int, max_bytes: int) -> list[Task]:
    """What to give out now: of the tasks due (in the order they should run), those nothing blocks, at most `limit` and
    together at most `max_bytes`, but one at least.

    `barriers` are all other tasks of the mapping that may overlap these: moves, packages and what is claimed, due or not.
    A claimed one blocks whatever its seq. So nothing that overlaps is ever worked on at once.
    """
    places = _Places((*barriers, *due))
    taken: list[Task] = []
    room = max_bytes
    for task in due:
        if len(taken) >= limit:
            break
        if any(_before(other, task) for other in places.overlapping(task)):
            continue
        size = task.content.size if task.content is not None and task.kind == "present" else 0
        if taken and size > room:
            break
        room -= size
        taken.append(task)
    return taken


def _before(other: Task, task: Task) -> bool:
    return other.seq < task.seq or (other.lease != 0 and other.seq != task.seq)
