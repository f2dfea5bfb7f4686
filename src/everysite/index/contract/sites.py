"""Sites, their mappings, and who holds a mapping.

Owns: Sites. Must not know: SQL, how a site is set up.
"""

from __future__ import annotations

from typing import Protocol

from everysite.model.site import Mapping as SiteMapping
from everysite.model.site import Site
from everysite.model.task import Holding


class Sites(Protocol):
    """Sites, their mappings, and who holds a mapping. Few rows: reading all of them is cheap."""

    def all(self) -> list[Site]: ...

    def named(self, name: str) -> Site | None:
        """Without regard to case."""

    def put(self, site: Site) -> Site:
        """Insert (id 0) or replace. Raises Conflict when another site has the name."""

    def remove(self, site: int) -> None:
        """With its mappings, their tasks, leases and holdings, and its replicas."""

    def mappings(self) -> list[SiteMapping]: ...

    def put_mapping(self, mapping: SiteMapping) -> SiteMapping: ...

    def remove_mapping(self, mapping: int) -> None: ...

    def holding(self, mapping: int) -> Holding | None: ...

    def hold(self, holding: Holding) -> None: ...  # insert or replace by mapping
