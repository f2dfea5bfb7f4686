"""Version: an element's new state, while the old one is kept as a child.

Owns: what a version stores (tracker-api 7). Must not know: HTTP, agents.
"""

from __future__ import annotations

from msgspec.structs import replace

from everysite.decide.locks import holder
from everysite.decide.versions import kept_name, next_number
from everysite.errors import BadRequest, Conflict, Forbidden, NotFound
from everysite.model.element import Body, Element
from everysite.tracker import special
from everysite.tracker.create import build, signed
from everysite.tracker.identifiers import generated, refuse_dollars
from everysite.tracker.states import compose, take_apart
from everysite.tracker.update import Changed, store, with_origin
from everysite.tracker.writing import Writing

_CHILDREN = 1_000_000  # an element with more of them has another problem


def check(body: Body) -> None:
    """Raise BadRequest for a body without a `file`, or with keys no element can have."""
    if not isinstance(body.get("file"), str) or not body["file"]:
        raise BadRequest("file is missing; name the file of the new version")
    refuse_dollars(body)


def version(writing: Writing, key: str, body: Body) -> Body:
    """The element with its new state. Raises NotFound, Conflict (locked by somebody else), Forbidden."""
    [element] = writing.get([key])
    if element is None:
        raise NotFound(f"{key}: no such element")
    if special.acts(element):
        raise Forbidden(f"{key}: users, sites and global parameters have no versions")
    if holder(element.body) not in ("", writing.author):
        raise Conflict(f"{key} is locked by {holder(element.body)}; ask them to unlock it")
    children = writing.tx.elements.children(key, _CHILDREN)
    number = next_number(child.body for child in children)
    [kept] = writing.tx.elements.put([_kept(writing, element)])
    [saved] = store(writing, [_next(writing, element, body, number)]).values()
    [shown] = compose(writing.tx, [saved])
    assert shown is not None
    writing.tell(created=[{"_id": kept.key, **kept.body}], updated=[shown])
    return shown


def _kept(writing: Writing, element: Element) -> Element:
    """The old state as a child: whose it was and when stays."""
    file = element.body.get("file")
    body = {name: value for name, value in element.body.items() if name not in ("version", "lock")}
    body |= {"#parent": element.key, "file": kept_name(file if isinstance(file, str) else "", element.body.get("time"))}
    writing.view.check_write("", body)
    return Element(generated(), body, writing.version)


def _next(writing: Writing, element: Element, sent: Body, number: int) -> Changed:
    """The body that was sent takes the place of the old one. A file keeps its origin: its bytes still lie there."""
    body = signed(writing, {name: value for name, value in sent.items() if name != "_id" and value is not None})
    if not element.is_file:
        after = build(writing, element.key, body | {"version": number}, {}).body
        return Changed(element, replace(element, body=after))
    plain, states = take_apart(body, list(writing.planner.sites.values()))
    if "origin" in element.body:
        plain.setdefault("origin", element.body["origin"])
    return Changed(element, with_origin(writing, element, replace(element, body=plain | {"version": number})), states)
