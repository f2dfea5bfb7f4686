"""Deleting elements: the files stay, tombstones keep scans from publishing them again.

Owns: what a delete leaves behind. Must not know: HTTP, agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from everysite.errors import TooLarge
from everysite.index.contract import Event
from everysite.model.element import Element, Tombstone
from everysite.tracker import special
from everysite.tracker.writing import Writing

SIDES: tuple[Literal["src_id", "tgt_id"], ...] = ("src_id", "tgt_id")
_LINKS = 50_000  # one unit of work buries them all


def remove(writing: Writing, keys: Sequence[str]) -> list[str | None]:
    """The identifiers that are gone now, in order; None for missing ones. Children and links stay.

    Raises Forbidden (users, sites), Conflict (nothing to do but what somebody else has locked; the last admin).
    """
    gone: dict[str, Element] = {}
    answer: list[str | None] = []
    for key, element in zip(keys, writing.get(keys), strict=True):
        if element is None or key in gone:
            answer.append(None)
            continue
        special.guard(writing, element)
        if not writing.kept_away(element):
            gone[key] = element
        answer.append(key if key in gone else None)
    writing.done(answer)
    _bury(writing, list(gone.values()))
    writing.tell(removed=list(gone))
    return answer


def _bury(writing: Writing, elements: Sequence[Element]) -> None:
    files = [element for element in elements if element.is_file]
    if files:
        writing.planner.cancel({m.id: [e.key for e in files] for m in writing.planner.mappings})
        writing.tx.history.add([Event(e.key, writing.now, "removed", who=writing.author) for e in files])
    if elements:
        writing.tx.elements.bury([Tombstone(e.key, writing.version, e.content) for e in elements])
    special.gone(writing, elements)


def remove_with_links(writing: Writing, keys: Sequence[str]) -> list[str | None]:
    """As `remove`, and every link whose source or target is among them goes too. Raises TooLarge for too many links."""
    found = writing.get(list(dict.fromkeys(keys)))
    going = [element.key for element in found if element is not None and not writing.kept_away(element)]
    links: dict[str, None] = {}
    for side in SIDES:
        links |= dict.fromkeys(
            e.key for e in writing.tx.elements.links(side, going, _LINKS + 1) if writing.view.sees(e)
        )
    if len(links) > _LINKS:
        raise TooLarge(f"more than {_LINKS} links would go with them; delete fewer elements at a time")
    return remove(writing, [*keys, *(key for key in links if key not in going)])[: len(keys)]
