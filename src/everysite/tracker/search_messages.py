"""What the verbs that look for elements take and answer.

Owns: the shapes of searches, graphs, lists by site, and the index's extra keys. Times are ms since 1970.
Must not know: how a verb is carried out, or where HTTP finds it (`contract.py`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from everysite.model.element import Body


class One(msgspec.Struct, frozen=True):
    """The first element found, oldest first; None when there is none."""

    item: Body | None = None


class MongoQuery(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A MongoDB query document with `sort` {key: 1 or -1}, `limit` and `skip` (numbers, also as texts; 0: none); or all of
    it as a JSON text in `queryobj`. Left out: everything."""

    query: Any = None
    sort: Any = None
    limit: Any = None
    skip: Any = None
    queryobj: Any = None


class MongoFound(msgspec.Struct, frozen=True):
    """`count` is before `limit` and `skip`."""

    count: int
    ids: list[str]


class GraphAsked(msgspec.Struct, frozen=True):
    """Walk the links from these elements, `depth` levels far; 0: as far as they lead."""

    depth: int
    ids: list[str | None]


class Graph(msgspec.Struct, frozen=True):
    """The asked elements in order, those found from them, then the links; each once, None for a missing one.
    `truncated`: the tracker's bound, when the walk ended there; else 0."""

    items: list[Body | None]
    truncated: int = 0


class Reached(msgspec.Struct, frozen=True):
    """As Graph, but identifiers only, without what is missing."""

    ids: list[str]
    truncated: int = 0


class StateAsked(msgspec.Struct, frozen=True):
    """Files by how they stand at a site, in the order of their identifiers, after the identifier `after`."""

    name: str
    state: Literal["missing", "outdated", "only", "error", "current"]
    after: str = ""
    limit: int = 1000


class ChangedAsked(msgspec.Struct, frozen=True):
    """Elements whose `time` is later than `since`, in the order of their identifiers, after the identifier `after`."""

    since: int
    after: str = ""
    limit: int = 1000


class Page(msgspec.Struct, frozen=True):
    """`next`: the `after` of the next page; '' when this is the last one."""

    ids: list[str]
    next: str = ""


class Between(msgspec.Struct, frozen=True):
    """The next `n` files to go from one site to another."""

    source: str
    target: str
    n: int


class IndexKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key, or keys joined by dots."""

    key: str


class Indexes(msgspec.Struct, frozen=True):
    """The keys that searches find by index."""

    keys: list[str]
