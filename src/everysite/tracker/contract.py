"""The verbs as typed operations: one table feeds routes, OpenAPI, the client and the CLI.

Owns: what every operation takes and answers, who may call it, and where HTTP finds it.
Must not know: how a verb is carried out, HTTP libraries, SQL.

`await tracker.call(PUBLISH, Publish(...))` is the same call in the tracker's own process and over HTTP
(`everysite.client`). Operations raise the classes of `errors` on both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

from everysite.model.element import Body, Content
from everysite.model.replica import State
from everysite.model.site import Direction, Globals, Mapping
from everysite.model.task import Kind

R = TypeVar("R")
A = TypeVar("A")

UserClass = Literal["guest", "user", "editor", "admin", "agent"]
Right = Literal["anyone", "guest", "user", "editor", "admin", "agent"]
"""The least class an operation needs. `anyone` needs no sign-in; `agent` is for agent tokens of that site (and admins)."""

Shape = Literal["plain", "items", "ids", "query"]
"""How the HTTP face reads a request: `plain` is the JSON object of the request type; the other three are the forms of
existing tracker clients (tracker-api 2): one object or an array, one identifier or an array, a text in the path."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks. `site`: what an agent token is for ('*' every site of this machine). `token`: its row number, 0 none."""

    username: str
    rank: UserClass
    site: str = ""
    address: str = ""
    token: int = 0


@dataclass(frozen=True, slots=True)
class Operation(Generic[R, A]):
    """One verb. `path` is below the face's root; `hot` ones get a raw ASGI handler; `limit` requests are batches."""

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    request: type[R]
    answer: type[A]
    right: Right
    summary: str
    shape: Shape = "plain"
    hot: bool = False
    status: int = 200


class Tracker(Protocol):
    """Somebody who carries operations out for one caller: the tracker itself, or a client of it."""

    async def call(self, operation: Operation[R, A], request: R) -> A: ...


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


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user to create or change; what is None stays. A new password ends all of that user's tokens."""

    username: str
    rank: Literal["guest", "user", "editor", "admin"] | None = None
    password: str | None = None
    email: str | None = None
    fullname: str | None = None
    disable: bool | None = None


class Users(msgspec.Struct, frozen=True):
    users: list[Body]


class Named(msgspec.Struct, frozen=True):
    """A user, a site or a token by name."""

    name: str


class NewToken(msgspec.Struct, frozen=True):
    """A token for oneself (or, as admin, for `username`), with a label to recognise it by."""

    label: str = ""
    username: str | None = None
    expiresIn: str | int | float | None = None  # noqa: N815


class IssuedToken(msgspec.Struct, frozen=True):
    """The only time the token is shown."""

    id: int
    token: str


class TokenInfo(msgspec.Struct, frozen=True):
    """A token without its secret. Times in ms."""

    id: int
    username: str
    kind: str
    site: str
    label: str
    created: int
    used: int
    until: int


class Tokens(msgspec.Struct, frozen=True):
    tokens: list[TokenInfo]


class TokenId(msgspec.Struct, frozen=True):
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


class Query(msgspec.Struct, frozen=True):
    """`key:value` terms, all of which must hold; a lone word is looked for in the identifier; `*` is everything."""

    query: str
    limit: int = 10_000


# --- sites ------------------------------------------------------------------------------------------------------


class SiteChange(msgspec.Struct, frozen=True):
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


# --- agents -----------------------------------------------------------------------------------------------------


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
    """`until` ms since 1970 by the tracker's clock, `valid_ms` from now. `lost`: leases that are no longer the caller's."""

    epoch: int
    until: int
    valid_ms: int
    lost: list[int] = []


class LetGo(msgspec.Struct, frozen=True):
    """Give a mapping back; its leases end and their tasks wait for the next holder."""

    mapping: int
    epoch: int


class SeenItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a scan found under a path. `content` None: it is gone. `was`: it was there under that path before (a rename;
    both paths end with '/' when a whole folder was renamed)."""

    key: str
    content: Content | None = None
    was: str = ""
    package: bool = False


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


def _op(
    name: str,
    route: str,
    request: type[R],
    answer: type[A],
    right: Right,
    summary: str,
    shape: Shape = "plain",
    hot: bool = False,
    status: int = 200,
) -> Operation[R, A]:
    method, path = route.split()
    assert method in ("GET", "POST", "PUT", "DELETE")
    return Operation(name, method, path, request, answer, right, summary, shape, hot, status)  # type: ignore[arg-type]


HEALTH = _op("health", "GET /api/health", Nothing, Health, "anyone", "Whether requests are served.", hot=True)
SIGN_IN = _op("signIn", "POST /api/signIn", SignIn, SignedIn, "anyone", "A token for a user name and password.")
SIGN_OUT = _op("signOut", "POST /api/signOut", Nothing, Nothing, "guest", "Revoke the token of this request.")
VERIFY = _op("verify", "GET /api/verify", Nothing, dict[str, Any], "guest", "The element of the signed-in user.")
USERS = _op("users", "GET /api/users", Nothing, Users, "admin", "All users.")
PUT_USER = _op("putUser", "PUT /api/users/{username}", User, dict[str, Any], "admin", "Create or change a user.")
REMOVE_USER = _op(
    "removeUser", "DELETE /api/users/{name}", Named, Nothing, "admin", "Remove a user and all their tokens."
)
TOKENS = _op("tokens", "GET /api/tokens", Nothing, Tokens, "user", "One's own tokens; all of them for an admin.")
CREATE_TOKEN = _op("createToken", "POST /api/tokens", NewToken, IssuedToken, "user", "A token for a program.")
REMOVE_TOKEN = _op("removeToken", "DELETE /api/tokens/{id}", TokenId, Nothing, "user", "Revoke a token.")

PUBLISH = _op(
    "publish",
    "POST /api/publish",
    Items,
    Published,
    "user",
    "Announce new files by path and origin.",
    "items",
    True,
    201,
)
READ = _op("read", "POST /api/read", Ids, Items, "guest", "Elements by identifier.", "ids", True)
UPDATE = _op("update", "PUT /api/update", Items, Items, "editor", "Change keys of elements.", "items", True)
DELETE = _op("delete", "DELETE /api/delete", Ids, Ids, "editor", "Delete elements; the files stay.", "ids")
SEARCH = _op(
    "search", "GET /api/search/{query}", Query, Ids, "guest", "Identifiers of elements a query matches.", "query", True
)

SITES = _op("sites", "GET /api/sites", Nothing, Sites, "guest", "All sites.")
SITE = _op("site", "GET /api/sites/{name}", Named, SiteInfo, "guest", "One site.")
PUT_SITE = _op("putSite", "PUT /api/sites/{name}", SiteChange, SiteInfo, "admin", "Add a site, or configure it live.")
REMOVE_SITE = _op("removeSite", "DELETE /api/sites/{name}", Named, Nothing, "admin", "Forget a site; its files stay.")
JOIN_TOKEN = _op(
    "joinToken", "POST /api/sites/{name}/token", Named, JoinToken, "admin", "A token to join as this site."
)
STATUS = _op("status", "GET /api/status", Nothing, Status, "guest", "How every site stands.")
WHY = _op("why", "GET /api/why", WhyAsked, Why, "guest", "Why a file is or is not on a site, in one sentence.")
LOG = _op("log", "GET /api/log", LogAsked, Log, "guest", "What happened to a file, newest first.")

MY_SITES = _op("mySites", "GET /api/agent/sites", Revision, MySites, "agent", "The sites of this machine.")
HELLO = _op("hello", "POST /api/agent/hello", Hello, Welcome, "agent", "An agent starts.")
HOLD = _op("hold", "POST /api/agent/hold", Hold, Holds, "agent", "Take or keep a whole mapping.")
LET_GO = _op("letGo", "POST /api/agent/let-go", LetGo, Nothing, "agent", "Give a mapping back.")
ANNOUNCE = _op("announce", "POST /api/agent/announce", Announce, Announced, "agent", "What a scan found.", hot=True)
CLAIM = _op("claim", "POST /api/agent/claim", Claim, Claimed, "agent", "Take work.", hot=True)
CHECK = _op("check", "POST /api/agent/check", Check, Checked, "agent", "Show a lease before the last rename.", hot=True)
SETTLE = _op("settle", "POST /api/agent/settle", Settle, Settled, "agent", "Say how work ended.", hot=True)
REPORT = _op("report", "POST /api/agent/report", Report, Nothing, "agent", "Status of a site.")
SERVE = _op("serve", "POST /api/agent/relay/serve", Serve, Wanted, "agent", "Wait for a request for this site's bytes.")

OPERATIONS: tuple[Operation[Any, Any], ...] = tuple(v for v in list(globals().values()) if isinstance(v, Operation))

FETCH_PATH = "/api/agent/relay/fetch"
"""POST a Fetch here; the answer streams the frames of transfer/frames.py as the source agent sends them."""
SEND_PATH = "/api/agent/relay/{id}"
"""PUT the frames of the files a Wanted asked for here."""


class Fetch(msgspec.Struct, frozen=True):
    """Bytes of files of another site, by way of the tracker."""

    site: str
    files: list[WantedFile]
