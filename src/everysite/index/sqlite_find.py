"""Carrying a search out: what SQL finds for certain, and rows that are looked at one by one.

Owns: order, skip, limit, count, and looking at what SQL cannot tell. Must not know: how a node becomes SQL.

Rows travel by the hundred as one JSON text a step: a step gives the interpreter lock away, and beside a busy event loop
waits for it (see sqlite_rows). Numbers of rows are gathered, bodies never: the memory of a search is that of its answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Any

import apsw
import msgspec

from everysite.decide.query import AtSite, Found, Search
from everysite.decide.query_match import matcher, sort_value
from everysite.index.bounds import OPEN, Bounds, conjuncts, every
from everysite.index.conditions import ALL, NONE, Sql, findable, joined
from everysite.index.searching import Down, Rank, Row, mentioned, part
from everysite.index.sqlite_indexes import Indexes
from everysite.index.sqlite_paths import DEEPER, NULL, OBJECT
from everysite.index.sqlite_places import Places
from everysite.index.sqlite_query import Leaves
from everysite.index.sqlite_rows import numbers
from everysite.index.sqlite_standing import StateKey
from everysite.index.sqlite_way import Way, choose
from everysite.model.element import Body

_PAGE = 256  # rows looked at between two steps of the engine
_EARLY = 5_000  # the oldest rows, read first where as many match as are asked for
_CHUNK = 1_000_000  # numbers of rows held at once
_OLDEST = "ORDER BY element.id"
_MOST = 2**63 - 1
_MOST_VALUES = 15_000  # SQLite binds 32,766, and a page binds a condition twice
_LONGEST = 400_000  # characters; SQLite reads 1,000,000
_decode = msgspec.json.decode
_decode_keys = msgspec.json.Decoder(list[str]).decode
_decode_ids = msgspec.json.Decoder(list[int]).decode
_decode_body = msgspec.json.Decoder(Body).decode


def find(db: apsw.Connection, indexes: Indexes, search: Search, counted: bool) -> Found:
    """See the contract's Elements."""
    return _Finding(db, Places(db, indexes), search, counted).found()


class _Finding:
    """One search in one transaction."""

    def __init__(self, db: apsw.Connection, places: Places, search: Search, counted: bool) -> None:
        self._db = db
        self._places = places
        self._search = search
        self._counted = counted
        parts = conjuncts(search.where)
        self._where = _bounded(every(parts, Leaves(places)))
        self._way = Way() if self._where == OPEN else choose(db, places, search, counted)
        if self._way.sought:
            self._where = self._way.where(parts, places)
        self._odd: list[str] = []

    def found(self) -> Found:
        if self._where.maybe == NONE:
            return Found([], 0 if self._counted else None)
        order = self._order()
        if self._where.exact and self._way.few:
            return self._of_few(order) or self._sorted_here()
        if self._is_odd():
            return self._sorted_here()
        return self._by_engine(order) if self._where.exact else self._looked_at(order)

    def _of_few(self, order: str) -> Found | None:
        """All at once, so that nothing is read twice. None: SQL cannot compare all their values."""
        skip, limit = part(self._search)
        odd = f"({' OR '.join(self._odd)})" if self._odd else "0"
        inner = f"SELECT key, {odd} AS odd FROM {self._way.source} WHERE {self._where.maybe.text} {order} LIMIT ?"
        most = -1 if self._counted or self._odd or limit < 0 else min(_MOST, skip + limit)
        sql = f"SELECT json_group_array(key), max(odd) FROM ({inner})"
        text, found_odd = next(self._db.execute(sql, (*self._where.maybe.values, most)))
        if found_odd:
            return None
        keys = _decode_keys(text)
        return Found(keys[skip : None if limit < 0 else skip + limit], len(keys) if self._counted else None)

    def _by_engine(self, order: str) -> Found:
        skip, limit = part(self._search)
        where = self._where.maybe
        if self._way.early and skip + limit <= _EARLY:
            keys = self._keys(f"element NOT INDEXED WHERE element.id <= {_EARLY} AND {where.text} {order}")
            if len(keys) == limit:
                return Found(keys)
        keys = self._keys(f"{self._way.source} WHERE {where.text} {order}")
        if not self._counted:
            return Found(keys)
        if (keys or not skip) and (limit < 0 or len(keys) < limit):
            return Found(keys, skip + len(keys))
        return Found(keys, self._one(Sql(f"SELECT count(*) FROM {self._way.source} WHERE {where.text}", where.values)))

    def _keys(self, source: str) -> list[str]:
        skip, limit = part(self._search)
        sql = f"SELECT json_group_array(key) FROM (SELECT key FROM {source} LIMIT ? OFFSET ?)"
        return _decode_keys(self._one(Sql(sql, (*self._where.maybe.values, limit, skip))))

    def _looked_at(self, order: str) -> Found:
        skip, limit = part(self._search)
        rows = self._matching(order, most=-1 if self._counted or limit < 0 else skip + limit)
        if not self._counted:
            return Found([row.key for row in islice(rows, skip, None if limit < 0 else skip + limit)])
        keys: list[str] = []
        count = 0
        for count, row in enumerate(rows, 1):  # how many there were is asked afterwards
            if count > skip and (limit < 0 or len(keys) < limit):
                keys.append(row.key)
        return Found(keys, count)

    def _sorted_here(self) -> Found:
        """By values that SQL cannot compare: objects and arrays."""
        skip, limit = part(self._search)
        count = 0

        def ranked() -> Iterator[tuple[Rank, str]]:
            nonlocal count
            for count, row in enumerate(self._matching(_OLDEST, -1, bodies=True), 1):
                yield (self._sort_values(row), count), row.key

        if limit < 0 or skip + limit > _CHUNK:
            rows = sorted(ranked())
        else:
            rows = heapq.nsmallest(skip + limit, ranked())
        keys = [key for _, key in rows[skip : None if limit < 0 else skip + limit]]
        return Found(keys, count if self._counted else None)

    def _sort_values(self, row: Row) -> tuple[Any, ...]:
        assert row.body is not None
        values = ((sort_value(row.body, path, up), up) for path, up in self._search.sort)
        return tuple(value if up == 1 else Down(value) for value, up in values)

    def _order(self) -> str:
        """ORDER BY, which is right where no row has a value of `_odd`."""
        terms = []
        for path, direction in self._search.sort:
            if findable(path):
                terms.append(self._sortable(path) + (" DESC" if direction == -1 else ""))
        return f"ORDER BY {', '.join([*terms, 'element.id'])}"

    def _sortable(self, path: str) -> str:
        place = self._places.place(path)
        if isinstance(place, StateKey):
            return place.value()
        if place.value != "key":
            odd = f"{place.value} IN ({OBJECT}, {DEEPER})"
            if not place.index or self._any("element", Sql(odd)):
                self._odd.append(odd)
        return f"nullif({place.value}, {NULL})" if place.nulls else place.value

    def _is_odd(self) -> bool:
        """Whether there are values that SQL cannot compare, in rows that may match."""
        if not self._odd:
            return False
        odd = joined([Sql(test) for test in self._odd], "OR", NONE)
        return self._any(self._way.source, joined([self._where.maybe, odd], "AND", ALL))

    def _any(self, source: str, where: Sql) -> bool:
        return bool(self._one(Sql(f"SELECT EXISTS (SELECT 1 FROM {source} WHERE {where.text})", where.values)))

    def _matching(self, order: str, most: int, bodies: bool = False) -> Iterator[Row]:
        """Those that match, in order. `most`: how many will be asked for, -1: all."""
        look = _Look(self._places, self._search, self._where.sure, bodies)
        answers: dict[AtSite, bool] = {}
        test = matcher(self._search.where, lambda question: answers[question])
        for ids in self._candidates(order, most):
            for row in look.rows(self._db, ids):
                answers.clear()
                answers.update(row.answers)
                if row.body is None or test(row.body):
                    yield row

    def _candidates(self, order: str, most: int) -> Iterator[list[int]]:
        """Numbers of the rows that may match, in order: first few when few are asked for, then ever more."""
        where, size, start = self._where.maybe, _CHUNK if most < 0 else min(_CHUNK, 64 + 4 * most), 0
        by_id, source = order == _OLDEST, self._way.source
        while True:
            after = joined([where, Sql("element.id > ?", (start,))], "AND", ALL) if by_id and start else where
            sql = f"SELECT json_group_array(id) FROM (SELECT id FROM {source} WHERE {after.text} {order} LIMIT ? OFFSET ?)"
            found = _decode_ids(self._one(Sql(sql, (*after.values, size, 0 if by_id else start))))
            for first in range(0, len(found), _PAGE):
                yield found[first : first + _PAGE]
            if len(found) < size:
                return
            start = found[-1] if by_id else start + size
            size = min(_CHUNK, 8 * size)

    def _one(self, sql: Sql) -> Any:
        return next(self._db.execute(sql.text, sql.values))[0]


class _Look:
    """What is read of a candidate."""

    def __init__(self, places: Places, search: Search, sure: Sql, bodies: bool) -> None:
        paths, questions = mentioned(search.where)
        paths |= {path for path, _ in search.sort if bodies}
        found = {path: places.place(path) for path in paths if findable(path)}
        extras = {path: place.value() for path, place in found.items() if isinstance(place, StateKey)}
        if "digest" in found:
            extras["digest"] = "CASE WHEN digest IS NOT NULL THEN lower(hex(digest)) END"
        self._extras = tuple(extras)
        self._questions = tuple(questions)
        body = "body" if bodies or set(found) - {"_id", *extras} or "digest" in found else "'{}'"
        if not bodies and sure != NONE:
            body = f"CASE WHEN {sure.text} THEN NULL ELSE {body} END"
            self._values = sure.values
        else:
            self._values = ()
        columns = ["id", "key", body, *extras.values(), *(places.standing(question) for question in questions)]
        self._sql = (
            f"SELECT json_group_array(json_array({', '.join(columns)})) FROM element"
            " WHERE id IN (SELECT value FROM carray(?))"
        )

    def rows(self, db: apsw.Connection, ids: list[int]) -> Iterator[Row]:
        """In the order of the numbers."""
        found = {row[0]: row for row in _decode(next(db.execute(self._sql, (*self._values, *numbers(ids))))[0])}
        for number in ids:
            _, key, text, *rest = found[number]
            answers = {q: bool(said) for q, said in zip(self._questions, rest[len(self._extras) :], strict=True)}
            yield Row(key, None if text is None else self._composed(key, text, rest), answers)

    def _composed(self, key: str, text: str, rest: list[Any]) -> Body:
        body = _decode_body(text)
        body["_id"] = key
        body |= {name: value for name, value in zip(self._extras, rest, strict=False) if value is not None}
        return body


def _bounded(found: Bounds) -> Bounds:
    """Conditions too large for the engine are left to looking at rows."""
    large = any(len(sql.values) > _MOST_VALUES or len(sql.text) > _LONGEST for sql in (found.sure, found.maybe))
    return OPEN if large else found
