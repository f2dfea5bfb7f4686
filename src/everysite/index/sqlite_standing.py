"""What is known of copies, as SQL conditions on the table `element`.

Owns: the state keys (`synced_<site>` ...) and the words of AtSite over the tables `replica` and `task`, equal to
`tracker.states.compose` and `decide.at_site.stands`. Must not know: predicates, other keys, rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from everysite.decide.plan import GONE
from everysite.index.sqlite_paths import FALSE, NULL, TRUE, key_text, ranked_sql, whole_sql

_SPACE = "' ' || char(9, 10, 11, 12, 13, 28, 29, 30, 31, 133, 160)"  # what str.strip takes away, less rare ones
_COPY = "r.synced <> 0 AND r.deleted = 0 AND r.modified = 0"
_LEASED = (
    "SELECT t.element, max(l.since) AS value FROM task AS t JOIN lease AS l ON l.id = t.lease"
    " WHERE t.mapping IN (SELECT id FROM mapping WHERE site = {site}) AND t.lease <> 0 AND t.kind = 'present'"
    " GROUP BY t.element"
)


@dataclass(frozen=True, slots=True)
class StateKey:
    """A state key: the field of the replica, the number of the site."""

    field: str
    site: int

    def known(self) -> str:
        """A table (element, value) of all elements that show this key. With '+', a text is never taken for a number."""
        nothing = "''" if self.field == "error_text" else "0"
        rows = f"SELECT element, +{self.field} AS value FROM replica WHERE site = {self.site} AND {self.field} <> {nothing}"
        if self.field != "syncing":
            return rows
        leased = _LEASED.format(site=self.site)
        return f"{leased} UNION ALL {rows} AND element NOT IN (SELECT element FROM ({leased}))"

    def where(self, test: str = "1") -> str:
        """Elements whose value passes a test of `value`."""
        return f"element.id IN (SELECT element FROM ({self.known()}) WHERE {test})"

    def value(self) -> str:
        """The value as clients see it, NULL where nothing is shown."""
        return f"(SELECT value FROM ({self.known()}) AS s WHERE s.element = element.id)"


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
    value = ranked_sql(GONE)
    gone = f"({value} NOT IN ({NULL}, {FALSE}, 0, '') AND {whole_sql(GONE)} NOT IN ('[]', '{{}}'))"
    origin = f"(typeof(origin_name) = 'text' AND lower(origin_name) = '{name.lower()}')"
    wanted = f"coalesce({_switch(f'sync_{name}')}, {_switch('syncEverywhere')}, {int(everywhere)})"
    # CASE: else what is in the body is evaluated before the copy is looked for. '+': in the order of keys, rows lie anywhere.
    lacking = f"CASE WHEN {held} THEN 0 WHEN {_has(GONE)} AND {gone} THEN 0 ELSE {wanted} END"
    return f"(+key >= '/' AND +key < '0' AND origin <> {site} AND NOT {origin} AND {lacking})"


def _has(key: str) -> str:
    """Whether a body may have this key: the text is looked at, not parsed."""
    return f"instr(body, '{key_text(key)}')"


def _switch(key: str) -> str:
    """decide.targets.truth: NULL where the key says nothing."""
    value = ranked_sql(key)
    text = f"CASE lower(trim({value}, {_SPACE})) WHEN 'true' THEN 1 WHEN '1' THEN 1 WHEN 'false' THEN 0 WHEN '0' THEN 0 END"
    return (
        f"CASE WHEN NOT {_has(key)} THEN NULL WHEN typeof({value}) = 'text' THEN {text}"
        f" WHEN {value} IN ({TRUE}, 1) THEN 1 WHEN {value} IN ({FALSE}, 0) THEN 0 END"
    )
