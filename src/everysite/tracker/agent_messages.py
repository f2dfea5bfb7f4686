"""What the verbs for agents take and answer.

Owns: the shapes of requests and answers by which sites hold mappings, tell findings, take work and relay bytes.
Must not know: how a verb is carried out, or where HTTP finds it (`contract.py`).
"""

from __future__ import annotations

import msgspec

from everysite.model.element import Content
from everysite.model.site import Globals, Mapping
from everysite.model.task import Kind


class Hello(msgspec.Struct, frozen=True):
    """An agent starts. `host` is equal for two agents exactly when they see the same folders (boot and mount namespace);
    `url` is the store of its folder, kept for a site that was added without one."""

    site: str
    host: str
    version: str
    url: str = ""


class Welcome(msgspec.Struct, frozen=True):
    """What the agent works on. `revision` changes with every edit of sites or globals. Leases last `lease_ms`."""

    site: str
    mappings: list[Mapping]
    globals: Globals
    paused: bool
    revision: int
    lease_ms: int


class MySites(msgspec.Struct, frozen=True):
    """Names of the sites a token may serve that have a folder on the tracker's machine (`everysite up` runs them)."""

    sites: list[str]
    revision: int


class Revision(msgspec.Struct, frozen=True):
    """Answer when the configuration is no longer at `revision`, at the latest after `wait_ms`."""

    revision: int = -1
    wait_ms: int = 0


class Hold(msgspec.Struct, frozen=True):
    """Take or keep a whole mapping. `holder` is the agent's lasting id: the same one may take over from its former self
    at once (fencing it off), another one only when the holding has run out. `epoch` 0 takes, else it renews."""

    mapping: int
    holder: str
    epoch: int = 0
    leases: list[int] = []  # bundle leases to renew with it


class Holds(msgspec.Struct, frozen=True):
    """`until` ms since 1970 by the tracker's clock, `valid_ms` from now. `lost`: leases that are no longer the caller's.
    `history`: another one than before means that the tracker was put back to an earlier state ("": not known)."""

    epoch: int
    until: int
    valid_ms: int
    lost: list[int] = []
    history: str = ""


class LetGo(msgspec.Struct, frozen=True):
    """Give a mapping back; its leases end and their tasks wait for the next holder."""

    mapping: int
    epoch: int


class Recall(msgspec.Struct, frozen=True):
    """Files of a held mapping that the tracker believes to be at its site, a page after the place `after`."""

    mapping: int
    epoch: int
    after: int = 0


class Recalled(msgspec.Struct, frozen=True):
    """`after`: where the next page begins, 0 when this was the last one."""

    keys: list[str]
    after: int = 0


class SeenItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a scan found under a path. `content` None: it is gone. `was`: it was there under that path before (a rename;
    both paths end with '/' when a whole folder was renamed)."""

    key: str
    content: Content | None = None
    was: str = ""
    package: bool = False
    brought: bool = False  # not found: the agent itself brought it, and could not settle


class Announce(msgspec.Struct, frozen=True):
    """A batch of differences of one mapping, at most 10,000. `first`: this tree was never scanned before."""

    mapping: int
    epoch: int
    seen: list[SeenItem]
    first: bool = False


class Announced(msgspec.Struct, frozen=True):
    """How many of a batch led to what (new, modified, known, renamed, deleted, conflict, ignored), and reasons by path for
    those that were refused."""

    counts: dict[str, int]
    refused: dict[str, str] = {}


class Claim(msgspec.Struct, frozen=True):
    """Work for a held mapping: at most `limit` tasks of together `max_bytes` bytes (one task at least). With nothing to
    do the answer waits up to `wait_ms`, or until the configuration differs from `revision`."""

    mapping: int
    epoch: int
    limit: int = 1000
    max_bytes: int = 64 << 20
    wait_ms: int = 0
    revision: int = -1


class Job(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task. `sources` names the sites that hold this content, nearest first. See model.task for the rest."""

    path: str
    kind: Kind
    gen: int
    content: Content | None = None
    source: str = ""
    replaces: bytes = b""
    sources: list[str] = []
    tries: int = 0


class Place(msgspec.Struct, frozen=True):
    """Where a site keeps its files: a store url, the part of the namespace, and the host that sees it."""

    url: str
    prefix: str
    host: str
    online: bool


class Claimed(msgspec.Struct, frozen=True):
    """`lease` 0: nothing to do (or paused). `places` describes the sites named as sources."""

    lease: int
    valid_ms: int
    jobs: list[Job]
    places: dict[str, list[Place]]
    revision: int
    paused: bool = False


class Check(msgspec.Struct, frozen=True):
    """Before the last rename: are these (path, gen) still to be published under this lease?"""

    mapping: int
    epoch: int
    lease: int
    paths: list[tuple[str, int]]


class Checked(msgspec.Struct, frozen=True):
    """Paths that must not be published."""

    refused: list[str]


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one task ended. ok: `content` is what is there now (None: nothing). Not ok: `code` of errors, rsync's
    `exit_code`, `text`. `conflict`: digest of a copy found there that is not ours to overwrite."""

    path: str
    gen: int
    ok: bool
    content: Content | None = None
    code: str = ""
    exit_code: int = 0
    text: str = ""
    conflict: bytes = b""


class Settle(msgspec.Struct, frozen=True):
    """Results of a lease's tasks. `more`: the lease goes on; else tasks of it that are not named wait again."""

    mapping: int
    epoch: int
    lease: int
    results: list[Result]
    more: bool = False


class Settled(msgspec.Struct, frozen=True):
    """Paths whose result was refused: the task is no longer wanted like that or not the caller's."""

    refused: list[str]


class Report(msgspec.Struct, frozen=True):
    """Status keys of the site's element (decisions B 7). Changes no `time`, makes no history."""

    site: str
    values: dict[str, str | int | float | bool | None]


class Serve(msgspec.Struct, frozen=True):
    """A source agent waits for somebody who wants bytes of its site."""

    site: str
    wait_ms: int = 25_000


class WantedFile(msgspec.Struct, frozen=True):
    """Bytes of `path` from `offset` on, as they are in `content` (SourceChanged when they are not; None: as they are)."""

    path: str
    offset: int = 0
    content: Content | None = None


class Wanted(msgspec.Struct, frozen=True):
    """A relay request, to be answered by PUT of the frames of its files. `id` "": nobody asked."""

    id: str
    files: list[WantedFile]


class Fetch(msgspec.Struct, frozen=True):
    """Bytes of files of another site, by way of the tracker."""

    site: str
    files: list[WantedFile]
