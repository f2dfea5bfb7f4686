"""Comments: children of elements that say something about them.

Owns: what a comment stores. Must not know: HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from everysite.errors import BadRequest
from everysite.model.element import Body, Element
from everysite.tracker.create import build, signed
from everysite.tracker.identifiers import Keyed, generated, identifier, refuse_dollars
from everysite.tracker.writing import Writing


def on_parents(items: Iterable[object]) -> Iterator[Keyed]:
    """One (parent, keys) a comment to make. Raises BadRequest when any item is no comment."""
    for item in items:
        if not isinstance(item, dict):
            raise BadRequest("a comment is an object with #parent and comment")
        text = item.get("comment")
        if not isinstance(text, str) or not text:
            said = "missing" if text is None else f"{text!r:.40}"
            raise BadRequest(f"comment is {said}; it is a text that is not empty")
        refuse_dollars(item)
        parents = item.get("#parent")
        parents = parents if isinstance(parents, list) else [parents]
        if not parents or None in parents:
            raise BadRequest("#parent is missing; name the element (or several) this is about")
        body = {name: value for name, value in item.items() if name != "_id"}
        yield from ((identifier(parent), body) for parent in parents)


def comment(writing: Writing, items: Sequence[Keyed]) -> list[Body | None]:
    """The comments in order; None where there is no such parent."""
    parents = writing.get([parent for parent, _ in items])
    children: list[Element | None] = [
        build(writing, generated(), signed(writing, body) | {"#parent": found.key}, {}) if found else None
        for found, (_, body) in zip(parents, items, strict=True)
    ]
    saved = iter(writing.tx.elements.put([child for child in children if child is not None]))
    answer = [_shown(next(saved)) if child is not None else None for child in children]
    writing.tell(created=[body for body in answer if body is not None])
    return answer


def _shown(element: Element) -> Body:
    return {"_id": element.key, **element.body}
