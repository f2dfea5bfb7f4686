"""What the verbs for people take and answer.

Owns: the shapes of requests and answers about access, elements and sites. Times are ms since 1970 unless named s.
Must not know: how a verb is carried out, or where HTTP finds it (`contract.py`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from everysite.model.element import Body
from everysite.model.replica import State
from everysite.model.site import Direction, Mapping


class Nothing(msgspec.Struct, frozen=True):
    """No input, or nothing to say."""


# --- health and access ------------------------------------------------------------------------------------------


class Health(msgspec.Struct, frozen=True):
    """`status` is "ok" once requests are served. `id` is this tracker's own, `time` its clock in ms."""

    status: str
    version: str
    id: str
    time: int


class SignIn(msgspec.Struct, frozen=True):
    """`username` bare, with '@', or an e-mail address. `expiresIn` like 2h, 7d, 30m, a number of ms, 0 = never."""

    username: str
    password: str
    expiresIn: str | int | float | None = None  # noqa: N815  the spelling of existing clients


class SignedIn(msgspec.Struct, frozen=True, rename={"id": "_id"}):
    """`user` is the user's element; `token` goes into the Authorization header. Times in s since 1970."""

    id: str
    user: Body
    token: str
    username: str
    token_iat: int
    token_exp: int


class User(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename={"rank": "class"}):
    """A user to create or change; what is None stays. A new password ends all of that user's tokens."""

    username: str
    rank: Literal["guest", "user", "editor", "admin"] | None = None
    password: str | None = None
    email: str | None = None
    fullname: str | None = None
    disable: bool | None = None


class Users(msgspec.Struct, frozen=True):
    users: list[Body]


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user, a site or a token by name."""

    name: str


class NewToken(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"rank": "class", "read_only": "readOnly"}
):
    """A token for oneself (or, as admin, for `username`), with a label to recognise it by.

    It may be narrower than its user: of a lower class, read-only, for one site, for what lies below a prefix.
    """

    label: str = ""
    username: str | None = None
    expiresIn: str | int | float | None = None  # noqa: N815
    rank: str = ""
    read_only: bool = False
    site: str = ""
    prefix: str = ""


class IssuedToken(msgspec.Struct, frozen=True):
    """The only time the token is shown."""

    id: int
    token: str


class TokenInfo(msgspec.Struct, frozen=True, rename={"rank": "class", "read_only": "readOnly"}):
    """A token without its secret, with what it is narrowed to. Times in ms."""

    id: int
    username: str
    kind: str
    site: str
    label: str
    created: int
    used: int
    until: int
    rank: str = ""
    read_only: bool = False
    prefix: str = ""


class Tokens(msgspec.Struct, frozen=True):
    tokens: list[TokenInfo]


class TokenId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int


# --- elements ---------------------------------------------------------------------------------------------------


class Items(msgspec.Struct, frozen=True):
    """Elements to write, or as they are after the call (None: missing or refused, in its place)."""

    items: list[Body | None]


class Ids(msgspec.Struct, frozen=True):
    """Identifiers asked for, or acted upon (None: missing, in its place)."""

    ids: list[str | None]


class Published(msgspec.Struct, frozen=True):
    """The new elements (None: already tracked) and the child of each new one that keeps the publish."""

    items: list[Body | None]
    children: list[Body]


class Upserted(msgspec.Struct, frozen=True):
    """The elements that were made, then those that were there and were updated, each in the order they were sent."""

    created: list[Body]
    updated: list[Body]


class NewVersion(msgspec.Struct, frozen=True):
    """The element `id` gets these keys (`file` among them) instead of its own; its old state is kept as a child."""

    id: str
    keys: Body


class Query(msgspec.Struct, frozen=True):
    """`key:value` terms, all of which must hold (docs/queries.md); `*` is everything. `limit` 0: all that match."""

    query: str
    limit: int = 0


# --- sites ------------------------------------------------------------------------------------------------------


class SiteChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A site to add (`create`) or to configure live. None leaves a value as it is; `keys` are keys of its element
    (decisions B 2; null deletes one). `url` like `file:///data/paris/`; empty: the folder its agent joins with."""

    name: str
    create: bool = False
    url: str | None = None
    prefix: str | None = None
    direction: Direction | None = None
    paused: bool | None = None
    keys: Body = {}


class SiteInfo(msgspec.Struct, frozen=True):
    """A site as it is set and as it stands. `agent` "on", "off" or "never"; `seen` ms of its last call."""

    name: str
    paused: bool
    agent: str
    seen: int
    mappings: list[Mapping]
    element: Body


class Sites(msgspec.Struct, frozen=True):
    sites: list[SiteInfo]


class JoinToken(msgspec.Struct, frozen=True):
    """What `everysite join` needs: an agent token for one site. Shown once."""

    site: str
    token: str


class SiteStatus(msgspec.Struct, frozen=True):
    """`files`/`bytes` current there; `waiting*` still to come; `running` claimed now; `rate` bytes/s lately."""

    name: str
    paused: bool
    agent: str
    files: int
    bytes: int
    outdated: int
    failed: int
    conflicts: int
    waiting: int
    waiting_bytes: int
    running: int
    failing: int
    last_scan: int = 0
    problem: str = ""


class Status(msgspec.Struct, frozen=True):
    sites: list[SiteStatus]
    elements: int
    version: str


class WhyAsked(msgspec.Struct, frozen=True):
    path: str
    site: str


class Why(msgspec.Struct, frozen=True):
    """One sentence, and the state for programs."""

    sentence: str
    state: State | Literal["origin", "not wanted", "unknown"]


class LogAsked(msgspec.Struct, frozen=True):
    path: str
    limit: int = 100


class LogEntry(msgspec.Struct, frozen=True):
    """`at` ms since 1970."""

    at: int
    what: str
    site: str
    who: str
    text: str


class Log(msgspec.Struct, frozen=True):
    """Newest first."""

    entries: list[LogEntry]
