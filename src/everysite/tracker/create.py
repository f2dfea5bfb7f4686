"""New elements: their keys, who made them when, and what follows for files and for elements that act.

Owns: creating, alone and as a part of publish, comment, version and upsert. Must not know: HTTP, agents.

A plain document costs one put. Only files look at sites, make history and wishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from everysite.errors import Conflict
from everysite.index.contract import Event
from everysite.model.element import Body, Element
from everysite.model.path import is_path
from everysite.model.replica import Replica
from everysite.tracker import special
from everysite.tracker.identifiers import Keyed
from everysite.tracker.states import apply_state, compose, take_apart
from everysite.tracker.writing import Writing

States = dict[int, dict[str, Any]]  # site number -> field of its replica -> value


def create(writing: Writing, items: Sequence[Keyed]) -> list[Body | None]:
    """The new elements in order; None where the identifier is taken, also by an earlier item of the same request."""
    answer = store_new(writing, items)
    writing.tell(created=[body for body in answer if body is not None])
    return answer


def store_new(writing: Writing, items: Sequence[Keyed]) -> list[Body | None]:
    """As `create`, without telling anybody."""
    fresh: dict[str, Element] = {}
    states: dict[str, States] = {}
    for key, body in items:
        if key not in fresh:
            fresh[key] = build(writing, key, signed(writing, body), states)
    saved = _put(writing, fresh)
    bodies = dict(zip([e.key for e in saved], settle_in(writing, saved, states, "created"), strict=True))
    return [bodies.pop(key, None) for key, _ in items]


def signed(writing: Writing, body: Body) -> Body:
    """The body with who made it when; an admin may have said so themselves."""
    kept = writing.clean(body)
    if kept.get("author") is None:
        kept["author"] = writing.author
    if kept.get("time") is None:
        kept["time"] = writing.now
    return kept


def build(writing: Writing, key: str, body: Body, states: dict[str, States]) -> Element:
    """An element to put. What its body says about sites goes into `states` and, for files, into its origin."""
    body = special.prepared(writing, key, None, body)
    origin = gen = 0
    names: list[str] = []
    if key[0] == "/":
        planner = writing.planner
        body, found = take_apart(body, list(planner.sites.values()))
        if found:
            states[key] = found
            names = [planner.sites[site].name for site in found]
            gen = int(any(_behind(body, fields) for fields in found.values()))
        site = planner.site(body["origin"]) if isinstance(body.get("origin"), str) and is_path(key) else None
        origin = site.id if site else 0
    writing.view.check_write(key, body, names)
    return Element(key, body, writing.version, gen=gen, origin=origin)


def settle_in(writing: Writing, saved: Sequence[Element], states: dict[str, States], what: str) -> list[Body]:
    """What follows from elements that are new in the index; answers them as clients see them."""
    files = [element for element in saved if element.is_file]
    if files:
        _files(writing, files, states, what)
    if files or writing.rank == "admin":
        special.settled(writing, [(None, element) for element in saved])
    if not files:
        return [{"_id": element.key, **element.body} for element in saved]
    return [body for body in compose(writing.tx, saved) if body is not None]


def _put(writing: Writing, fresh: dict[str, Element]) -> list[Element]:
    """Those whose identifier is free. That all are is usual, so it is tried before anything is asked."""
    elements = writing.tx.elements
    try:
        return elements.put(list(fresh.values()))
    except Conflict:
        taken = {found.key for found in elements.get(list(fresh)) if found is not None}
        return elements.put([element for key, element in fresh.items() if key not in taken])


def _files(writing: Writing, files: Sequence[Element], states: dict[str, States], what: str) -> None:
    replicas: dict[int, list[Replica]] = {}
    for element in files:
        for site, fields in states.get(element.key, {}).items():
            row = apply_state(Replica(element.id, site), element.gen, fields)
            row = replace(row, gen=0) if _behind(element.body, fields) else row
            replicas.setdefault(element.id, []).append(row)
    if replicas:
        writing.tx.replicas.put([row for rows in replicas.values() for row in rows])
    writing.planner.wish(files, replicas, fresh=True)
    writing.tx.history.add(
        [Event(e.key, writing.now, what, e.origin, writing.author, str(e.body.get("comment") or "")) for e in files]
    )


def _behind(body: Body, fields: dict[str, Any]) -> bool:
    """Whether a copy was delivered before the content last changed (tracker-api 12): it has an older one."""
    synced, time = fields.get("synced") or 0, body.get("time")
    return isinstance(time, int | float) and 0 < synced < time
