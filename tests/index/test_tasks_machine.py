"""Tasks against a dict: wishes, claims, tries, settles and expiring leases in any order."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from tests.index.engines import ENGINES
from tests.index.machine import IndexMachine, drive

from everysite.index.contract import Waiting
from everysite.model.element import Content
from everysite.model.task import Kind, Task, Wish

PATHS = st.sampled_from(["/a", "/a/b", "/B", "/ö", "/a/c"])
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["present", "absent", "inspect", "move"])
WISHES = st.builds(
    Wish, st.just(1), PATHS, KINDS, st.integers(0, 2), st.integers(0, 3),
    st.none() | st.builds(Content, st.integers(0, 9), st.just(0), st.just(0), st.just(bytes(32))),
    priority=st.integers(-1, 1), run_at=st.integers(0, 3),
)  # fmt: skip


class TaskMachine(IndexMachine):
    """The model: tasks by path, with a seq of our own, which only has to rise."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, Task] = {}
        self.seq = 0

    @rule(wishes=st.lists(WISHES, max_size=6))
    def wish(self, wishes: list[Wish]) -> None:
        self.run(lambda t: t.tasks.wish(wishes))
        for wish in wishes:
            self._wish(wish)

    def _wish(self, wish: Wish) -> None:
        self.seq += 1
        old = self.model.get(wish.path)
        values = {field: getattr(wish, field) for field in Wish.__struct_fields__}
        if old is None:
            self.model[wish.path] = Task(**values, seq=self.seq)
            return
        seq = old.seq if old.kind == wish.kind else self.seq
        anew: dict[str, object] = {} if old.lease else {"tries": 0, "error": 0, "error_text": ""}
        if old.lease and old.kind != wish.kind:
            anew["claimed"] = -1
        self.model[wish.path] = msgspec.structs.replace(old, **values, **anew, seq=seq)

    @rule(now=st.integers(0, 3), limit=st.integers(1, 4), lease=st.integers(1, 3))
    def claim_what_is_due(self, now: int, limit: int, lease: int) -> None:
        due = self.read(lambda t: t.tasks.due(1, now, limit))
        free = [t for t in self.model.values() if not t.lease and t.run_at <= now]
        expected = sorted(free, key=lambda t: (-t.priority, t.seq))[:limit]
        assert [task.path for task in due] == [task.path for task in expected]
        paths = [task.path for task in due]
        self.run(lambda t: t.tasks.claim(1, paths, lease))
        for path in paths:
            task = self.model[path]
            self.model[path] = msgspec.structs.replace(task, lease=lease, claimed=task.gen)

    @rule(path=PATHS, run_at=st.integers(0, 3), error=st.sampled_from([0, 11]))
    def again(self, path: str, run_at: int, error: int) -> None:
        task = self.model.get(path)
        if task is None:
            return
        news = msgspec.structs.replace(task, run_at=run_at, tries=task.tries + 1, error=error, lease=0, claimed=0)
        self.run(lambda t: t.tasks.again([news]))
        self.model[path] = news

    @rule(paths=st.lists(PATHS, max_size=3))
    def done(self, paths: list[str]) -> None:
        self.run(lambda t: t.tasks.done(1, paths))
        for path in paths:
            self.model.pop(path, None)

    @rule(lease=st.integers(1, 3))
    def release(self, lease: int) -> None:
        released = [path for path, task in self.model.items() if task.lease == lease]
        assert self.run(lambda t: t.tasks.release(lease)) == len(released)
        for path in released:
            self.model[path] = msgspec.structs.replace(self.model[path], lease=0, claimed=0)

    @invariant()
    def rows_agree(self) -> None:
        rows = self.read(lambda t: t.tasks.under(1, ""))
        assert [_plain(row) for row in rows] == [_plain(self.model[path]) for path in sorted(self.model)]
        in_order = sorted(rows, key=lambda row: row.seq)
        assert [row.path for row in in_order] == [t.path for t in sorted(self.model.values(), key=lambda t: t.seq)]

    @invariant()
    def sums_agree(self) -> None:
        tasks = self.model.values()
        free = [task for task in tasks if not task.lease]
        size = sum(task.content.size for task in tasks if task.content)
        expected = Waiting(len(tasks), size, len(tasks) - len(free), sum(task.tries > 0 for task in free))
        assert self.read(lambda t: t.tasks.waiting(1)) == expected
        assert self.read(lambda t: t.tasks.next_run(1)) == min((task.run_at for task in free), default=None)


def _plain(task: Task) -> Task:
    return msgspec.structs.replace(task, seq=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_tasks_agree_with_a_dict(engine: str) -> None:
    drive(TaskMachine, engine)
