"""The calls a project knows, each an operation of the tracker's own table.

Owns: what a program gives a call and what it gets back. Must not know: threads, how a refusal is shown.

Elements go out and come back in the form existing programs know: one object or identifier for one, a list for a list.
Answers whose shape follows what was given are `Any`; all others have a type. Each raises the classes of `errors`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

import msgspec

from everysite.client.connection import Client
from everysite.errors import Refused, SignInNeeded
from everysite.tracker import contract
from everysite.tracker.messages import (
    Health,
    LogAsked,
    LogEntry,
    Named,
    NewToken,
    Nothing,
    SignIn,
    SiteInfo,
    Status,
    Why,
    WhyAsked,
)
from everysite.tracker.operation import Operation
from everysite.tracker.search_messages import Between, ChangedAsked, Page, StateAsked

Element: TypeAlias = dict[str, Any]
Elements: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Names: TypeAlias = str | Sequence[str]
Standing: TypeAlias = Literal["missing", "outdated", "only", "error", "current"]


async def _ask(client: Client, operation: Operation[Any, Any], body: Any, **pieces: Any) -> tuple[int, Any]:
    """Status and answer of an operation, in the form of other people's clients."""
    path = operation.path
    for name, value in pieces.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    data = None if operation.method == "GET" else msgspec.json.encode(body)
    status, answer = await client.ask(operation.method, path, data)
    try:
        return status, msgspec.json.decode(answer)
    except msgspec.DecodeError as err:
        raise Refused(f"{client.url}{path}: the answer is none of a tracker; check the address") from err


# --- signing in -----------------------------------------------------------------------------------------------------


async def sign_in(client: Client, username: str, password: str, expires_in: str | float | None = None) -> bool:
    """True, and the token is used from here on; False for a wrong name or password."""
    signed = await client.call(contract.SIGN_IN, SignIn(username, password, expires_in))
    client.token = signed.token
    return True


async def sign_out(client: Client) -> bool:
    """Revoke the token and forget it."""
    with contextlib.suppress(SignInNeeded):  # it was no good any longer
        await client.call(contract.SIGN_OUT, Nothing())
    client.token = None
    return True


async def verify(client: Client) -> bool:
    """Whether the tracker knows who asks."""
    await client.call(contract.VERIFY, Nothing())
    return True


async def me(client: Client) -> Element:
    """The element of the signed-in user; {} where nobody signs in."""
    return await client.call(contract.VERIFY, Nothing())


async def create_token(client: Client, expires_in: str | float | None = None) -> str:
    """Another token for oneself, for a program."""
    return await client.call(contract.MAKE_TOKEN, NewToken(expiresIn=expires_in))


# --- elements -------------------------------------------------------------------------------------------------------


async def create(client: Client, elements: Elements) -> Any:
    """New elements as they were stored; None in the place of one whose identifier is taken, None when all are."""
    return (await _ask(client, contract.CREATE, elements))[1]


async def read(client: Client, identifiers: Names) -> Any:
    """Elements; None in the place of a missing one, None when all are missing."""
    return (await _ask(client, contract.READ, identifiers))[1]


async def update(client: Client, elements: Elements) -> Any:
    """Elements after the change of these keys (None deletes one); None for what is missing, as `read`."""
    return (await _ask(client, contract.UPDATE, elements))[1]


async def upsert(client: Client, elements: Elements) -> Any:
    """Elements that were made, then those that were changed."""
    return (await _ask(client, contract.UPSERT, elements))[1]


async def delete(client: Client, identifiers: Names) -> Any:
    """The identifiers of what was deleted; None for what is missing, as `read`."""
    return (await _ask(client, contract.DELETE, identifiers))[1]


async def graph_delete(client: Client, identifiers: Names) -> Any:
    """As `delete`, with all links of these elements."""
    return (await _ask(client, contract.GRAPH_DELETE, identifiers))[1]


async def lock(client: Client, identifiers: Names) -> bool:
    """True when all of them are mine now; False when one is somebody else's, or missing."""
    return (await _ask(client, contract.LOCK, identifiers))[0] == 200


async def unlock(client: Client, identifiers: Names) -> bool:
    """True when they were mine and are free now; False when they were not locked, or somebody else's."""
    return (await _ask(client, contract.UNLOCK, identifiers))[0] == 200


async def publish(client: Client, elements: Elements) -> list[Element | None] | None:
    """The new elements (None in the place of one that is tracked already), then their children."""
    found: list[Element | None] = (await _ask(client, contract.PUBLISH, elements))[1]
    return found


async def comment(client: Client, elements: Elements) -> Any:
    """The comment for one parent, a list of them for several; None in the place of a missing parent."""
    return (await _ask(client, contract.COMMENT, elements))[1]


async def version(client: Client, identifier: str, keys: Mapping[str, Any]) -> Element | None:
    """The element with these keys instead of its own; its old state is kept as a child."""
    found: Element = (await _ask(client, contract.VERSION, keys, id=identifier))[1]
    return found


# --- questions ------------------------------------------------------------------------------------------------------


async def search(client: Client, query: str) -> list[str]:
    """Identifiers of what a text query matches, oldest first."""
    found: list[str] = (await _ask(client, contract.SEARCH, None, query=query))[1]
    return found


async def search_one(client: Client, query: str) -> Element | None:
    """The first element a text query matches; None when there is none."""
    found: Element | None = (await _ask(client, contract.SEARCH_ONE, None, query=query))[1]
    return found


async def search_mongo(
    client: Client,
    query: Mapping[str, Any],
    sort: Mapping[str, int] | None = None,
    limit: int = 0,
    skip: int = 0,
) -> Element:
    """`{"count": matches before limit and skip, "ids": [...]}`, by MongoDB's language; 0: no limit."""
    body = {"query": query, "sort": sort or {}, "limit": limit, "skip": skip}
    found: Element = (await _ask(client, contract.SEARCH_MONGO, body))[1]
    return found


async def graph(client: Client, identifiers: Names, depth: int = 0) -> list[Element | None] | None:
    """The elements, the sources of links to them, and so on, then the links; None for a missing one."""
    found: list[Element | None] = (await _ask(client, contract.GRAPH, identifiers, depth=depth))[1]
    return found


async def graph_backwards(client: Client, identifiers: Names, depth: int = 0) -> list[str] | None:
    """Identifiers along links to their sources."""
    found: list[str] = (await _ask(client, contract.GRAPH_BACKWARDS, identifiers, depth=depth))[1]
    return found


async def graph_forwards(client: Client, identifiers: Names, depth: int = 0) -> list[str] | None:
    """Identifiers along links to their targets."""
    found: list[str] = (await _ask(client, contract.GRAPH_FORWARDS, identifiers, depth=depth))[1]
    return found


async def changed(client: Client, since: int, after: str = "", limit: int = 1000) -> Page:
    """Elements whose `time` is later than `since` (ms), a page of them."""
    return await client.call(contract.CHANGED, ChangedAsked(since, after, limit))


# --- sites ----------------------------------------------------------------------------------------------------------


async def health(client: Client) -> Health:
    """Whether the tracker serves requests; needs no sign-in."""
    return await client.call(contract.HEALTH, Nothing())


async def status(client: Client) -> Status:
    """How every site stands."""
    return await client.call(contract.STATUS, Nothing())


async def sites(client: Client) -> list[SiteInfo]:
    """All sites, as they are set and as they stand."""
    return (await client.call(contract.SITES, Nothing())).sites


async def site(client: Client, name: str) -> SiteInfo | None:
    """One site; None when there is none of this name."""
    return await client.call(contract.SITE, Named(name))


async def at_site(client: Client, name: str, state: Standing, after: str = "", limit: int = 1000) -> Page:
    """A page of files by how they stand at a site; "only": the last copy."""
    return await client.call(contract.AT_SITE, StateAsked(name, state, after, limit))


async def listup(client: Client, source: str, target: str, n: int) -> list[Element | None]:
    """The next `n` elements a site is to send to another."""
    return (await client.call(contract.LISTUP, Between(source, target, n))).items


async def listdown(client: Client, source: str, target: str, n: int) -> list[Element | None]:
    """The next `n` elements a site is to fetch from another."""
    return (await client.call(contract.LISTDOWN, Between(source, target, n))).items


async def why(client: Client, path: str, site: str) -> Why:
    """Why a file is or is not on a site, in one sentence."""
    return await client.call(contract.WHY, WhyAsked(path, site))


async def log(client: Client, path: str, limit: int = 100) -> list[LogEntry]:
    """What happened to a file, newest first."""
    return (await client.call(contract.LOG, LogAsked(path, limit))).entries
