"""What is known of copies, as SQL conditions on the table `element`.

Owns: the state keys (`synced_<site>` ...) and the words of AtSite over the tables `replica` and `task`, equal to
`tracker.states.compose` and `decide.at_site.stands`. Must not know: predicates, other keys, rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from everysite.decide.plan import GONE
from everysite.index.postgres_paths import DEEPER, FALSE, LONGEST, NULL, TRUE, literal, ranked, ranked_sql, whole_sql

_SPACE = (
    "' ' || E'\\t\\n\\u000b\\f\\r\\u001c\\u001d\\u001e\\u001f\\u0085\\u00a0'"  # what str.strip takes, less rare ones
)
_COPY = "r.synced <> 0 AND r.deleted = 0 AND r.modified = 0"
_LEASED = (
    "SELECT t.element, max(l.since) AS value FROM task AS t JOIN lease AS l ON l.id = t.lease"
    " WHERE t.mapping IN (SELECT id FROM mapping WHERE site = {site}) AND t.lease <> 0 AND t.kind = 'present'"
    " GROUP BY t.element"
)
RANKED_TEXT = (
    f"CASE WHEN octet_length(value) > {LONGEST} OR position({literal(chr(0))} in value) > 0 THEN {DEEPER}"
    " ELSE '2' || value END"
)
"""The ranked value of a text called `value`."""


@dataclass(frozen=True, slots=True)
class StateKey:
    """A state key: the field of the replica, the number of the site."""

    field: str
    site: int

    @property
    def is_text(self) -> bool:
        return self.field == "error_text"

    def known(self) -> str:
        """A table (element, value) of all elements that show this key."""
        nothing = "''" if self.is_text else "0"
        rows = (
            f"SELECT element, {self.field} AS value FROM replica WHERE site = {self.site} AND {self.field} <> {nothing}"
        )
        if self.field != "syncing":
            return rows
        leased = _LEASED.format(site=self.site)
        return f"{leased} UNION ALL {rows} AND element NOT IN (SELECT element FROM ({leased}) AS taken)"

    def where(self, test: str = "TRUE") -> str:
        """Elements whose value passes a test of `value`."""
        return f"element.id IN (SELECT element FROM ({self.known()}) AS shown WHERE {test})"

    def value(self) -> str:
        """The value as clients see it, NULL where nothing is shown."""
        return f"(SELECT value FROM ({self.known()}) AS shown WHERE shown.element = element.id)"


def standing(
    state: Literal["missing", "outdated", "only", "error", "current"], site: int, name: str, everywhere: bool
) -> str:
    """Elements of files that stand so at a site. Site names are letters, digits, '_' and '-': they need no quoting."""
    if state == "missing":
        return _missing(site, name, everywhere)
    if state == "error":
        return f"element.id IN (SELECT element FROM replica WHERE site = {site} AND error <> 0 AND attempted >= synced)"
    if state == "outdated":
        return _copy_at(f"r.site = {site}", "<")
    if state == "current":
        return _copy_at(f"r.site = {site}", ">=")
    return f"({_copy_at(f'r.site = {site}', '>=')} AND NOT {_copy_at(f'r.site <> {site}', '>=')})"


def _copy_at(where: str, order: Literal["<", ">="]) -> str:
    row = f"r.element = element.id AND {where} AND {_COPY} AND r.gen {order} element.gen"
    return f"EXISTS (SELECT 1 FROM replica AS r WHERE {row})"


def _missing(site: int, name: str, everywhere: bool) -> str:
    held = (
        f"EXISTS (SELECT 1 FROM replica AS r WHERE r.element = element.id AND r.site = {site}"
        " AND (r.modified <> 0 OR (r.synced <> 0 AND (r.deleted = 0 OR r.gen >= element.gen))))"
    )
    there = ranked_sql(GONE)
    nothing = f"({NULL}, {FALSE}, '{ranked(0)}', '2')"
    gone = f"({there} IS NOT NULL AND {there} NOT IN {nothing} AND {whole_sql(GONE)} NOT IN ('[]', '{{}}'))"
    origin = f"coalesce(lower(origin_name) = '2{name.lower()}', FALSE)"
    wanted = f"coalesce({_switch(f'sync_{name}')}, {_switch('syncEverywhere')}, {everywhere})"
    return (
        f"(key >= '/' AND key < '0' AND origin <> {site} AND NOT {held} AND NOT {origin} AND {wanted} AND NOT {gone})"
    )


def _switch(key: str) -> str:
    """decide.targets.truth: NULL where the key says nothing."""
    value = ranked_sql(key)
    return (
        f"CASE WHEN {value} IN ({TRUE}, '{ranked(1)}') THEN TRUE WHEN {value} IN ({FALSE}, '{ranked(0)}') THEN FALSE"
        f" WHEN {value} >= '2' AND {value} < '3' THEN CASE lower(btrim(substr({value}, 2), {_SPACE}))"
        " WHEN 'true' THEN TRUE WHEN '1' THEN TRUE WHEN 'false' THEN FALSE WHEN '0' THEN FALSE END END"
    )
