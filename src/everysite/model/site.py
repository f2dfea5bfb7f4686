"""Sites and mappings: places with stores, and who owns which paths there.

Owns: Site, Mapping, Policy, Globals and the rule for site names. Must not know: stores, agents, the index.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from everysite.errors import BadRequest

Direction = Literal["both", "send", "receive"]
RESERVED = frozenset({"priority", "local", "support"})
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_site_name(text: object) -> str:
    """A site's name, or BadRequest saying what one looks like (decisions A 1)."""
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise BadRequest(f"{text!r} is no site name; use 1 to 64 letters, digits, '_' or '-'")
    if text.lower() in RESERVED:
        raise BadRequest(f"the site name {text!r} is reserved; choose another one")
    return text


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    """How a mapping behaves; the keys of its site element, see decisions B 2. Times in s."""

    enable_discovery: bool = True
    enable_discovery_updated_files: bool = True
    enable_discovery_deleted_files: bool = True
    enable_discovery_packages: bool = False
    enable_emission: bool = True
    enable_reception: bool = True
    propagate_deletes: bool = False
    package_patterns: tuple[str, ...] = ()
    include_pattern_rules: tuple[str, ...] = ()
    exclude_pattern_rules: tuple[str, ...] = ()
    excluded_files: tuple[str, ...] = ()
    ignore_existing_files: bool | None = None  # None: as the global parameter says
    sleep_between_scans: float | None = None
    read_back: bool = False
    retry_count: int = -1  # -1: without end
    retry_delay: float = 5.0
    retry_max_delay: float = 3600.0


class Globals(msgspec.Struct, frozen=True, rename="camel"):
    """The element `rsyncGlobalParameters`, read (decisions B 1)."""

    enable_scans: bool = True
    sync_everywhere: bool = True
    sleep_between_scans: float = 60.0
    ignore_existing_files: bool = False
    include_pattern_rules: tuple[str, ...] = ()
    exclude_pattern_rules: tuple[str, ...] = ()
    excluded_files: tuple[str, ...] = ()


class Site(msgspec.Struct, frozen=True):
    """A place with stores and an agent. `element` is the `_id` of the element that describes it."""

    name: str
    element: str
    paused: bool = False
    id: int = 0

    @property
    def folded(self) -> str:
        """Names are unique without regard to case."""
        return self.name.lower()


class Mapping(msgspec.Struct, frozen=True):
    """(site, store, part of the namespace, direction, policy). Writable mappings of a site never overlap.

    `url` names the store (`file:///data/paris/`); `prefix` is the part of the namespace kept there ('/' for all).
    """

    site: int
    url: str
    prefix: str = "/"
    direction: Direction = "both"
    policy: Policy = Policy()
    id: int = 0

    @property
    def receives(self) -> bool:
        """Whether copies are to be brought here."""
        return self.direction != "send" and self.policy.enable_reception

    @property
    def sends(self) -> bool:
        """Whether changes found here are announced and copies may be taken from here."""
        return self.direction != "receive" and self.policy.enable_emission
