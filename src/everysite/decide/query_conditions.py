"""The conditions of MongoDB's language: `{"type": "shot", "frames": {"$gt": 100}}` as a predicate.

Owns: the operators (docs/queries.md) and the texts that mean regular expressions. Must not know: what a predicate means,
bounds (`query_mongo` has looked before), the other query language.

Whatever is not known is refused by name: a condition that is silently left out would find too much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, cast

from everysite.decide.query import (
    And,
    Compare,
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
    all_of,
    any_of,
    check_path,
)
from everysite.decide.query_regex import finder, read_flags
from everysite.errors import BadRequest

NOTHING: Final = Or(())
_TYPE_NUMBERS = {
    1: "double", 2: "string", 3: "object", 4: "array", 5: "binData", 6: "undefined", 7: "objectId", 8: "bool",
    9: "date", 10: "null", 11: "regex", 12: "dbPointer", 13: "javascript", 14: "symbol", 15: "javascriptWithScope",
    16: "int", 17: "timestamp", 18: "long", 19: "decimal", -1: "minKey", 127: "maxKey",
}  # fmt: skip
_JSON_TYPES = {name: name for name in ("double", "string", "object", "array", "bool", "null", "int", "number")} | {
    "long": "int"
}


def document(query: Any) -> Predicate:
    """The conditions of one object, all of them. Raises BadRequest."""
    if not isinstance(query, dict):
        raise BadRequest(f"{_short(query)} is no query; write an object of keys and conditions")
    return all_of([_entry(key, condition) for key, condition in query.items()])


def _entry(key: str, condition: Any) -> Predicate:
    if not key.startswith("$"):
        return _condition(check_path(key), condition)
    if key not in ("$and", "$or", "$nor"):
        raise _unknown(key, "where a key belongs ($and, $or and $nor may stand there)")
    if not isinstance(condition, list) or not condition:
        raise BadRequest(f"{key} takes an array of one or more queries")
    parts = [document(each) for each in condition]
    if key == "$and":
        return all_of(parts)
    return any_of(parts) if key == "$or" else Not(any_of(parts))


def _unknown(name: str, where: str) -> BadRequest:
    return BadRequest(f"{name} is not offered {where}; see docs/queries.md for the operators there are")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def _condition(path: str, condition: Any) -> Predicate:
    """What stands at a key: operators, or a value to be equal to."""
    if isinstance(condition, dict) and any(key.startswith("$") for key in condition):
        return _operators(path, condition)
    return _equals(path, condition)


def _operators(path: str, condition: dict[str, Any]) -> Predicate:
    if "$options" in condition and "$regex" not in condition:
        raise BadRequest("$options belongs to $regex, which is missing")
    parts = []
    for name, value in condition.items():
        if name == "$regex":
            parts.append(_matches(path, value, condition.get("$options", "")))
        elif name in _OPERATORS:
            parts.append(_OPERATORS[name](path, value))
        elif name != "$options":
            raise _unknown(name, "among the operators of a key")
    return all_of(parts)


def _equals(path: str, value: Any) -> Predicate:
    """Equal to a value, or matched by the regular expression that a text means."""
    if isinstance(value, str) and is_regex(value):
        return _regex(path, value)
    _refuse_operators(value)
    # No document holds a regular expression; the reference compares with one and finds nothing.
    return NOTHING if _holds_regex(value) else Equals(path, value)


def _refuse_operators(value: Any) -> None:
    """Inside a value nobody means them: no key of a document begins with `$`."""
    for each in _inside(value):
        _refuse_operators(each)
    for key in value if isinstance(value, dict) else ():
        if key.startswith("$"):
            raise BadRequest(
                f"{key} stands inside a value; join the keys above it with dots: {{'a.b': {{{key!r}: ...}}}}"
            )


def _holds_regex(value: Any) -> bool:
    return any(_holds_regex(each) for each in _inside(value)) or (isinstance(value, str) and is_regex(value))


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def is_regex(value: str) -> bool:
    """Whether a text means a regular expression: `REGEX_<pattern>` or `RX_<pattern>_RX<flags>`."""
    return value.startswith(("REGEX_", "RX_"))


def _regex(path: str, value: str) -> Predicate:
    if value.startswith("REGEX_"):
        return _matches(path, value.removeprefix("REGEX_"), "")
    pattern, mark, flags = value.removeprefix("RX_").rpartition("_RX")
    return _matches(path, pattern, flags) if mark else _matches(path, flags, "")


def _matches(path: str, pattern: Any, options: Any) -> Predicate:
    if not isinstance(pattern, str) or not isinstance(options, str):
        raise BadRequest("$regex and $options are texts")
    if is_regex(pattern):
        found = _regex(path, pattern)
        return found if not options else _matches(path, cast(Matches, found).pattern, options)
    flags = read_flags(options)
    finder(pattern, flags)
    return Matches(path, pattern, flags)


def _among(path: str, values: Any) -> Predicate:
    if not isinstance(values, list):
        raise BadRequest("$in and $nin take an array of values")
    parts = [_equals(path, value) for value in values]
    plain = tuple(part.value for part in parts if isinstance(part, Equals))
    others = [part for part in parts if isinstance(part, Matches)]
    return any_of([OneOf(path, plain), *others])


def _compare(op: Literal["<", "<=", ">", ">="]) -> Callable[[str, Any], Predicate]:
    def compare(path: str, value: Any) -> Predicate:
        if value is None:  # of its type there is one value only
            return Equals(path, None) if op in ("<=", ">=") else NOTHING
        if isinstance(value, dict | list) or (isinstance(value, str) and is_regex(value)):
            raise BadRequest(f"{_short(value)} cannot be compared by size; use a number, a text or a boolean")
        return Compare(path, op, value)

    return compare


def _exists(path: str, value: Any) -> Predicate:
    if not isinstance(value, bool | int | float):
        raise BadRequest(f"$exists is {_short(value)}; it is true or false")
    return Exists(path) if value else Not(Exists(path))


def _not(path: str, value: Any) -> Predicate:
    if isinstance(value, str) and is_regex(value):
        return Not(_regex(path, value))
    if not isinstance(value, dict) or not value or not all(key.startswith("$") for key in value):
        raise BadRequest("$not takes operators, as in {'$not': {'$gt': 5}}; for a value use $ne")
    return Not(_operators(path, value))


def _every(path: str, values: Any) -> Predicate:
    if not isinstance(values, list):
        raise BadRequest("$all takes an array of values")
    if not values:
        return NOTHING
    return all_of([_all_member(path, value) for value in values])


def _all_member(path: str, value: Any) -> Predicate:
    if isinstance(value, dict) and set(value) == {"$elemMatch"}:
        return _member(path, value["$elemMatch"])
    return _equals(path, value)


def _size(path: str, value: Any) -> Predicate:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value < 2**53:
        raise BadRequest(f"$size is {_short(value)}; it is a whole number from 0 on")
    return Size(path, value)


def _member(path: str, value: Any) -> Predicate:
    """Operators are about the member itself, keys about what is in it: an object, or an array by position."""
    if not isinstance(value, dict):
        raise BadRequest("$elemMatch takes an object of operators, or of keys and conditions")
    first = next(iter(value), "")
    if first.startswith("$") and first not in ("$and", "$or", "$nor"):
        return Member(path, _operators("", value))
    return Member(path, And((TypeIs("", ("object", "array")), document(value))))


def _type(path: str, value: Any) -> Predicate:
    """MongoDB's types that JSON lacks may be asked for, and nothing has them."""
    names = [_type_name(each) for each in (value if isinstance(value, list) else [value])]
    if not names:
        raise BadRequest("$type takes the name of a type, or an array of one or more")
    types = tuple(dict.fromkeys(_JSON_TYPES[name] for name in names if name in _JSON_TYPES))
    return TypeIs(path, cast(Any, types)) if types else NOTHING


def _type_name(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    name = _TYPE_NUMBERS.get(value) if type(value) is int else value
    if not isinstance(name, str) or (name not in _JSON_TYPES and name not in _TYPE_NUMBERS.values()):
        raise BadRequest(f"$type {_short(value)} is no type; use number, string, bool, null, object or array")
    return name


def _mod(path: str, value: Any) -> Predicate:
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(_is_whole(each) for each in value)
        or not int(value[0])
    ):
        raise BadRequest(f"$mod is {_short(value)}; it is [divisor, remainder], two whole numbers, the first not 0")
    return Mod(path, int(value[0]), int(value[1]))


def _is_whole(value: Any) -> bool:
    """MongoDB cuts off fractions here; they are taken as well."""
    return type(value) in (int, float) and abs(value) < 2**53


_OPERATORS: dict[str, Callable[[str, Any], Predicate]] = {
    "$eq": _equals,
    "$ne": lambda path, value: Not(_equals(path, value)),
    "$gt": _compare(">"),
    "$gte": _compare(">="),
    "$lt": _compare("<"),
    "$lte": _compare("<="),
    "$in": _among,
    "$nin": lambda path, values: Not(_among(path, values)),
    "$exists": _exists,
    "$not": _not,
    "$all": _every,
    "$size": _size,
    "$elemMatch": _member,
    "$type": _type,
    "$mod": _mod,
}
