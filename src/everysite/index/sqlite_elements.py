"""Elements and tombstones in SQLite.

Owns: the tables `element` and `tombstone`. Must not know: threads, commits, what elements mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import apsw

from everysite.decide.query import Found, Search
from everysite.errors import Conflict
from everysite.index.element_rows import body_json, check_keys, element_of, late_json, numbered, stone_of
from everysite.index.sqlite_find import find
from everysite.index.sqlite_indexes import Indexes
from everysite.index.sqlite_numbers import Numbers
from everysite.index.sqlite_paths import COLUMNS, ranked
from everysite.index.sqlite_rows import Row, Value, content_columns, numbers, prefix_end, texts, write
from everysite.model.element import Element, Tombstone

_COLUMNS = "id, key, ms, counter, gen, size, mtime_ns, mode, digest, origin, change, late, body"
_RANKED = tuple(COLUMNS)
_ABSENT = object()
_DEFAULTS = (_ABSENT,) * len(_RANKED)
_INSERT = f"INSERT INTO element ({_COLUMNS}, {', '.join(COLUMNS.values())})"
_REPLACE = (
    "ON CONFLICT (id) DO UPDATE SET key = excluded.key, ms = excluded.ms, counter = excluded.counter, gen = excluded.gen,"
    " size = excluded.size, mtime_ns = excluded.mtime_ns, mode = excluded.mode, digest = excluded.digest,"
    " origin = excluded.origin, change = excluded.change, late = excluded.late, body = excluded.body, "
    + ", ".join(f"{column} = excluded.{column}" for column in COLUMNS.values())
)
_STONE_COLUMNS = "key, ms, counter, size, mtime_ns, mode, digest, renamed_to, change"


class SqliteElements:
    """See the contract's Elements."""

    def __init__(self, db: apsw.Connection, counters: Numbers) -> None:
        self._db = db
        self._numbers = counters
        self._indexes = Indexes(db)

    def get(self, keys: Sequence[str]) -> list[Element | None]:
        if len(keys) == 1:
            return [next(iter(self._select("WHERE key = ?", (keys[0],))), None)]
        found = {
            element.key: element for element in self._select("WHERE key IN (SELECT value FROM carray(?))", texts(keys))
        }
        return [found.get(key) for key in keys]

    def by_id(self, ids: Iterable[int]) -> dict[int, Element]:
        rows = self._select("WHERE id IN (SELECT value FROM carray(?))", numbers(ids))
        return {element.id: element for element in rows}

    def count(self) -> int:
        """A walk over the narrowest index: some 10 ms a million."""
        return int(next(self._db.execute("SELECT count(*) FROM element"))[0])

    def put(self, elements: Sequence[Element]) -> list[Element]:
        if not elements:
            return []
        check_keys(elements)
        made = numbered(elements, self._numbers)
        rows = [_row(element) for element in made]
        try:
            self._write(rows)
        except apsw.ConstraintError:
            self._set_keys_aside(made)
            self._write(rows)
        self._db.execute(
            "DELETE FROM tombstone WHERE key IN (SELECT value FROM carray(?))", texts(e.key for e in elements)
        )
        return made

    def bury(self, stones: Sequence[Tombstone]) -> None:
        first = self._numbers.take("change", len(stones))
        gone = "SELECT id FROM element WHERE key IN (SELECT value FROM carray(?))"
        keys = [stone.key for stone in stones]
        self._db.execute(
            "DELETE FROM replica WHERE (site, element) IN"
            f" (SELECT site, element FROM replica WHERE element IN ({gone}))",
            texts(keys),
        )
        self._db.execute("DELETE FROM element WHERE key IN (SELECT value FROM carray(?))", texts(keys))
        rows: list[Row] = [
            (s.key, *s.version, *content_columns(s.content), s.renamed_to, first + i) for i, s in enumerate(stones)
        ]
        write(self._db, f"INSERT OR REPLACE INTO tombstone ({_STONE_COLUMNS})", rows)

    def stones(self, keys: Sequence[str]) -> list[Tombstone | None]:
        sql = f"SELECT {_STONE_COLUMNS} FROM tombstone WHERE key IN (SELECT value FROM carray(?))"
        found = {row[0]: stone_of(row) for row in self._db.execute(sql, texts(keys))}
        return [found.get(key) for key in keys]

    def under(self, prefix: str, after: str = "", limit: int = 1000) -> list[Element]:
        end = prefix_end(prefix)
        if end is None:
            return self._select("WHERE key >= ? AND key > ? ORDER BY key LIMIT ?", (prefix, after, limit))
        return self._select("WHERE key >= ? AND key > ? AND key < ? ORDER BY key LIMIT ?", (prefix, after, end, limit))

    def children(self, key: str, limit: int = 1000) -> list[Element]:
        return self._select("WHERE parent = ? ORDER BY id LIMIT ?", (key, limit))

    def where(self, conditions: Sequence[tuple[str, Any]], limit: int = 1000) -> list[Element]:
        tests, bindings = ["1"], []
        for name, value in conditions:
            test, values = _condition(name, value)
            tests.append(test)
            bindings += values
        return self._select(f"WHERE {' AND '.join(tests)} ORDER BY id LIMIT ?", (*bindings, limit))

    def find(self, search: Search, counted: bool = False) -> Found:
        return find(self._db, self._indexes, search, counted)

    def links(self, side: Literal["src_id", "tgt_id"], keys: Sequence[str], limit: int) -> list[Element]:
        column = COLUMNS[side]
        where = f"WHERE {column} IN (SELECT value FROM carray(?)) ORDER BY id LIMIT ?"
        return self._select(where, (*texts(keys), limit))

    def add_index(self, path: str) -> None:
        self._indexes.add(path)

    def drop_index(self, path: str) -> bool:
        return self._indexes.drop(path)

    def indexed(self) -> list[str]:
        return self._indexes.listed()

    def _select(self, rest: str, bindings: Sequence[Any]) -> list[Element]:
        return [element_of(row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM element {rest}", bindings)]

    def _write(self, rows: Sequence[Row]) -> None:
        """All rows or none, also when the caller goes on after the error."""
        with self._db:
            write(self._db, _INSERT, rows, _REPLACE)

    def _set_keys_aside(self, elements: Sequence[Element]) -> None:
        """Keys may travel in a circle within one batch (/1 -> /2, /2 -> /3). Raises Conflict when that is not it."""
        keys = [element.key for element in elements]
        ids = {element.id for element in elements}
        taken = self._db.execute("SELECT key, id FROM element WHERE key IN (SELECT value FROM carray(?))", texts(keys))
        others = [key for key, number in taken if number not in ids] or [key for key in keys if keys.count(key) > 1]
        if others:
            raise Conflict(f"{others[0]!r} exists already; choose another _id, or update it")
        sql = "UPDATE element SET key = char(0) || id WHERE id IN (SELECT value FROM carray(?))"
        self._db.execute(sql, numbers(ids))


def _row(e: Element) -> Row:
    return (
        *(
            e.id,
            e.key,
            *e.version,
            e.gen,
            *content_columns(e.content),
            e.origin,
            e.change,
            late_json(e),
            body_json(e).decode(),
        ),
        *[None if value is _ABSENT else ranked(value) for value in map(e.body.get, _RANKED, _DEFAULTS)],
    )


def _condition(name: str, value: Any) -> tuple[str, list[Value]]:
    """SQL for `body[name] == value`, with JSON's idea of equal: true is not 1, and null is not absent."""
    if name == "_id":
        return "key = ?", [str(value)]
    if isinstance(value, bool) or value is None:
        return _CONDITION.format("j.type = ?"), [name, {True: "true", False: "false", None: "null"}[value]]
    if isinstance(value, str):
        return _CONDITION.format("j.type = 'text' AND j.atom = ?"), [name, value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(value)
    return _CONDITION.format("j.type IN ('integer', 'real') AND j.atom = ?"), [name, value]


_CONDITION = "EXISTS (SELECT 1 FROM json_each(body) AS j WHERE j.key = ? AND {})"
