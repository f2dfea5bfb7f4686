"""Elements as clients see them: the body, with site state composed from replica rows.

Owns: composing state keys on read and taking them apart on write. Must not know: verbs, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from everysite.decide.targets import parse_state_key, spell_state
from everysite.errors import BadRequest
from everysite.index.contract import Transaction
from everysite.model.element import Body, Element
from everysite.model.replica import Replica
from everysite.model.site import Site

_COUNTS = frozenset({"synced", "syncing", "error", "attempted", "modified", "deleted"})


def compose(tx: Transaction, elements: Sequence[Element | None]) -> list[Body | None]:
    """Bodies with `_id`, `digest` (BLAKE3 hex) and the state keys of every site."""
    files = [e.id for e in elements if e is not None and e.is_file]
    sites = {s.id: s for s in tx.sites.all()} if files else {}
    if not sites:
        return [None if e is None else _plain(e) for e in elements]
    rows, running = tx.replicas.of(files), _running(tx, files, sites)
    return [None if e is None else _composed(e, rows.get(e.id, ()), sites) | running.get(e.id, {}) for e in elements]


def _plain(element: Element) -> Body:
    body: Body = {"_id": element.key, **element.body}
    if element.content is not None:
        body["digest"] = element.content.digest.hex()
    return body


def _composed(element: Element, rows: Sequence[Replica], sites: Map[int, Site]) -> Body:
    body = _plain(element)
    for row in rows:
        if row.site in sites:
            body |= spell_state(row, sites[row.site].name)
    return body


def _running(tx: Transaction, files: Sequence[int], sites: Map[int, Site]) -> dict[int, Body]:
    """`syncing_<site>` is not written when a task is claimed: it is read off the lease."""
    found = tx.tasks.running(files)
    if not found:
        return {}
    site_of = {mapping.id: sites[mapping.site].name for mapping in tx.sites.mappings()}
    shown: dict[int, Body] = {}
    for element, mapping, since in found:
        shown.setdefault(element, {})[f"syncing_{site_of[mapping]}"] = since
    return shown


def take_apart(change: Body, sites: Sequence[Site]) -> tuple[Body, dict[int, dict[str, Any]]]:
    """A client's change without its state keys, and those by site: {field of Replica: value or None}.

    Raises BadRequest for a state that is no number of ms (or code), or no text where a text belongs.
    """
    names = {s.name: s.id for s in sites}
    plain: Body = {}
    states: dict[int, dict[str, Any]] = {}
    for key, value in change.items():
        found = parse_state_key(key, names)
        if found is None:
            plain[key] = value
            continue
        field, site = found
        number = field in _COUNTS
        if value is not None and not (_is_count(value) if number else isinstance(value, str)):
            raise BadRequest(f"{key} is {value!r}; it is {'a number' if number else 'a text'}, or null to remove it")
        states.setdefault(names[site], {})[field] = None if value is None else int(value) if number else value
    return plain, states


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53


def apply_state(row: Replica, gen: int, fields: Map[str, Any]) -> Replica:
    """A row after a client wrote state keys. Removing `synced` or `error` queues the file again (decisions B 5)."""
    for field, value in fields.items():
        if field == "synced":
            row = replace(row, synced=value or 0, gen=gen if value else 0, deleted=0, at=row.at if value else "")
        elif field == "error":
            row = replace(row, error=value or 0, tries=0, error_text=row.error_text if value else "")
        elif field == "modified":
            row = replace(row, modified=value or 0)
        elif field == "error_text":
            row = replace(row, error_text=value or "")
        else:
            row = replace(row, **{field: value or 0})
    return row
