"""What an operation is: a verb with typed input and answer, who may call it, and where HTTP finds it.

Owns: Operation, Caller, the classes of users and rights. Must not know: any single operation.

`await tracker.call(PUBLISH, Publish(...))` is the same call in the tracker's own process and over HTTP
(`everysite.client`). Operations raise the classes of `errors` on both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

R = TypeVar("R")
A = TypeVar("A")

UserClass = Literal["guest", "user", "editor", "admin", "agent"]
Right = Literal["anyone", "guest", "user", "editor", "admin", "agent"]
"""The least class an operation needs. `anyone` needs no sign-in; `agent` is for agent tokens of that site (and admins)."""

Shape = Literal["plain", "items", "ids", "query", "graph", "list", "upsert", "comment", "version", "signIn"]
"""How the HTTP face reads a request: `plain` is the JSON object of the request type; the others are the forms of existing
tracker clients (tracker-api 2): one object or an array, one identifier or an array, a text in the path, identifiers below
a depth in the path; `list` is asked as `plain` and answers a bare array. The last four are forms of their own."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks. `site`: what the token is for ('' no limit; '*' every site of this machine). `token`: its row number, 0 none.

    `rank` is never above the user's own class. `scoped`: the token allows less than its user may, by class, `read_only`,
    `site` or `prefix` (a path that ends with '/'; '' no limit). `anonymous`: nobody signed in; a tracker that asks for
    no sign-in takes them as guests, an open one as admins.
    """

    username: str
    rank: UserClass
    site: str = ""
    address: str = ""
    token: int = 0
    prefix: str = ""
    read_only: bool = False
    scoped: bool = False
    anonymous: bool = False

    @property
    def administers(self) -> bool:
        """Whether they may change users, sites and global parameters. A token for a part of the tracker may not."""
        return self.rank == "admin" and not (self.prefix or self.site or self.read_only)


@dataclass(frozen=True, slots=True)
class Operation(Generic[R, A]):
    """One verb. `path` is below the face's root; `hot` ones get a raw ASGI handler; `limit` requests are batches.

    `own`: in author mode class user may do it to what they are an author of, though it needs more otherwise.
    """

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
    own: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes something: a read-only token may not. What guests may do only asks (tracker-api 9)."""
        return self.method != "GET" and self.right not in ("anyone", "guest")


class Tracker(Protocol):
    """Somebody who carries operations out for one caller: the tracker itself, or a client of it."""

    async def call(self, operation: Operation[R, A], request: R) -> A: ...
