"""Publish: new files by path and origin, each with a child that keeps the publish.

Owns: what a publish stores. Must not know: HTTP, agents, how a file comes to the other sites.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from everysite.decide.elements import publish_problem
from everysite.errors import BadRequest
from everysite.model.element import Body, Element
from everysite.model.site import check_site_name
from everysite.tracker.create import States, build, settle_in, signed
from everysite.tracker.identifiers import Keyed, generated
from everysite.tracker.messages import Published
from everysite.tracker.writing import Writing


def check(items: Iterable[object]) -> None:
    """Raise BadRequest when any item is no publish; nothing is stored then."""
    for item in items:
        if problem := publish_problem(item):
            raise BadRequest(problem)
        assert isinstance(item, dict)
        check_site_name(item["origin"])


def publish(writing: Writing, items: Sequence[Keyed]) -> Published:
    """The new elements in order (None: already tracked), and a child of each new one with the same keys."""
    taken = {e.key for e in writing.tx.elements.get([key for key, _ in items]) if e is not None}
    fresh: dict[str, Element] = {}
    states: dict[str, States] = {}
    children: list[Element] = []
    for key, item in items:
        if key in taken or key in fresh:
            continue
        body = signed(writing, {name: value for name, value in item.items() if value is not None})
        fresh[key] = build(writing, key, body, states)
        children.append(Element(generated(), body | {"#parent": key}, writing.version))
    saved = writing.tx.elements.put([*fresh.values(), *children])
    bodies = dict(zip(fresh, settle_in(writing, saved[: len(fresh)], states, "published"), strict=True))
    kept: list[Body] = [{"_id": child.key, **child.body} for child in saved[len(fresh) :]]
    writing.tell(created=list(bodies.values()))
    writing.tell(created=kept)
    return Published([bodies.pop(key, None) for key, _ in items], kept)
