"""What a caller sees of the elements, and which of them they may write.

Owns: author mode and the scope of a token, as one rule for every verb, search, graph, feed and event.
Must not know: verbs, HTTP.

What a caller does not see is missing for them: None in its place, 404 alone (tracker-api 9). A token for a prefix sees
what lies below it: the elements there, their children (comments, publishes, versions), and links between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from everysite.decide.query import And, Compare, Equals, Not, Or, Predicate, TypeIs
from everysite.errors import Forbidden
from everysite.model.element import Body, Element
from everysite.tracker.core import Limits
from everysite.tracker.operation import Caller


@dataclass(frozen=True, slots=True)
class Sight:
    """The view of one caller. `where`: the condition every search of theirs gets; None: they see everything."""

    caller: Caller
    where: Predicate | None
    own: bool = False  # only what they are an author of

    def sees(self, element: Element) -> bool:
        """Whether the element is there for them."""
        return self.where is None or self._shows(element.key, element.body)

    def shows(self, body: Body) -> bool:
        """The same for an element as clients see it, with its `_id`."""
        return self.where is None or self._shows(body["_id"], body)

    def covers(self, path: str) -> bool:
        """Whether a path lies in the part of the namespace that is theirs."""
        return not self.caller.prefix or _below(self.caller.prefix, path)

    def check_write(self, key: str, body: Body, sites: Iterable[str] = ()) -> None:
        """Raise Forbidden when this may not be what they leave behind: outside the token's prefix, or about another site.

        `body` is the whole element as it would be, `sites` those whose state keys are written. Elements that are there
        already have to be seen as well.
        """
        caller = self.caller
        if caller.prefix and not _within(caller.prefix, key, body):
            raise Forbidden(f"{key}: this token writes below {caller.prefix} only")
        if not caller.site or caller.rank == "agent":
            return
        if {body.get("origin", caller.site), *sites} != {caller.site}:
            raise Forbidden(f"{key}: this token writes for the site {caller.site} only")

    def _shows(self, key: str, body: Body) -> bool:
        if self.caller.prefix and not _within(self.caller.prefix, key, body):
            return False
        if not self.own:
            return True
        author = body.get("author")
        return self.caller.username in author if isinstance(author, list) else author == self.caller.username


def sight(caller: Caller, limits: Limits) -> Sight:
    """The view of a caller. In author mode all but admins and agents see only what they are an author of."""
    own = limits.author_mode and caller.rank not in ("admin", "agent")
    parts: list[Predicate] = [Equals("author", caller.username)] if own else []
    if caller.prefix:
        parts.append(_inside(caller.prefix))
    return Sight(caller, And(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None, own)


def _within(prefix: str, key: str, body: Body) -> bool:
    return (
        _below(prefix, key)
        or _below(prefix, body.get("#parent"))
        or (_below(prefix, body.get("src_id")) and _below(prefix, body.get("tgt_id")))
    )


def _below(prefix: str, path: Any) -> bool:
    return isinstance(path, str) and (path.startswith(prefix) or path == prefix[:-1])


def _inside(prefix: str) -> Predicate:
    """The same as a condition: ranges, so that an index of the key serves them."""
    ends = And((_range("src_id", prefix), _range("tgt_id", prefix)))
    return Or((_range("_id", prefix), _range("#parent", prefix), ends))


def _range(path: str, prefix: str) -> Predicate:
    last = prefix[:-1] + chr(ord("/") + 1)  # the first text after all that start with the prefix
    below = And((Compare(path, ">=", prefix), Compare(path, "<", last)))
    inside = Or((Equals(path, prefix[:-1]), below))
    # Of an array one member may pass the one end of a range and another the other: a path is one text.
    return inside if path == "_id" else And((inside, Not(TypeIs(path, ("array",)))))
