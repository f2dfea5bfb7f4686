"""Queries as programs send them: `{"query": {...}, "sort": {...}, "limit": 0, "skip": 0}` in MongoDB's language.

Owns: the form of the whole, its order and page, the bounds. Must not know: the conditions themselves
(`query_conditions`), the other query language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from everysite.decide.query import EVERYTHING, Predicate, Search, check_path
from everysite.decide.query_conditions import document, is_regex
from everysite.errors import BadRequest

DEEPEST = 50
VALUES = 50_000
CONDITIONS = 1000
REGEXES = 100
"""A query's levels, values (of `$in`, say), keys and regular expressions."""

_SORTS = 32
_BODY = ("query", "sort", "limit", "skip")


def parse(body: Any) -> Search:
    """What a body of search_mongo asks for; without a `query`: everything. Raises BadRequest."""
    body = _opened(body)
    _check_extent(body)
    query = body.get("query")
    return Search(
        where=EVERYTHING if query is None else document(query),
        sort=_sort(body.get("sort")),
        skip=_count("skip", body.get("skip")),
        limit=_count("limit", body.get("limit")),
    )


def parse_query(query: Any) -> Predicate:
    """The predicate of a query alone. Raises BadRequest."""
    _check_extent(query)
    return document(query)


def _opened(body: Any) -> Mapping[str, Any]:
    """The body, or the one written as text in its `queryobj`."""
    if body is None:
        return {}
    if isinstance(body, dict) and (text := body.get("queryobj")) is not None:
        if not isinstance(text, str):
            raise BadRequest("queryobj is a text: the query's object as JSON; or send that object as the body")
        try:
            body = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as err:
            raise BadRequest(f"queryobj is no JSON: {err}") from err
    if not isinstance(body, dict):
        raise BadRequest(
            'the body of search_mongo is an object: {"query": {...}, "sort": {...}, "limit": 0, "skip": 0}'
        )
    for key in body:
        if key not in _BODY:
            raise BadRequest(
                f"{key!r} is no part of search_mongo; it takes query, sort, limit, skip, or queryobj alone"
            )
    return body


def _check_extent(body: Any) -> None:
    """Before anything walks it by calling itself."""
    values = conditions = regexes = 0
    level = [body]
    for _ in range(DEEPEST):
        values += len(level)
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                conditions += len(value)
                regexes += "$regex" in value
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str):
                regexes += is_regex(value)
        if values > VALUES or conditions > CONDITIONS or regexes > REGEXES:
            raise BadRequest(
                f"the query is too large; {VALUES} values, {CONDITIONS} conditions and {REGEXES} regular expressions are allowed"
            )
        if not below:
            return
        level = below
    raise BadRequest(f"the query is nested deeper than {DEEPEST} levels")


def _count(name: str, value: Any) -> int:
    """`limit` and `skip`: numbers, or texts of them."""
    if value is None or value == "":
        return 0
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value < 2**53:
        raise BadRequest(f"{name} is {value!r}; it is a whole number from 0 on, 0 for none")
    return value


def _sort(sort: Any) -> tuple[tuple[str, Literal[1, -1]], ...]:
    if sort is None or sort == "":
        return ()
    if not isinstance(sort, dict) or len(sort) > _SORTS:
        raise BadRequest(f'sort is an object like {{"time": -1}} of at most {_SORTS} keys')
    return tuple((check_path(path), _direction(path, value)) for path, value in sort.items())


def _direction(path: str, value: Any) -> Literal[1, -1]:
    if value in ("1", "-1"):
        value = int(value)
    if isinstance(value, bool) or value not in (1, -1):
        raise BadRequest(f"sort by {path} is {value!r}; it is 1 or -1")
    return 1 if value == 1 else -1
