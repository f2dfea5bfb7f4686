"""How a file stands at a site: the words of `AtSite` as a pure rule.

Owns: what missing, outdated, only, error and current mean. Must not know: SQL, how a query spells them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from everysite.decide.plan import GONE
from everysite.decide.targets import wanted
from everysite.model.element import Element
from everysite.model.replica import Replica
from everysite.model.site import Site

Standing = Literal["missing", "outdated", "only", "error", "current"]


def stands(state: Standing, element: Element, site: Site, replicas: Sequence[Replica], everywhere: bool) -> bool:
    """Whether the file stands so at the site. `replicas`: its rows of all sites; `everywhere`: the global `syncEverywhere`.

    A copy in conflict is none of these but perhaps `error`; one deleted there on purpose is not missing.
    """
    here = next((row for row in replicas if row.site == site.id), None)
    if state == "missing":
        return _misses(element, site, here, everywhere)
    if here is None:
        return False
    if state == "error":
        return here.error != 0 and here.attempted >= here.synced
    if state == "outdated":
        return _copy(here) and here.gen < element.gen
    if state == "current" or not _current(element, here):
        return _current(element, here)
    return not any(_current(element, row) for row in replicas if row.site != site.id)


def _misses(element: Element, site: Site, here: Replica | None, everywhere: bool) -> bool:
    if not element.is_file or element.origin == site.id or element.body.get(GONE):
        return False
    if not wanted(element.body, site.name, everywhere).wanted:
        return False
    return here is None or not (here.modified or (here.synced and (not here.deleted or here.gen >= element.gen)))


def _copy(row: Replica) -> bool:
    return row.synced != 0 and row.deleted == 0 and row.modified == 0


def _current(element: Element, row: Replica) -> bool:
    return _copy(row) and row.gen >= element.gen
