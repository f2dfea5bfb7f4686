"""From changed elements to wishes for every site, inside one unit of work.

Owns: applying `decide.plan` to many elements at once: new wishes, and cancelling those no longer wanted.
Must not know: why an element changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from everysite.decide.plan import GONE, covering, plan, plan_inspect
from everysite.decide.targets import priority
from everysite.index.contract import Transaction
from everysite.model.element import Element
from everysite.model.replica import Replica
from everysite.model.site import Globals, Mapping, Site
from everysite.model.task import Wish
from everysite.tracker.core import read_globals


class Planner:
    """Sites, mappings and globals read once for a unit. `woken`: mappings that have new work after it."""

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.sites: dict[int, Site] = {s.id: s for s in tx.sites.all()}
        self.mappings: list[Mapping] = tx.sites.mappings()
        self.globals: Globals = read_globals(tx)
        self.woken: set[int] = set()

    def site(self, name: str) -> Site | None:
        """A site by name, without regard to case."""
        folded = name.lower()
        return next((s for s in self.sites.values() if s.folded == folded), None)

    def wish(
        self, elements: Sequence[Element], replicas: dict[int, list[Replica]] | None = None, fresh: bool = False
    ) -> None:
        """Make the tasks of these files what they should be. `fresh`: the elements are new, nothing waits for them yet.

        A file whose content nobody has measured yet is inspected at its origin first.
        """
        files = [e for e in elements if e.is_file]
        if not files:
            return
        if replicas is None:
            replicas = {} if fresh else self.tx.replicas.of([e.id for e in files])
        wishes: list[Wish] = []
        cancels: dict[int, list[str]] = defaultdict(list)
        gone: list[str] = []
        for element in files:
            rows = {r.site: r for r in replicas.get(element.id, ())}
            for mapping in self._places(element):
                site = self.sites[mapping.site]
                wish = self._inspect(element, mapping) or plan(element, site, mapping, rows.get(site.id), self.globals)
                if wish is not None:
                    wishes.append(wish)
                elif not fresh and element.body.get(GONE):
                    gone.append(element.key)
                elif not fresh:
                    cancels[mapping.id].append(element.key)
                    if (row := rows.get(site.id)) is not None and row.at:
                        cancels[mapping.id].append(row.at)
        self.cancel(cancels)
        self.forsake(gone)
        self.add(wishes)

    def add(self, wishes: Sequence[Wish]) -> None:
        """Store wishes and remember whom to wake."""
        if wishes:
            self.tx.tasks.wish(wishes)
            self.woken.update(w.mapping for w in wishes)

    def cancel(self, paths: dict[int, list[str]]) -> None:
        """Remove what waits for these paths by mapping; what is claimed is left to its holder, who will be refused."""
        for mapping, keys in paths.items():
            rows = [t for t in self.tx.tasks.get(mapping, keys) if t is not None]
            self.tx.tasks.done(mapping, [t.path for t in rows if not t.lease and t.kind != "inspect"])

    def look_again(self, elements: Sequence[Element]) -> None:
        """Somebody said that their content has changed at the origin: its agent looks, without waiting for a scan."""
        found = [(e, covering(self.mappings, e.origin, e.key)) for e in elements]
        self.add(
            [Wish(m.id, e.key, "inspect", e.id, e.gen, priority=priority(e.body)) for e, m in found if m is not None]
        )

    def forsake(self, keys: Sequence[str], rows_now: Iterable[Replica] = ()) -> None:
        """These paths are no files any longer (they were renamed, or deleted everywhere). A copy under way to one of them is
        refused before it is published; if that comes too late, it is taken away again: but not where a copy that counts
        still lies under that path and is about to be renamed (`rows_now`: the rows of these files as they are now)."""
        lying = {(row.site, row.at) for row in rows_now if row.at}
        for mapping in self.mappings if keys else ():
            rows = [t for t in self.tx.tasks.get(mapping.id, keys) if t is not None]
            away = [t for t in rows if t.lease and (mapping.site, t.path) not in lying]
            self.tx.tasks.done(mapping.id, [t.path for t in rows if t not in away])
            self.add([Wish(mapping.id, t.path, "absent") for t in away])

    def _inspect(self, element: Element, mapping: Mapping) -> Wish | None:
        return plan_inspect(element, mapping) if element.content is None else None

    def _places(self, element: Element) -> Iterable[Mapping]:
        if len(self.mappings) == len(self.sites):
            return self.mappings  # one a site, the usual case: no search for the longest prefix
        found = (covering(self.mappings, site, element.key) for site in self.sites)
        return [m for m in found if m is not None]
