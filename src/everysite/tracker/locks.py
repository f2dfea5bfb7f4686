"""Lock and unlock: who works on an element now.

Owns: both verbs, as one step from looking to writing; what an end of a lock means for a file. Must not know: HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from everysite.decide.elements import stamped
from everysite.decide.locks import KEY, to_lock, to_unlock
from everysite.index.contract import Event
from everysite.model.element import Body, Element
from everysite.tracker import special
from everysite.tracker.states import compose
from everysite.tracker.writing import Writing


def lock(writing: Writing, keys: Sequence[str]) -> list[Body | None]:
    """The elements, locked by the caller; None for missing ones. Raises Conflict when one is somebody else's."""
    found = _found(writing, keys)
    chosen = to_lock(keys, [e.body if e is not None else None for e in found], writing.author)
    return _write(writing, found, chosen, writing.author)


def unlock(writing: Writing, keys: Sequence[str]) -> list[Body | None]:
    """The elements, free; None for missing ones. Raises Conflict when one is somebody else's, or none is locked."""
    found = _found(writing, keys)
    bodies = [e.body if e is not None else None for e in found]
    chosen = to_unlock(keys, bodies, writing.author, writing.rank == "admin")
    return _write(writing, found, chosen, "")


def look_where_kept(writing: Writing, elements: Sequence[Element]) -> None:
    """A lock kept changes at these files' origins back, shown as conflicts: now that it is gone, they count."""
    files = [e for e in elements if e.is_file and e.content is not None and e.origin]
    rows = writing.tx.replicas.of([e.id for e in files]) if files else {}
    kept = [e for e in files if any(r.site == e.origin and r.modified for r in rows.get(e.id, ()))]
    if kept:
        writing.planner.look_again(kept)


def _found(writing: Writing, keys: Sequence[str]) -> list[Element | None]:
    found = writing.get(keys)
    for element in found:
        if element is not None:
            special.guard(writing, element)
    return found


def _write(writing: Writing, found: Sequence[Element | None], chosen: Sequence[bool], who: str) -> list[Body | None]:
    old = {e.key: e for e, wanted in zip(found, chosen, strict=True) if e is not None and wanted}
    new = [stamped(e, replace(e, body=_with(e.body, who)), writing.version) for e in old.values()]
    for element in new:
        writing.view.check_write(element.key, element.body)
    saved = {e.key: e for e in writing.tx.elements.put(new)}
    files = [e for e in saved.values() if e.is_file]
    if files:
        what = "locked" if who else "unlocked"
        writing.tx.history.add([Event(e.key, writing.now, what, who=writing.author) for e in files])
    if not who:
        look_where_kept(writing, files)
    answer = compose(writing.tx, [e and saved.get(e.key, e) for e in found])
    told = {body["_id"]: body for body in answer if body is not None and body["_id"] in saved}
    writing.tell(updated=list(told.values()))
    return answer


def _with(body: Body, who: str) -> Body:
    return body | {KEY: who} if who else {name: value for name, value in body.items() if name != KEY}
