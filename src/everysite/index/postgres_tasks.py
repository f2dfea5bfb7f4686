"""Tasks in PostgreSQL.

Owns: the table `task`. Must not know: threads, commits, how work is planned or done.

Between `due` and `claim` of a unit nobody else claims: who writes has the turn (see postgres_writer). So there is nothing
that FOR UPDATE SKIP LOCKED could skip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from everysite.index.columns import content_columns, prefix_end
from everysite.index.contract import Waiting
from everysite.index.numbers import Numbers
from everysite.index.postgres_rows import Row, Rows, waves
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import array
from everysite.model.element import Content
from everysite.model.task import Task, Wish

_WISHED = "mapping, path, kind, element, gen, size, mtime_ns, mode, digest, source, replaces, priority, run_at, seq"
_COLUMNS = f"{_WISHED}, tries, lease, claimed, error, error_text"
_WISH = Rows(
    f"INSERT INTO task ({_WISHED})",
    "bigint text text bigint bigint bigint bigint bigint bytea text bytea bigint bigint bigint",
    """ON CONFLICT (mapping, path) DO UPDATE SET
    kind = excluded.kind, element = excluded.element, gen = excluded.gen, size = excluded.size,
    mtime_ns = excluded.mtime_ns, mode = excluded.mode, digest = excluded.digest, source = excluded.source,
    replaces = excluded.replaces, priority = excluded.priority, run_at = excluded.run_at,
    seq = CASE WHEN task.kind = excluded.kind THEN task.seq ELSE excluded.seq END,
    claimed = CASE WHEN task.kind = excluded.kind THEN task.claimed WHEN task.lease <> 0 THEN -1 ELSE 0 END,
    tries = CASE WHEN task.lease <> 0 THEN task.tries ELSE 0 END,
    error = CASE WHEN task.lease <> 0 THEN task.error ELSE 0 END,
    error_text = CASE WHEN task.lease <> 0 THEN task.error_text ELSE '' END""",
)
_AGAIN = Rows(
    "UPDATE task SET run_at = news.run_at, tries = news.tries, error = news.error, error_text = news.error_text,"
    " lease = news.lease, claimed = CASE WHEN news.lease <> 0 THEN news.claimed ELSE 0 END FROM (",
    "bigint text bigint bigint bigint text bigint bigint",
    "(mapping, path, run_at, tries, error, error_text, lease, claimed)) AS news"
    " WHERE task.mapping = news.mapping AND task.path = news.path",
)
_WAITING = """SELECT sum(files)::bigint, sum(bytes)::bigint, sum(running)::bigint, sum(failing)::bigint FROM (
    SELECT count(*) AS files, sum(size) AS bytes, 0 AS running, count(*) FILTER (WHERE tries > 0) AS failing
        FROM task WHERE mapping = %s AND lease = 0
    UNION ALL SELECT count(*), sum(size), count(*), 0 FROM task WHERE mapping = %s AND lease <> 0) AS parts"""
_RUNNING = (
    "SELECT task.element, task.mapping, lease.since FROM task JOIN lease ON lease.id = task.lease"
    " WHERE task.element = ANY(%s::bigint[]) AND task.element <> 0 AND task.lease <> 0 AND task.kind = 'present'"
)


class PostgresTasks:
    """See the contract's Tasks."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
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
        for wave in waves(rows, lambda row: (row[0], row[1])):
            _WISH.write(self._session, wave)

    def get(self, mapping: int, paths: Sequence[str]) -> list[Task | None]:
        rows = self._select("WHERE mapping = %s AND path = ANY(%s::text[])", (mapping, array(paths))) if paths else []
        found = {task.path: task for task in rows}
        return [found.get(path) for path in paths]

    def of_element(self, element: int) -> list[Task]:
        return self._select("WHERE element = %s AND element <> 0 ORDER BY mapping, path", (element,))

    def running(self, elements: Sequence[int]) -> list[tuple[int, int, int]]:
        if not elements:
            return []
        return [
            (element, mapping, since) for element, mapping, since in self._session.rows(_RUNNING, (array(elements),))
        ]

    def under(self, mapping: int, prefix: str, limit: int = 1000, after: str = "") -> list[Task]:
        end = prefix_end(prefix)
        start = "WHERE mapping = %s AND path >= %s AND path > %s"
        if end is None:
            return self._select(f"{start} ORDER BY path LIMIT %s", (mapping, prefix, after, limit))
        return self._select(f"{start} AND path < %s ORDER BY path LIMIT %s", (mapping, prefix, after, end, limit))

    def moves(self, mapping: int) -> list[Task]:
        return self._select("WHERE mapping = %s AND kind = 'move' ORDER BY seq", (mapping,))

    def due(self, mapping: int, now: int, limit: int) -> list[Task]:
        earliest = self.next_run(mapping)
        if earliest is None or earliest > now:  # all wait for another try: do not walk them in the order of priority
            return []
        rest = "WHERE mapping = %s AND lease = 0 AND run_at <= %s ORDER BY priority DESC, seq LIMIT %s"
        return self._select(rest, (mapping, now, limit))

    def claim(self, mapping: int, paths: Sequence[str], lease: int) -> None:
        if paths:
            sql = "UPDATE task SET lease = %s, claimed = gen WHERE mapping = %s AND path = ANY(%s::text[])"
            self._session.write(sql, (lease, mapping, array(paths)))

    def leased(self, lease: int) -> list[Task]:
        return self._select("WHERE lease = %s AND lease <> 0 ORDER BY seq", (lease,)) if lease else []

    def release(self, lease: int) -> int:
        if not lease:
            return 0
        return self._session.count("UPDATE task SET lease = 0, claimed = 0 WHERE lease = %s AND lease <> 0", (lease,))

    def again(self, tasks: Sequence[Task]) -> None:
        rows: list[Row] = [
            (t.mapping, t.path, t.run_at, t.tries, t.error, t.error_text, t.lease, t.claimed) for t in tasks
        ]
        for wave in waves(rows, lambda row: (row[0], row[1])):
            _AGAIN.write(self._session, wave)

    def done(self, mapping: int, paths: Sequence[str]) -> None:
        if paths:
            self._session.write(
                "DELETE FROM task WHERE mapping = %s AND path = ANY(%s::text[])", (mapping, array(paths))
            )

    def next_run(self, mapping: int) -> int | None:
        earliest: int | None = self._session.one(
            "SELECT min(run_at) FROM task WHERE mapping = %s AND lease = 0", (mapping,)
        )
        return earliest

    def waiting(self, mapping: int) -> Waiting:
        """Adds up two narrow indexes."""
        return Waiting(*(value or 0 for value in self._session.rows(_WAITING, (mapping, mapping))[0]))

    def ahead(self, task: Task) -> tuple[int, int]:
        sql = (
            "SELECT count(*), coalesce(sum(size), 0)::bigint FROM task"
            " WHERE mapping = %s AND lease = 0 AND (priority > %s OR (priority = %s AND seq < %s))"
        )
        files, size = self._session.rows(sql, (task.mapping, task.priority, task.priority, task.seq))[0]
        return files, size

    def _select(self, rest: str, values: Sequence[Any]) -> list[Task]:
        return [_task(row) for row in self._session.rows(f"SELECT {_COLUMNS} FROM task {rest}", values)]


def _task(row: tuple[Any, ...]) -> Task:
    mapping, path, kind, element, gen, size, mtime_ns, mode, digest, *rest = row
    content = None if digest is None else Content(size, mtime_ns, mode, digest)
    return Task(mapping, path, kind, element, gen, content, *rest)
