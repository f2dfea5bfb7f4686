"""What the tracker believes to be at a site, told to its agent.

Owns: the verb `recall`. Must not know: why somebody asks.

An agent tells differences. After a backup was put back, the tracker has forgotten some of what it was told; the agent
tells everything it holds again, and finds out here what it has to report as gone.
"""

from __future__ import annotations

from everysite.index.contract import Transaction
from everysite.model.path import below
from everysite.tracker.agent_messages import Recall, Recalled
from everysite.tracker.core import Core, held_mapping
from everysite.tracker.operation import Caller

_PAGE = 1000


class RecallVerb:
    """The verb `recall`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def recall(self, caller: Caller, asked: Recall) -> Recalled:
        """Raises StaleLease."""
        now = self._core.clock()
        return await self._core.index.read(lambda tx: _recall(tx, caller, asked, now), scan=True)


def _recall(tx: Transaction, caller: Caller, asked: Recall, now: int) -> Recalled:
    mapping, site = held_mapping(tx, caller, asked.mapping, asked.epoch, now)
    rows = tx.replicas.at_site(site.id, asked.after, _PAGE)
    there = [row.element for row in rows if (row.synced or row.modified) and not (row.deleted or row.at)]
    elements = tx.elements.by_id(there)
    keys = [elements[number].key for number in there if number in elements]
    return Recalled([key for key in keys if below(key, mapping.prefix)], rows[-1].element if len(rows) == _PAGE else 0)
