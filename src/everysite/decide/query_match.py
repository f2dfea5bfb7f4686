"""Whether one document is what a query asks for, and where it stands in an order.

Owns: the meaning of every node of `query`, of paths through arrays, and the order across types: the exact rule, which an
engine's own translation has to agree with.
Must not know: how a query is spelled, SQL, or where documents come from.

The rules are MongoDB's, with JSON's types. What a path leads to are zero or more values: those of all members of the arrays
on the way; a key that is not there is the value ABSENT, a member that is no object has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from operator import ge, gt, le, lt
from typing import Any, Final, Literal

from everysite.decide.query import (
    And,
    AtSite,
    ChangedSince,
    Compare,
    Contains,
    Equals,
    Exists,
    Matches,
    Member,
    Mod,
    Not,
    OneOf,
    Or,
    Predicate,
    Size,
    TypeIs,
)
from everysite.decide.query_regex import finder

Test = Callable[[Any], bool]
AnswersAtSite = Callable[[AtSite], bool]

ABSENT: Final = object()
_COMPARE = {"<": lt, "<=": le, ">": gt, ">=": ge}
_SORT_DEPTH = 50  # deeper parts of documents count as equal, so that no document can exhaust the stack


def matches(predicate: Predicate, body: Mapping[str, Any], at_site: AnswersAtSite | None = None) -> bool:
    """Whether the predicate holds for a document as clients see it (with `_id` and state keys).

    `at_site` answers the questions about sites for this document; without it, such a question raises ValueError.
    For many documents, `matcher` once is several times faster.
    """
    return matcher(predicate, at_site)(body)


def matcher(predicate: Predicate, at_site: AnswersAtSite | None = None) -> Test:
    """The predicate as a function of a document. Raises BadRequest for a regular expression that cannot be used."""
    match predicate:
        case And(parts):
            return _all([matcher(part, at_site) for part in parts])
        case Or(parts):
            return _any([matcher(part, at_site) for part in parts])
        case Not(part):
            inner = matcher(part, at_site)
            return lambda value: not inner(value)
        case Member(path, part):
            inner = matcher(part, at_site)
            return _at(path, lambda value: type(value) is list and any(inner(each) for each in value), members=False)
        case Size(path, count):
            return _at(path, lambda value: type(value) is list and len(value) == count, members=False)
        case AtSite():
            return lambda value: _ask(predicate, at_site)
        case ChangedSince(ms):
            return _at("time", lambda value: _is_number(value) and value > ms)
        case _:
            return _at(predicate.path, _of_value(predicate))


def _ask(question: AtSite, at_site: AnswersAtSite | None) -> bool:
    if at_site is None:
        raise ValueError(f"nobody here knows {question.state}@{question.site}; hand at_site in")
    return at_site(question)


def _all(tests: list[Test]) -> Test:
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _any(tests: list[Test]) -> Test:
    return lambda value: any(test(value) for test in tests)


def _of_value(
    predicate: Equals | Compare | OneOf | Exists | Matches | Contains | TypeIs | Mod,
) -> Test:
    """The test of one value a path leads to."""
    match predicate:
        case Equals(_, value):
            return _equal_to(value)
        case OneOf(_, values):
            return _one_of(values)
        case Compare(_, op, value):
            return _compared(_COMPARE[op], value)
        case Exists():
            return lambda value: value is not ABSENT
        case Matches(_, pattern, flags):
            found = finder(pattern, flags)
            return lambda value: type(value) is str and found(value)
        case Contains(_, text):
            folded = text.casefold()
            return lambda value: type(value) is str and folded in value.casefold()
        case TypeIs(_, types):
            names = frozenset(types)
            return lambda value: not names.isdisjoint(_types(value))
        case Mod(_, divisor, remainder):
            return lambda value: _is_number(value) and _remainder(value, divisor) == remainder


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _equal_to(wanted: Any) -> Test:
    if wanted is None:
        return lambda value: value is None or value is ABSENT
    if type(wanted) is str:
        return lambda value: value == wanted
    return lambda value: same(wanted, value)


def _one_of(values: tuple[Any, ...]) -> Test:
    texts = frozenset(value for value in values if type(value) is str)
    numbers = frozenset(value for value in values if _is_number(value))
    others = [_equal_to(value) for value in values if not (type(value) is str or _is_number(value))]

    def test(value: Any) -> bool:
        kind = type(value)
        if kind is str:
            return value in texts
        if kind is int or kind is float:
            return value in numbers
        return any(other(value) for other in others)

    return test


def _compared(compare: Callable[[Any, Any], bool], wanted: Any) -> Test:
    if _is_number(wanted):
        return lambda value: _is_number(value) and compare(value, wanted)
    kind = type(wanted)
    return lambda value: type(value) is kind and compare(value, wanted)


def _remainder(value: float, divisor: int) -> int | None:
    """As in C: of the whole part, with the sign of the value. None for an infinite one."""
    if not math.isfinite(value):
        return None
    whole = int(value)
    rest = abs(whole) % abs(divisor)
    return -rest if whole < 0 else rest


def _types(value: Any) -> tuple[str, ...]:
    if value is None:
        return ("null",)
    kind = type(value)
    if kind is int:
        return ("number", "int")
    if kind is float:
        return ("number", "double")
    return _NAMES.get(kind, ())


_NAMES: dict[type, tuple[str, ...]] = {bool: ("bool",), str: ("string",), dict: ("object",), list: ("array",)}


def same(one: Any, other: Any) -> bool:
    """Equal as JSON values: true is not 1, 1 is 1.0, objects with their keys in the same order."""
    if type(one) is dict:
        return (
            type(other) is dict
            and len(one) == len(other)
            and all(map(same, one.values(), other.values()))
            and list(one) == list(other)
        )
    if type(one) is list:
        return (
            type(other) is list and len(one) == len(other) and all(same(v, w) for v, w in zip(one, other, strict=True))
        )
    if _is_number(one):
        return _is_number(other) and bool(one == other)
    return type(one) is type(other) and bool(one == other)


def _at(path: str, test: Test, members: bool = True) -> Test:
    """The test of a document: whether `test` holds for any value the path leads to."""
    parts = tuple(path.split(".")) if path else ()
    if len(parts) == 1:
        return _at_key(parts[0], test, members)
    return lambda root: any(test(value) for value in values_at(root, parts, members))


def _at_key(key: str, test: Test, members: bool) -> Test:
    """Most paths are a plain key: the same without a generator."""

    def test_key(root: Any) -> bool:
        if type(root) is not dict:
            return any(test(value) for value in values_at(root, (key,), members))
        value = root.get(key, ABSENT)
        if members and type(value) is list and any(test(each) for each in value):
            return True
        return test(value)

    return test_key


def values_at(root: Any, parts: tuple[str, ...], members: bool) -> Iterator[Any]:
    """What a path leads to from a document, or from a member of an array. `members`: of an array at the end of the path
    its members too, before the array itself."""
    if not parts:
        yield root
    elif type(root) is dict:
        yield from _in_object(root, parts, 0, members)
    elif type(root) is list:
        position = _position(parts[0])
        if 0 <= position < len(root):
            yield from _below(root[position], parts, 1, members)
        else:
            yield ABSENT
    else:
        yield ABSENT


def _in_object(root: dict[str, Any], parts: tuple[str, ...], i: int, members: bool) -> Iterator[Any]:
    value = root.get(parts[i], ABSENT)
    i += 1
    if i < len(parts):
        yield from _below(value, parts, i, members)
        return
    if members and type(value) is list:
        yield from value
    yield value


def _below(value: Any, parts: tuple[str, ...], i: int, members: bool) -> Iterator[Any]:
    if i == len(parts):
        yield value
    elif type(value) is dict:
        yield from _in_object(value, parts, i, members)
    elif type(value) is list:
        yield from _in_array(value, parts, i, members)
    else:
        yield ABSENT


def _in_array(items: list[Any], parts: tuple[str, ...], i: int, members: bool) -> Iterator[Any]:
    """The rest of the path in each member that is an object, and in the one at the position the rest begins with."""
    position = _position(parts[i])
    for n, item in enumerate(items):
        if type(item) is dict:
            yield from _in_object(item, parts, i, members)
        if n == position and (i + 1 == len(parts) or type(item) in (dict, list)):
            yield from _below(item, parts, i + 1, members)


def _position(part: str) -> int:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 10 and str(int(part)) == part else -1


SortKey = tuple[Any, ...]


def sort_key(value: Any) -> SortKey:
    """What to order values by: absent and null < numbers < texts < objects < arrays < booleans (tracker-api 4.2). Arrays are
    compared member by member, objects by type, name and value of one key after the other.
    """
    return _key(value, 0)


def sort_value(body: Mapping[str, Any], path: str, direction: Literal[1, -1]) -> SortKey:
    """The sort key of a document, ascending for 1, for `reverse=True` with -1: of the value a path leads to. Where the path
    leads over the members of an array to several, it is the least of them, or the greatest with -1."""
    found = values_at(body, tuple(path.split(".")), members=False)
    return (max if direction == -1 else min)(map(sort_key, found), default=_NULL)


_NULL: SortKey = (0,)


def _key(value: Any, depth: int) -> SortKey:
    kind = type(value)
    if value is None or value is ABSENT:
        return _NULL
    if kind is int or kind is float:
        return (1, value)
    if kind is str:
        return (2, value)
    if kind is bool:
        return (5, value)
    if depth == _SORT_DEPTH:
        return (3,) if kind is dict else (4,)
    if kind is dict:
        return (3, *((key[0], name, key) for name, each in value.items() for key in (_key(each, depth + 1),)))
    return (4, *(_key(each, depth + 1) for each in value))
