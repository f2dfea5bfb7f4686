"""The verbs as typed operations: one table feeds routes, OpenAPI, the client and the CLI.

Owns: what every operation takes and answers, who may call it, and where HTTP finds it.
Must not know: how a verb is carried out, HTTP libraries, SQL.

`await tracker.call(PUBLISH, Publish(...))` is the same call in the tracker's own process and over HTTP
(`everysite.client`). Operations raise the classes of `errors` on both ways.
"""

from __future__ import annotations

from typing import Any, TypeVar

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
    Report,
    Revision,
    Serve,
    Settle,
    Settled,
    Wanted,
    Welcome,
)
from everysite.tracker.feed_messages import Changes, ChangesAsked
from everysite.tracker.care_messages import Verdict
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
    User,
    Users,
    Why,
    WhyAsked,
)
from everysite.tracker.operation import Operation, Right, Shape

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
UPDATE = _op("update", "PUT /api/update", Items, Items, "editor", "Change keys of elements.", "items", True, own=True)
DELETE = _op("delete", "DELETE /api/delete", Ids, Ids, "editor", "Delete elements; the files stay.", "ids", own=True)
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
CHANGES = _op("changes", "GET /api/changes", ChangesAsked, Changes, "guest", "What changed after a cursor, in order.")
INTEGRITY = _op("integrity", "GET /api/integrity", Nothing, Verdict, "admin", "Whether everything kept is sound.")
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
