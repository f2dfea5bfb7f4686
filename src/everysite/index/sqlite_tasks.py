"""Tasks in SQLite.

Owns: the table `task`. Must not know: threads, commits, how work is planned or done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from everysite.index.contract import Waiting
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_rows import Row, content_columns, numbers, prefix_end, texts, write
from everysite.model.element import Content
from everysite.model.task import Task, Wish

_WISHED = "mapping, path, kind, element, gen, size, mtime_ns, mode, digest, source, replaces, priority, run_at, seq"
_COLUMNS = f"{_WISHED}, tries, lease, claimed, error, error_text"
_COALESCE = """ON CONFLICT (mapping, path) DO UPDATE SET
    kind = excluded.kind, element = excluded.element, gen = excluded.gen, size = excluded.size,
    mtime_ns = excluded.mtime_ns, mode = excluded.mode, digest = excluded.digest, source = excluded.source,
    replaces = excluded.replaces, priority = excluded.priority, run_at = excluded.run_at,
    seq = iif(kind = excluded.kind, seq, excluded.seq),
    claimed = iif(kind = excluded.kind, claimed, iif(lease, -1, 0)), tries = iif(lease, tries, 0),
    error = iif(lease, error, 0), error_text = iif(lease, error_text, '')"""
_AGAIN = """) UPDATE task SET run_at = news.run_at, tries = news.tries, error = news.error,
    error_text = news.error_text, lease = news.lease, claimed = iif(news.lease, news.claimed, 0)
    FROM news WHERE task.mapping = news.mapping AND task.path = news.path"""
_WAITING = """SELECT sum(files), sum(bytes), sum(running), sum(failing) FROM (
    SELECT count(*) AS files, sum(size) AS bytes, 0 AS running, count(*) FILTER (WHERE tries > 0) AS failing
        FROM task INDEXED BY task_due WHERE mapping = ?1 AND lease = 0
    UNION ALL SELECT count(*), sum(size), count(*), 0 FROM task INDEXED BY task_running WHERE mapping = ?1 AND lease <> 0)"""
_RUNNING = (
    "SELECT task.element, task.mapping, lease.since FROM task JOIN lease ON lease.id = task.lease"
    " WHERE task.element {} AND task.element <> 0 AND task.lease <> 0 AND task.kind = 'present'"
)


class SqliteTasks:
    """See the contract's Tasks."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters

    def wish(self, wishes: Sequence[Wish]) -> None:
        seq = self._numbers.take("seq", len(wishes))
        rows: list[Row] = [
            (
                *(w.mapping, w.path, w.kind, w.element, w.gen, *content_columns(w.content)),
                *(w.source, w.replaces, w.priority, w.run_at, seq + i),
            )
            for i, w in enumerate(wishes)
        ]
        write(self._db, f"INSERT INTO task ({_WISHED})", rows, _COALESCE)

    def get(self, mapping: int, paths: Sequence[str]) -> list[Task | None]:
        rows = self._select("WHERE mapping = ? AND path IN (SELECT value FROM carray(?))", (mapping, *texts(paths)))
        found = {task.path: task for task in rows}
        return [found.get(path) for path in paths]

    def of_element(self, element: int) -> list[Task]:
        return self._select("WHERE element = ? AND element <> 0 ORDER BY mapping, path", (element,))

    def running(self, elements: Sequence[int]) -> list[tuple[int, int, int]]:
        one = len(elements) == 1
        sql = _RUNNING.format("= ?" if one else "IN (SELECT value FROM carray(?))")
        return list(self._db.execute(sql, (elements[0],) if one else numbers(elements)))

    def under(self, mapping: int, prefix: str, limit: int = 1000, after: str = "") -> list[Task]:
        end = prefix_end(prefix)
        start = "WHERE mapping = ? AND path >= ? AND path > ?"
        if end is None:
            return self._select(f"{start} ORDER BY path LIMIT ?", (mapping, prefix, after, limit))
        return self._select(f"{start} AND path < ? ORDER BY path LIMIT ?", (mapping, prefix, after, end, limit))

    def moves(self, mapping: int) -> list[Task]:
        return self._select("WHERE mapping = ? AND kind = 'move' ORDER BY seq", (mapping,))

    def due(self, mapping: int, now: int, limit: int) -> list[Task]:
        earliest = self.next_run(mapping)
        if earliest is None or earliest > now:  # all wait for another try: do not walk them in the order of priority
            return []
        rest = "INDEXED BY task_due WHERE mapping = ? AND lease = 0 AND run_at <= ? ORDER BY priority DESC, seq LIMIT ?"
        return self._select(rest, (mapping, now, limit))

    def claim(self, mapping: int, paths: Sequence[str], lease: int) -> None:
        self._db.execute(
            "UPDATE task SET lease = ?, claimed = gen WHERE mapping = ? AND path IN (SELECT value FROM carray(?))",
            (lease, mapping, *texts(paths)),
        )

    def leased(self, lease: int) -> list[Task]:
        return self._select("WHERE lease = ? AND lease <> 0 ORDER BY seq", (lease,))

    def release(self, lease: int) -> int:
        if not lease:
            return 0
        self._db.execute("UPDATE task SET lease = 0, claimed = 0 WHERE lease = ? AND lease <> 0", (lease,))
        return self._db.changes()

    def again(self, tasks: Sequence[Task]) -> None:
        rows: list[Row] = [
            (t.mapping, t.path, t.run_at, t.tries, t.error, t.error_text, t.lease, t.claimed) for t in tasks
        ]
        head = "WITH news (mapping, path, run_at, tries, error, error_text, lease, claimed) AS ("
        write(self._db, head, rows, _AGAIN)

    def done(self, mapping: int, paths: Sequence[str]) -> None:
        sql = "DELETE FROM task WHERE mapping = ? AND path IN (SELECT value FROM carray(?))"
        self._db.execute(sql, (mapping, *texts(paths)))

    def next_run(self, mapping: int) -> int | None:
        sql = "SELECT min(run_at) FROM task INDEXED BY task_run WHERE mapping = ? AND lease = 0"
        earliest: int | None = next(self._db.execute(sql, (mapping,)))[0]
        return earliest

    def waiting(self, mapping: int) -> Waiting:
        """Adds up two narrow indexes, no row: some 60 ms a million tasks."""
        return Waiting(*(value or 0 for value in next(self._db.execute(_WAITING, (mapping,)))))

    def ahead(self, task: Task) -> tuple[int, int]:
        sql = (
            "SELECT count(*), coalesce(sum(size), 0) FROM task"
            " WHERE mapping = ? AND lease = 0 AND (priority > ? OR (priority = ? AND seq < ?))"
        )
        files, size = next(self._db.execute(sql, (task.mapping, task.priority, task.priority, task.seq)))
        return files, size

    def _select(self, rest: str, bindings: Sequence[Any]) -> list[Task]:
        return [_task(row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM task {rest}", bindings)]


def _task(row: tuple[Any, ...]) -> Task:
    mapping, path, kind, element, gen, size, mtime_ns, mode, digest, *rest = row
    content = None if digest is None else Content(size, mtime_ns, mode, digest)
    return Task(mapping, path, kind, element, gen, content, *rest)
