"""Upsert: elements that are made where they are missing, and updated where they are there.

Owns: the order of both. Must not know: HTTP, what creating and updating mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from everysite.errors import Conflict
from everysite.model.element import Body
from everysite.tracker.create import store_new
from everysite.tracker.identifiers import Keyed, pages
from everysite.tracker.messages import Upserted
from everysite.tracker.update import update_page
from everysite.tracker.writing import Writing


def upsert(writing: Writing, items: Sequence[Keyed]) -> Upserted:
    """Created elements in the order of the items, then updated ones. A second item for one element sees what the first did.

    Raises Conflict, with nothing stored, for what somebody else has locked, and for identifiers of elements the caller
    does not see.
    """
    created: list[Body] = []
    updated: list[Body] = []
    changed: list[Body] = []
    for page in pages(items):
        found = {e.key: e for e in writing.tx.elements.get([key for key, _ in page]) if e is not None}
        for element in found.values():
            if not writing.view.sees(element):
                raise Conflict(f"{element.key!r} exists already; choose another _id")
        made = store_new(writing, [(key, body) for key, body in page if key not in found])
        created += [body for body in made if body is not None]
        known = [(key, body) for key, body in page if key in found]
        answer = update_page(writing, known, [found[key] for key, _ in known])
        writing.refuse_kept_away()
        updated += [body for body in answer if body is not None]
        changed += [new for new, (_, body) in zip(answer, known, strict=True) if new is not None and body]
    writing.tell(created=created, updated=changed)
    return Upserted(created, updated)
