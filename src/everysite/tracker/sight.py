"""What a caller sees of the elements, and which of them they may change.

Owns: author mode and the path prefix of a token, as one rule for every verb, search, graph, feed and event.
Must not know: verbs, HTTP.

What a caller does not see is missing for them: None in its place, 404 alone (tracker-api 9).
"""

from __future__ import annotations

from dataclasses import dataclass

from everysite.decide.query import Equals, Predicate
from everysite.model.element import Element
from everysite.tracker.core import Limits
from everysite.tracker.operation import Caller


@dataclass(frozen=True, slots=True)
class Sight:
    """The view of one caller. `where`: the condition every search of theirs gets; None: they see everything."""

    caller: Caller
    where: Predicate | None

    def sees(self, element: Element) -> bool:
        """Whether the element is there for them."""
        if self.where is None:
            return True
        author = element.body.get("author")
        return self.caller.username in author if isinstance(author, list) else author == self.caller.username


def sight(caller: Caller, limits: Limits) -> Sight:
    """The view of a caller. In author mode all but admins and agents see only what they are an author of."""
    if not limits.author_mode or caller.rank in ("admin", "agent"):
        return Sight(caller, None)
    return Sight(caller, Equals("author", caller.username))
