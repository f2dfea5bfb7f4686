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
