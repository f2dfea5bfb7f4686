"""The leaves of a predicate as SQL conditions, in this index as it is now.

Owns: which paths are columns, state keys, indexed; a leaf's two conditions. Must not know: how leaves are put together, rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from everysite.decide.query import AtSite, Compare, Equals, Exists, Matches, OneOf
from everysite.decide.targets import STATE_FIELDS, parse_state_key, truth
from everysite.index.bounds import Bounds, joined_bounds, same
from everysite.index.conditions import ALL, NONE, Sql, is_plain, joined, negated
from everysite.index.patterns import needed_text
from everysite.index.postgres_indexes import Indexes
from everysite.index.postgres_paths import COLUMNS, DEEPER, NULL, Place, is_ranked, ranked, ranked_sql
from everysite.index.postgres_session import Session
from everysite.index.postgres_standing import RANKED_TEXT, StateKey, standing
from everysite.index.postgres_text import array
from everysite.index.postgres_value import Value, integer
from everysite.model.element import Body

_KEY = Place("key", indexed=True, raw=True)
_GLOBALS = "SELECT body FROM element WHERE key = 'rsyncGlobalParameters'"
_encode = msgspec.json.Encoder().encode
_decode_body = msgspec.json.Decoder(Body).decode


class Leaves:
    """Of one search, in one transaction: what was found out stays true. See bounds.Leaves."""

    def __init__(self, session: Session, indexes: Indexes) -> None:
        self._session = session
        self._indexes = indexes
        self._added: frozenset[str] | None = None
        self._known: dict[str, Place | StateKey] = {"_id": _KEY}
        self._sites: dict[str, int] | None = None

    # --- where a path is found ---

    def place(self, path: str) -> Place | StateKey:
        """Of a path that bodies can have."""
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._find(path)
        return found

    def _find(self, path: str) -> Place | StateKey:
        if path.partition("_")[0] in STATE_FIELDS and "." not in path:
            state = parse_state_key(path, self.sites())
            if state is not None:
                return StateKey(state[0], self.sites()[state[1]])
        if path == "digest":
            value = f"CASE WHEN digest IS NULL THEN {ranked_sql(path)} ELSE '2' || encode(digest, 'hex') END"
            return Place(value, deeper=True, nulls=True)
        if path in COLUMNS:
            return self._seek(path, COLUMNS[path])
        if self._added is None:
            self._added = self._indexes.added()
        if path in self._added:
            return self._seek(path, ranked_sql(path))
        return Place(ranked_sql(path), deeper=True, nulls=True, key=_key_text(path))

    def _seek(self, path: str, value: str) -> Place:
        """That DEEPER and null are rare, and none at all for most indexed paths, is found in the index."""
        # Bounded and in order: by an equality, the engine hopes to meet a row soon wherever it begins to read.
        order = "NULLS FIRST" if path == "time" or path not in COLUMNS else "NULLS LAST"
        asked = [
            f"EXISTS (SELECT 1 FROM (SELECT {value} AS v FROM element WHERE {value} >= {rank} AND {value} <= {rank}"
            f" ORDER BY {value} {order} LIMIT 1) AS first)"
            for rank in (DEEPER, NULL)
        ]
        [(deeper, nulls)] = self._session.rows(f"SELECT {asked[0]}, {asked[1]}")
        return Place(value, deeper, nulls, indexed=True)

    def sites(self) -> dict[str, int]:
        """Numbers of the sites by name."""
        if self._sites is None:
            self._sites = dict(self._session.rows("SELECT name, id FROM site ORDER BY id"))
        return self._sites

    def standing(self, question: AtSite) -> str:
        """SQL for a question about a site, whose name is taken without regard to case. There is nothing at an unknown one."""
        asked = question.site.lower()
        for name, site in self.sites().items():
            if name.lower() == asked:
                return standing(question.state, site, name, self._everywhere())
        return "FALSE"

    def _everywhere(self) -> bool:
        body = next((_decode_body(row[0]) for row in self._session.rows(_GLOBALS)), {})
        return truth(body.get("syncEverywhere")) is not False

    # --- what a leaf is there ---

    def leaf(self, node: Any) -> Bounds:
        place = self.place(node.path)
        if isinstance(node, OneOf):
            return self._one_of(place, node)
        if isinstance(node, Exists) or (isinstance(node, Equals) and node.value is None):
            there = _there(place)
            return there if isinstance(node, Exists) else _null(place, there)
        return _state(place, node) if isinstance(place, StateKey) else _at(place, node)

    def between(self, low: Compare, high: Compare) -> Bounds:
        return joined_bounds([self.leaf(low), self.leaf(high)], "AND", ALL)

    def _one_of(self, place: Place | StateKey, node: OneOf) -> Bounds:
        plain = [value for value in node.values if is_plain(value)] if isinstance(place, Place) else []
        parts = [
            self.leaf(Equals(node.path, value))
            for value in node.values
            if not is_plain(value) or isinstance(place, StateKey)
        ]
        if plain:
            assert isinstance(place, Place)
            parts.append(_among(place, plain))
        return joined_bounds(parts, "OR", NONE)


def _at(place: Place, node: Any) -> Bounds:
    sure, maybe = Value(place.value, place.raw).test(node)
    return _hinted(place, node, Bounds(sure, _or_deeper(place, maybe)))


def _state(place: StateKey, node: Any) -> Bounds:
    if not place.is_text:
        sure, maybe = integer(node, "value")
    else:
        value = f"({RANKED_TEXT})"
        sure, maybe = Value(value).test(node)
        maybe = joined([maybe, Sql(f"{value} = {DEEPER}")], "OR", NONE)
    return Bounds(*(NONE if test == NONE else Sql(place.where(test.text), test.values) for test in (sure, maybe)))


def _among(place: Place, plain: Sequence[str | int | float]) -> Bounds:
    if place.raw:
        wanted = [value for value in plain if isinstance(value, str) and "\0" not in value]
    else:
        wanted = [ranked(value) for value in plain if not isinstance(value, str) or is_ranked(value)]
    sure = Sql(f"{place.value} = ANY(?::text[])", (array(wanted),)) if wanted else NONE
    return _hinted(place, None, Bounds(sure, _or_deeper(place, sure)))


def _or_deeper(place: Place, maybe: Sql) -> Sql:
    if not place.deeper or maybe == ALL:
        return maybe
    return joined([maybe, Sql(f"{place.value} = {DEEPER}")], "OR", NONE)


def _hinted(place: Place, node: Any, found: Bounds) -> Bounds:
    """Without an index: the text that must stand in a body is looked for before the body is parsed, at a tenth of the cost."""
    if not place.key or place.indexed or found.maybe in (ALL, NONE):
        return found
    hint = Sql("position(? in body::text) > 0", (_standing_text(node) or place.key,))
    return Bounds(joined([hint, found.sure], "AND", ALL), joined([hint, found.maybe], "AND", ALL))


def _key_text(path: str) -> str:
    """What stands in the text of a body that has this path; '' when nothing must."""
    last = path.rpartition(".")[2]
    return "" if last.isdigit() else _encode(last).decode()[1:] + ":"


def _standing_text(node: Any) -> str:
    """What stands in the text of a body for which a leaf holds. A NUL stands there otherwise than JSON writes it."""
    if isinstance(node, Equals) and isinstance(node.value, str) and "\0" not in node.value:
        return _encode(node.value).decode()
    if isinstance(node, Matches):
        return _encode(needed_text(node.pattern, node.flags)).decode()[1:-1]
    return ""


def _there(place: Place | StateKey) -> Bounds:
    if isinstance(place, StateKey):
        return same(Sql(place.where()))
    if place.raw:
        return same(ALL)
    maybe = Sql(f"{place.value} IS NOT NULL")
    sure = Sql(f"({place.value} IS NOT NULL AND {place.value} <> {DEEPER})") if place.deeper else maybe
    return _hinted(place, None, Bounds(sure, maybe))


def _null(place: Place | StateKey, there: Bounds) -> Bounds:
    """Equal to null: absent, or null. (In an array: DEEPER.)"""
    if isinstance(place, StateKey) or place.raw:
        return Bounds(negated(there.maybe), negated(there.sure))
    absent, null = Sql(f"{place.value} IS NULL"), [Sql(f"{place.value} = {NULL}")] * place.nulls
    sure = joined([absent, *null], "OR", NONE)
    return Bounds(sure, _or_deeper(place, sure))
