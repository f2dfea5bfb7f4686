"""The verbs as typed operations: one table feeds routes, OpenAPI, the client and the CLI.

Owns: what every operation takes and answers, who may call it, and where HTTP finds it.
Must not know: how a verb is carried out, HTTP libraries, SQL.

`await tracker.call(PUBLISH, Publish(...))` is the same call in the tracker's own process and over HTTP
(`everysite.client`). Operations raise the classes of `errors` on both ways.
"""

from __future__ import annotations

from typing import Any, TypeVar

from everysite.tracker.access_messages import AuditAsked, AuditLog, LostPassword, NewPassword, ResetPassword
from everysite.tracker.agent_messages import (
    Announce,
    Announced,
    Check,
    Checked,
    Claim,
    Claimed,
    Hello,
    Hold,
    Holds,
    LetGo,
    MySites,
    Recall,
    Recalled,
    Report,
    Revision,
    Serve,
    Settle,
    Settled,
    Wanted,
    Welcome,
)
from everysite.tracker.care_messages import Copied, Verdict
from everysite.tracker.feed_messages import Changes, ChangesAsked
from everysite.tracker.messages import (
    Health,
    Ids,
    IssuedToken,
    Items,
    JoinToken,
    Log,
    LogAsked,
    Named,
    NewToken,
    NewVersion,
    Nothing,
    Published,
    Query,
    SignedIn,
    SignIn,
    SiteChange,
    SiteInfo,
    Sites,
    Status,
    TokenId,
    Tokens,
    Upserted,
    User,
    Users,
    Why,
    WhyAsked,
)
from everysite.tracker.operation import Operation, Right, Shape
from everysite.tracker.search_messages import (
    Between,
    ChangedAsked,
    Graph,
    GraphAsked,
    Indexes,
    IndexKey,
    MongoFound,
    MongoQuery,
    One,
    Page,
    Reached,
    StateAsked,
)

R = TypeVar("R")
A = TypeVar("A")


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
    own: bool = False,
) -> Operation[R, A]:
    method, path = route.split()
    assert method in ("GET", "POST", "PUT", "DELETE")
    return Operation(name, method, path, request, answer, right, summary, shape, hot, status, own)  # type: ignore[arg-type]


HEALTH = _op("health", "GET /api/health", Nothing, Health, "anyone", "Whether requests are served.", hot=True)
SIGN_IN = _op(
    "signIn", "POST /api/signIn", SignIn, SignedIn, "anyone", "A token for a user name and password.", "signIn"
)
SIGN_OUT = _op("signOut", "POST /api/signOut", Nothing, Nothing, "guest", "Revoke the token of this request.")
VERIFY = _op("verify", "GET /api/verify", Nothing, dict[str, Any], "guest", "The element of the signed-in user.")
USERS = _op("users", "GET /api/users", Nothing, Users, "admin", "All users.")
PUT_USER = _op("putUser", "PUT /api/users/{username}", User, dict[str, Any], "admin", "Create or change a user.")
REMOVE_USER = _op(
    "removeUser", "DELETE /api/users/{name}", Named, Nothing, "admin", "Remove a user and all their tokens."
)
TOKENS = _op("tokens", "GET /api/tokens", Nothing, Tokens, "user", "One's own tokens; all of them for an admin.")
CREATE_TOKEN = _op("addToken", "POST /api/tokens", NewToken, IssuedToken, "user", "A token for a program.")
MAKE_TOKEN = _op("createToken", "POST /api/createToken", NewToken, str, "guest", "The same: the token alone.")
REMOVE_TOKEN = _op("removeToken", "DELETE /api/tokens/{id}", TokenId, Nothing, "user", "Revoke a token.")
CHANGE_PASSWORD = _op(
    "changePassword", "POST /api/changePassword", NewPassword, Nothing, "guest", "A new password; all tokens end."
)
LOST_PASSWORD = _op(
    "lostPassword", "GET /api/lostPassword/{email}", LostPassword, Nothing, "anyone", "A way to a new one, by mail."
)
RESET_PASSWORD = _op(
    "resetPassword", "POST /api/resetPassword/{token}", ResetPassword, Nothing, "anyone", "A new password, once."
)
AUDIT = _op("audit", "GET /api/audit", AuditAsked, AuditLog, "admin", "Who changed settings, users, destinations.")

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
UPDATE = _op("update", "PUT /api/update", Items, Items, "editor", "Change keys of elements.", "items", True, own=True)
DELETE = _op("delete", "DELETE /api/delete", Ids, Ids, "editor", "Delete elements; the files stay.", "ids", own=True)
CREATE = _op("create", "POST /api/create", Items, Items, "user", "New elements.", "items", True, 201)
UPSERT = _op(
    "upsert",
    "POST /api/upsert",
    Items,
    Upserted,
    "editor",
    "Make elements that are missing, update those that are there.",
    "upsert",
    True,
    own=True,
)
LOCK = _op("lock", "PUT /api/lock", Ids, Items, "user", "Lock elements in one's own name, all or none.", "ids")
UNLOCK = _op("unlock", "PUT /api/unlock", Ids, Items, "user", "Unlock elements, all or none.", "ids")
COMMENT = _op("comment", "POST /api/comment", Items, Items, "user", "Comment on elements.", "comment", status=201)
VERSION = _op(
    "version",
    "POST /api/version/{id}",
    NewVersion,
    dict[str, Any],
    "user",
    "A new state of an element; the old one is kept as a child.",
    "version",
    status=201,
)
SEARCH = _op(
    "search", "GET /api/search/{query}", Query, Ids, "guest", "Identifiers of elements a query matches.", "query", True
)
SEARCH_ONE = _op(
    "search_one",
    "GET /api/search_one/{query}",
    Query,
    One,
    "guest",
    "The first element a query matches.",
    "query",
    True,
)
SEARCH_MONGO = _op(
    "search_mongo", "POST /api/search_mongo", MongoQuery, MongoFound, "guest", "Identifiers, by MongoDB's language."
)
GRAPH = _op(
    "graph",
    "POST /api/graph/{depth}",
    GraphAsked,
    Graph,
    "guest",
    "Elements and the sources of links to them.",
    "graph",
)
GRAPH_BACKWARDS = _op(
    "graph_backwards",
    "POST /api/graph_backwards/{depth}",
    GraphAsked,
    Reached,
    "guest",
    "Identifiers along links to their sources.",
    "graph",
)
GRAPH_FORWARDS = _op(
    "graph_forwards",
    "POST /api/graph_forwards/{depth}",
    GraphAsked,
    Reached,
    "guest",
    "Identifiers along links to their targets.",
    "graph",
)
GRAPH_DELETE = _op(
    "graphDelete",
    "DELETE /api/graphDelete",
    Ids,
    Ids,
    "editor",
    "Delete elements and all links of theirs.",
    "ids",
    own=True,
)
CHANGED = _op("changed", "GET /api/changed", ChangedAsked, Page, "guest", "Elements that changed since a moment.")
INDEXES = _op("indexes", "GET /api/indexes", Nothing, Indexes, "guest", "The keys that are found by index.")
ADD_INDEX = _op("addIndex", "PUT /api/indexes/{key}", IndexKey, Indexes, "admin", "Find elements by a key at once.")
REMOVE_INDEX = _op("removeIndex", "DELETE /api/indexes/{key}", IndexKey, Indexes, "admin", "Remove an added index.")

SITES = _op("sites", "GET /api/sites", Nothing, Sites, "guest", "All sites.")
SITE = _op("site", "GET /api/sites/{name}", Named, SiteInfo, "guest", "One site.")
PUT_SITE = _op("putSite", "PUT /api/sites/{name}", SiteChange, SiteInfo, "admin", "Add a site, or configure it live.")
REMOVE_SITE = _op("removeSite", "DELETE /api/sites/{name}", Named, Nothing, "admin", "Forget a site; its files stay.")
JOIN_TOKEN = _op(
    "joinToken", "POST /api/sites/{name}/token", Named, JoinToken, "admin", "A token to join as this site."
)
AT_SITE = _op(
    "atSite", "GET /api/sites/{name}/{state}", StateAsked, Page, "guest", "Files by how they stand at a site."
)
LISTUP = _op(
    "listup", "GET /api/listup/{source}/{target}/{n}", Between, Items, "guest", "What a site is to send next.", "list"
)
LISTDOWN = _op(
    "listdown",
    "GET /api/listdown/{source}/{target}/{n}",
    Between,
    Items,
    "guest",
    "What a site is to fetch next.",
    "list",
)
STATUS = _op("status", "GET /api/status", Nothing, Status, "guest", "How every site stands.")
WHY = _op("why", "GET /api/why", WhyAsked, Why, "guest", "Why a file is or is not on a site, in one sentence.")
CHANGES = _op("changes", "GET /api/changes", ChangesAsked, Changes, "guest", "What changed after a cursor, in order.")
INTEGRITY = _op("integrity", "GET /api/integrity", Nothing, Verdict, "admin", "Whether everything kept is sound.")
LOG = _op("log", "GET /api/log", LogAsked, Log, "guest", "What happened to a file, newest first.")

MY_SITES = _op("mySites", "GET /api/agent/sites", Revision, MySites, "agent", "The sites of this machine.")
HELLO = _op("hello", "POST /api/agent/hello", Hello, Welcome, "agent", "An agent starts.")
HOLD = _op("hold", "POST /api/agent/hold", Hold, Holds, "agent", "Take or keep a whole mapping.")
RECALL = _op("recall", "POST /api/agent/recall", Recall, Recalled, "agent", "What is believed to be at a site.")
LET_GO = _op("letGo", "POST /api/agent/let-go", LetGo, Nothing, "agent", "Give a mapping back.")
ANNOUNCE = _op("announce", "POST /api/agent/announce", Announce, Announced, "agent", "What a scan found.", hot=True)
CLAIM = _op("claim", "POST /api/agent/claim", Claim, Claimed, "agent", "Take work.", hot=True)
CHECK = _op("check", "POST /api/agent/check", Check, Checked, "agent", "Show a lease before the last rename.", hot=True)
SETTLE = _op("settle", "POST /api/agent/settle", Settle, Settled, "agent", "Say how work ended.", hot=True)
REPORT = _op("report", "POST /api/agent/report", Report, Nothing, "agent", "Status of a site.")
SERVE = _op("serve", "POST /api/agent/relay/serve", Serve, Wanted, "agent", "Wait for a request for this site's bytes.")

OPERATIONS: tuple[Operation[Any, Any], ...] = tuple(v for v in list(globals().values()) if isinstance(v, Operation))

BACKUP = _op("backup", "GET /api/backup", Nothing, Copied, "admin", "A copy of everything, as a file.")
"""Not in the table: its answer is a file, which a door of its own sends and removes."""
FETCH_PATH = "/api/agent/relay/fetch"
"""POST a Fetch here; the answer streams the frames of transfer/frames.py as the source agent sends them."""
SEND_PATH = "/api/agent/relay/{id}"
"""PUT the frames of the files a Wanted asked for here."""
