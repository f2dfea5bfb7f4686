"""Elements and tombstones in PostgreSQL.

Owns: the tables `element` and `tombstone`. Must not know: threads, commits, what elements mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from psycopg import errors

from everysite.decide.query import Found, Search
from everysite.errors import BadRequest, Conflict
from everysite.index.columns import content_columns, prefix_end
from everysite.index.element_rows import body_json, check_keys, element_of, late_json, numbered, stone_of
from everysite.index.numbers import Numbers
from everysite.index.postgres_find import find
from everysite.index.postgres_indexes import Indexes
from everysite.index.postgres_paths import COLUMNS, LONGEST, is_ranked, ranked
from everysite.index.postgres_rows import Row, Rows, waves
from everysite.index.postgres_session import Session
from everysite.index.postgres_text import array, body_text
from everysite.model.element import Element, Tombstone

_COLUMNS = "id, key, ms, counter, gen, size, mtime_ns, mode, digest, origin, change, late, body"
_ALL = f"{_COLUMNS}, {', '.join(COLUMNS.values())}"
_TYPES = "bigint text bigint bigint bigint bigint bigint bigint bytea bigint bigint text json text text text text text"
_PUT = Rows(
    f"INSERT INTO element ({_ALL})",
    _TYPES,
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _ALL.split(', ')[1:])}",
)
# The two ways nearly every write goes: all keys are new, or all are as they were. Where that is not so they do nothing, so
# neither needs a savepoint.
_NEWS = f"unnest({', '.join(f'%s::{kind}[]' for kind in _TYPES.split())}) AS news({_ALL})"
_ADD = (
    "WITH taken AS MATERIALIZED (SELECT EXISTS (SELECT 1 FROM element WHERE key = ANY(%s::text[])) AS one),"
    " gone AS (DELETE FROM tombstone WHERE key = ANY(%s::text[]) AND NOT (SELECT one FROM taken))"
    f" INSERT INTO element ({_ALL}) SELECT * FROM {_NEWS} WHERE NOT (SELECT one FROM taken) RETURNING id"
)
_CHANGE = (
    f"WITH news AS MATERIALIZED (SELECT * FROM {_NEWS}),"
    " other AS MATERIALIZED (SELECT EXISTS (SELECT 1 FROM news WHERE NOT EXISTS"
    " (SELECT 1 FROM element WHERE element.id = news.id AND element.key = news.key)) AS one)"
    f" UPDATE element SET {', '.join(f'{name} = news.{name}' for name in _ALL.split(', ')[2:])}"
    " FROM news WHERE element.id = news.id AND NOT (SELECT one FROM other) RETURNING element.id"
)
_AT_ONCE = 1_000  # rows in one of these statements
_STONE_COLUMNS = "key, ms, counter, size, mtime_ns, mode, digest, renamed_to, change"
_BURY = Rows(
    f"INSERT INTO tombstone ({_STONE_COLUMNS})",
    "text bigint bigint bigint bigint bigint bytea text bigint",
    f"ON CONFLICT (key) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in _STONE_COLUMNS.split(', ')[1:])}",
)


class PostgresElements:
    """See the contract's Elements."""

    def __init__(self, session: Session, counters: Numbers) -> None:
        self._session = session
        self._numbers = counters
        self._indexes = Indexes(session)

    def get(self, keys: Sequence[str]) -> list[Element | None]:
        if len(keys) == 1:
            return [next(iter(self._select("WHERE key = %s", (keys[0],))), None)]
        there = self._select("WHERE key = ANY(%s::text[])", (array(keys),)) if keys else []
        found = {element.key: element for element in there}
        return [found.get(key) for key in keys]

    def by_id(self, ids: Iterable[int]) -> dict[int, Element]:
        return {element.id: element for element in self._select("WHERE id = ANY(%s::bigint[])", (array(ids),))}

    def count(self) -> int:
        """A walk over the narrowest index: some 60 ms a million."""
        return int(self._session.one("SELECT count(*) FROM element"))

    def put(self, elements: Sequence[Element]) -> list[Element]:
        if not elements:
            return []
        check_keys(elements)
        _check_lengths(elements)
        made = numbered(elements, self._numbers)
        rows = [_row(element) for element in made]
        if len(rows) > _AT_ONCE or not (self._added(elements, rows) or self._changed(elements, rows)):
            self._put(made, rows)
        return made

    def _added(self, elements: Sequence[Element], rows: Sequence[Row]) -> bool:
        """False, and nothing was written: not all of them are new, or a key is taken."""
        if any(element.id for element in elements) or len({element.key for element in elements}) < len(elements):
            return False
        columns = [array(column) for column in zip(*rows, strict=True)]
        return bool(self._session.changed(_ADD, (columns[1], columns[1], *columns)))

    def _changed(self, elements: Sequence[Element], rows: Sequence[Row]) -> bool:
        """False, and nothing was written: not all of them are there under their keys."""
        if not all(element.id for element in elements) or len({element.id for element in elements}) < len(elements):
            return False
        return bool(self._session.changed(_CHANGE, [array(column) for column in zip(*rows, strict=True)]))

    def _put(self, made: Sequence[Element], rows: Sequence[Row]) -> None:
        """Whatever there is. Raises Conflict."""
        try:
            self._write(rows)
        except errors.UniqueViolation:
            self._set_keys_aside(made)
            self._write(rows)
        self._session.surely("DELETE FROM tombstone WHERE key = ANY(%s::text[])", (array(e.key for e in made),))

    def bury(self, stones: Sequence[Tombstone]) -> None:
        first = self._numbers.take("change", len(stones))
        gone = "DELETE FROM element WHERE key = ANY(%s::text[]) RETURNING id"
        sql = f"WITH gone AS ({gone}) DELETE FROM replica WHERE element IN (SELECT id FROM gone)"
        self._session.write(sql, (array(stone.key for stone in stones),))
        rows: dict[str, Row] = {}
        for i, s in enumerate(stones):
            rows[s.key] = (s.key, *s.version, *content_columns(s.content), s.renamed_to, first + i)
        _BURY.write(self._session, list(rows.values()))

    def stones(self, keys: Sequence[str]) -> list[Tombstone | None]:
        sql = f"SELECT {_STONE_COLUMNS} FROM tombstone WHERE key = ANY(%s::text[])"
        found = {row[0]: stone_of(row) for row in self._session.rows(sql, (array(keys),))} if keys else {}
        return [found.get(key) for key in keys]

    def under(self, prefix: str, after: str = "", limit: int = 1000) -> list[Element]:
        end = prefix_end(prefix)
        if end is None:
            return self._select("WHERE key >= %s AND key > %s ORDER BY key LIMIT %s", (prefix, after, limit))
        rest = "WHERE key >= %s AND key > %s AND key < %s ORDER BY key LIMIT %s"
        return self._select(rest, (prefix, after, end, limit))

    def children(self, key: str, limit: int = 1000) -> list[Element]:
        if not is_ranked(key):
            return []
        return self._select("WHERE parent = %s ORDER BY id LIMIT %s", (ranked(key), limit))

    def where(self, conditions: Sequence[tuple[str, Any]], limit: int = 1000) -> list[Element]:
        tests, bindings = ["TRUE"], []
        for name, value in conditions:
            test, values = _condition(name, value)
            tests.append(test)
            bindings += values
        return self._select(f"WHERE {' AND '.join(tests)} ORDER BY id LIMIT %s", (*bindings, limit))

    def find(self, search: Search, counted: bool = False) -> Found:
        return find(self._session, self._indexes, search, counted)

    def links(self, side: Literal["src_id", "tgt_id"], keys: Sequence[str], limit: int) -> list[Element]:
        if not keys:
            return []
        where = f"WHERE {COLUMNS[side]} = ANY(%s::text[]) ORDER BY id LIMIT %s"
        return self._select(where, (array(ranked(key) for key in keys if is_ranked(key)), limit))

    def add_index(self, path: str) -> None:
        self._indexes.add(path)

    def drop_index(self, path: str) -> bool:
        return self._indexes.drop(path)

    def indexed(self) -> list[str]:
        return self._indexes.listed()

    def _select(self, rest: str, values: Sequence[Any]) -> list[Element]:
        return [element_of(row) for row in self._session.rows(f"SELECT {_COLUMNS} FROM element {rest}", values)]

    def _write(self, rows: Sequence[Row]) -> None:
        """All rows or none, also when the caller goes on after the error."""
        with self._session.guarded():
            for wave in waves(rows, lambda row: row[0]):
                _PUT.write(self._session, wave)

    def _set_keys_aside(self, elements: Sequence[Element]) -> None:
        """Keys may travel in a circle within one batch (/1 -> /2, /2 -> /3). Raises Conflict when that is not it."""
        keys = [element.key for element in elements]
        ids = {element.id for element in elements}
        taken = self._session.rows("SELECT key, id FROM element WHERE key = ANY(%s::text[])", (array(keys),))
        others = [key for key, number in taken if number not in ids] or [key for key in keys if keys.count(key) > 1]
        if others:
            raise Conflict(f"{others[0]!r} exists already; choose another _id, or update it")
        # No key starts with a NUL, nor with what one is kept as.
        sql = "UPDATE element SET key = %s || id WHERE id = ANY(%s::bigint[])"
        self._session.write(sql, ("\0", array(ids)))


def _check_lengths(elements: Sequence[Element]) -> None:
    for element in elements:
        if not is_ranked(element.key):
            raise BadRequest(f"{element.key[:40]!r}... has more than the {LONGEST} bytes an _id may have on PostgreSQL")


def _row(e: Element) -> Row:
    return (
        *(e.id, e.key, *e.version, e.gen, *content_columns(e.content), e.origin, e.change, late_json(e)),
        body_text(body_json(e)),
        *(ranked(e.body[key]) if key in e.body else None for key in COLUMNS),
    )


def _condition(name: str, value: Any) -> tuple[str, list[Any]]:
    """SQL for `body[name] == value`, with JSON's idea of equal: true is not 1, and null is not absent."""
    if name == "_id":
        return "key = %s", [str(value)]
    if isinstance(value, str):
        return "json_typeof(body -> %s) = 'string' AND body ->> %s = %s", [name, name, value]
    return "everysite_ranked(body, %s) = %s", [name, ranked(value)]
