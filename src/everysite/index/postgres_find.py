"""Carrying a search out: what SQL finds for certain, and rows that are looked at one by one.

Owns: order, skip, limit, count, and looking at what SQL cannot tell. Must not know: how a node becomes SQL.

The engine keeps statistics and chooses the index. Rows to be looked at come through a cursor, some hundred at a time, and
no more of them than are needed: the memory of a search is that of its answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from everysite.decide.query import AtSite, Found, Search
from everysite.decide.query_match import matcher, sort_value
from everysite.index.bounds import OPEN, Bounds, conjuncts, every
from everysite.index.conditions import ALL, NONE, Sql, findable, joined
from everysite.index.postgres_indexes import Indexes
from everysite.index.postgres_paths import DEEPER, NULL, OBJECT
from everysite.index.postgres_query import Leaves
from everysite.index.postgres_session import Session
from everysite.index.postgres_standing import StateKey
from everysite.index.searching import Down, Rank, Row, mentioned, part
from everysite.model.element import Body

_PAGE = 256  # rows looked at between two answers of the engine
_CHUNK = 1_000_000  # numbers of rows held at once
_OLDEST = "ORDER BY element.id"
_MOST_VALUES = 15_000
_LONGEST = 400_000  # characters
_decode_body = msgspec.json.Decoder(Body).decode


def find(session: Session, indexes: Indexes, search: Search, counted: bool) -> Found:
    """See the contract's Elements."""
    return _Finding(session, Leaves(session, indexes), search, counted).found()


class _Finding:
    """One search in one transaction."""

    def __init__(self, session: Session, leaves: Leaves, search: Search, counted: bool) -> None:
        self._session = session
        self._leaves = leaves
        self._search = search
        self._counted = counted
        self._where = _bounded(every(conjuncts(search.where), leaves))
        self._odd: list[Sql] = []

    def found(self) -> Found:
        if self._where.maybe == NONE:
            return Found([], 0 if self._counted else None)
        order = self._order()
        if self._is_odd():
            return self._sorted_here()
        return self._by_engine(order) if self._where.exact else self._looked_at(order)

    def _by_engine(self, order: str) -> Found:
        skip, limit = part(self._search)
        where = self._where.maybe
        sql = f"SELECT key FROM element WHERE {where.text} {order} LIMIT ? OFFSET ?"
        keys = [str(row[0]) for row in self._rows(Sql(sql, (*where.values, None if limit < 0 else limit, skip)))]
        if not self._counted:
            return Found(keys)
        if (keys or not skip) and (limit < 0 or len(keys) < limit):
            return Found(keys, skip + len(keys))
        [(count,)] = self._rows(Sql(f"SELECT count(*) FROM element WHERE {where.text}", where.values))
        return Found(keys, count)

    def _looked_at(self, order: str) -> Found:
        skip, limit = part(self._search)
        rows = self._matching(order)
        if not self._counted:
            return Found([row.key for row in islice(rows, skip, None if limit < 0 else skip + limit)])
        keys: list[str] = []
        count = 0
        for count, row in enumerate(rows, 1):  # how many there were is asked afterwards
            if count > skip and (limit < 0 or len(keys) < limit):
                keys.append(row.key)
        return Found(keys, count)

    def _sorted_here(self) -> Found:
        """By values that SQL cannot compare: arrays count as their least or greatest member."""
        skip, limit = part(self._search)
        count = 0

        def ranked() -> Iterator[tuple[Rank, str]]:
            nonlocal count
            for count, row in enumerate(self._matching(_OLDEST, bodies=True), 1):
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
                terms.append(self._sortable(path) + (" DESC NULLS LAST" if direction == -1 else " NULLS FIRST"))
        return f"ORDER BY {', '.join([*terms, 'element.id'])}"

    def _sortable(self, path: str) -> str:
        place = self._leaves.place(path)
        if isinstance(place, StateKey):
            return place.value()
        if place.raw:
            return place.value
        odd = Sql(f"{place.value} IN ({OBJECT}, {DEEPER})")
        if not place.indexed or self._any(odd):
            self._odd.append(odd)
        return f"nullif({place.value}, {NULL})" if place.nulls else place.value

    def _is_odd(self) -> bool:
        """Whether there are values that SQL cannot compare, in rows that may match."""
        return bool(self._odd) and self._any(joined([self._where.maybe, joined(self._odd, "OR", NONE)], "AND", ALL))

    def _any(self, where: Sql) -> bool:
        [(there,)] = self._rows(Sql(f"SELECT EXISTS (SELECT 1 FROM element WHERE {where.text})", where.values))
        return bool(there)

    def _matching(self, order: str, bodies: bool = False) -> Iterator[Row]:
        """Those that match, in order."""
        look = _Look(self._leaves, self._search, self._where.sure, bodies)
        answers: dict[AtSite, bool] = {}
        test = matcher(self._search.where, lambda question: answers[question])
        where = self._where.maybe
        sql = f"SELECT {look.columns.text} FROM element WHERE {where.text} {order}"
        for page in self._session.pages(_marked(sql), (*look.columns.values, *where.values), _PAGE):
            for row in map(look.row, page):
                answers.clear()
                answers.update(row.answers)
                if row.body is None or test(row.body):
                    yield row

    def _rows(self, sql: Sql) -> list[tuple[Any, ...]]:
        return self._session.rows(_marked(sql.text), sql.values)


class _Look:
    """What is read of a candidate."""

    def __init__(self, leaves: Leaves, search: Search, sure: Sql, bodies: bool) -> None:
        paths, questions = mentioned(search.where)
        paths |= {path for path, _ in search.sort if bodies}
        found = {path: leaves.place(path) for path in paths if findable(path)}
        extras = {path: place.value() for path, place in found.items() if isinstance(place, StateKey)}
        if "digest" in found:
            extras["digest"] = "encode(digest, 'hex')"
        self._extras = tuple(extras)
        self._questions = tuple(questions)
        body = "body" if bodies or set(found) - {"_id", *extras} or "digest" in found else "'{}'::json"
        values: tuple[Any, ...] = ()
        if not bodies and sure != NONE:
            body, values = f"CASE WHEN {sure.text} THEN NULL ELSE {body} END", sure.values
        columns = ["key", body, *extras.values(), *(leaves.standing(question) for question in questions)]
        self.columns = Sql(", ".join(columns), values)

    def row(self, columns: tuple[Any, ...]) -> Row:
        key, text, *rest = columns
        answers = {q: bool(said) for q, said in zip(self._questions, rest[len(self._extras) :], strict=True)}
        return Row(key, None if text is None else self._composed(key, text, rest), answers)

    def _composed(self, key: str, text: bytes, rest: list[Any]) -> Body:
        body = _decode_body(text)
        body["_id"] = key
        body |= {name: value for name, value in zip(self._extras, rest, strict=False) if value is not None}
        return body


def _marked(sql: str) -> str:
    """With the driver's marks. No literal of ours has a question mark in it (postgres_paths)."""
    return sql.replace("?", "%s")


def _bounded(found: Bounds) -> Bounds:
    """Conditions too large for the engine are left to looking at rows."""
    large = any(len(sql.values) > _MOST_VALUES or len(sql.text) > _LONGEST for sql in (found.sure, found.maybe))
    return OPEN if large else found
