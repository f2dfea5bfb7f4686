"""What a query asks for: one tree that both query languages are read into, and every engine answers from.

Owns: the nodes of the tree and what each means. Must not know: how a query is spelled (`query_text`, `query_mongo`),
SQL, or who asks.

A *path* is a key, or keys joined by dots that lead into nested objects and, by position or over all members, into arrays
(MongoDB's rules). A test holds for a path when it holds for the value there or, if that is an array, for any member of it;
`Size` and `Member` look at the array itself, and so does every test where a position is the last part of the path. Members
of an array that are no objects have no paths in them; an empty array has none at all. `query_match` is the exact rule.
JSON's types are strict: "5" is not 5, true is not 1, and comparisons only match values of the same type family.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from everysite.errors import BadRequest

PARTS = 50
POSITIONS = 8
"""Most parts of a path, and most of them that are numbers: each of those may be a position or a key, so they multiply."""


class Node(msgspec.Struct, frozen=True, tag=True):
    """A part of a predicate."""


class And(Node, frozen=True, tag=True):
    """All of them hold; none at all: everything."""

    parts: tuple[Predicate, ...]


class Or(Node, frozen=True, tag=True):
    """At least one of them holds; none at all: nothing."""

    parts: tuple[Predicate, ...]


class Not(Node, frozen=True, tag=True):
    """It does not hold (also where a path is absent)."""

    part: Predicate


class Equals(Node, frozen=True, tag=True):
    """The value at the path is this JSON value, as a whole (objects with their keys in the same order). None also matches an
    absent path."""

    path: str
    value: Any


class Compare(Node, frozen=True, tag=True):
    """Numbers by number, texts by code points, booleans false < true; values of other types never match."""

    path: str
    op: Literal["<", "<=", ">", ">="]
    value: Any


class OneOf(Node, frozen=True, tag=True):
    """Any of these values, each as `Equals` would."""

    path: str
    values: tuple[Any, ...]


class Exists(Node, frozen=True, tag=True):
    """The path is there, whatever the value (null included)."""

    path: str


class Matches(Node, frozen=True, tag=True):
    """A text in which a regular expression is found anywhere. `pattern` is spelled as in JavaScript, `flags` are any of i, m,
    s, x; `query_regex.finder` reads both."""

    path: str
    pattern: str
    flags: str = ""


class Contains(Node, frozen=True, tag=True):
    """A text with this in it, without regard to case."""

    path: str
    text: str


class Size(Node, frozen=True, tag=True):
    """An array of exactly this many members."""

    path: str
    count: int


class TypeIs(Node, frozen=True, tag=True):
    """A value of one of these types."""

    path: str
    types: tuple[Literal["null", "bool", "number", "int", "double", "string", "object", "array"], ...]


class Mod(Node, frozen=True, tag=True):
    """A number whose whole part leaves this remainder, which has the sign of the number (-5 mod 3 is -2)."""

    path: str
    divisor: int
    remainder: int


class Member(Node, frozen=True, tag=True):
    """An array with a member for which `part` holds. Paths in it start at the member, and in a member that is an array they
    start with a position; "" is the member itself, as a whole."""

    path: str
    part: Predicate


class AtSite(Node, frozen=True, tag=True):
    """Files by how they stand at a site (its name): `missing` wanted and not there, `outdated` an older copy, `only` no other
    site has a current copy, `error` the last try failed, `current` the newest content is there."""

    state: Literal["missing", "outdated", "only", "error", "current"]
    site: str


class ChangedSince(Node, frozen=True, tag=True):
    """`time` is later than this, ms since 1970."""

    ms: int


Predicate = (
    And
    | Or
    | Not
    | Equals
    | Compare
    | OneOf
    | Exists
    | Matches
    | Contains
    | Size
    | TypeIs
    | Mod
    | Member
    | AtSite
    | ChangedSince
)

EVERYTHING = And(())


class Search(msgspec.Struct, frozen=True):
    """What to find, in which order, and which part of it.

    `sort`: (path, 1 or -1) in order of weight; across types absent and null < numbers < texts < objects < arrays <
    booleans, arrays member by member (the wire contract's order; MongoDB would take an array's least or greatest member).
    Without `sort`, and among equals: oldest first. `limit` 0: all.
    """

    where: Predicate = EVERYTHING
    sort: tuple[tuple[str, Literal[1, -1]], ...] = ()
    skip: int = 0
    limit: int = 0


class Found(msgspec.Struct, frozen=True):
    """Identifiers of what was found, and how many there are before `skip` and `limit` (None: not counted)."""

    keys: list[str]
    count: int | None = None


def check_path(path: str) -> str:
    """The path, if it is one a query may ask for; else BadRequest."""
    parts = path.split(".")
    if not path or path.startswith("$"):
        raise BadRequest(f"{path!r} is no key of an element; name one, or join several with dots")
    if len(parts) > PARTS or sum(part.isdigit() for part in parts) > POSITIONS:
        raise BadRequest(f"the key {path[:40]!r}... has more than {PARTS} parts, or {POSITIONS} that are numbers")
    return path


def all_of(parts: Sequence[Predicate]) -> Predicate:
    """All of them hold, without a node around a single one."""
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def any_of(parts: Sequence[Predicate]) -> Predicate:
    """At least one of them holds, without a node around a single one."""
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def both(one: Predicate, other: Predicate | None) -> Predicate:
    """Both hold; None is no condition."""
    return one if other is None else And((one, other))
