"""A tracker in a dict: the operations the doors' tests need, with the real rule of rights and the real relay.

Owns: Stub. Must not know: HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from everysite.errors import BadRequest, NotFound, SignInNeeded
from everysite.model.path import check_id
from everysite.tracker import agent_messages, messages
from everysite.tracker.core import Limits, allow
from everysite.tracker.events import Events
from everysite.tracker.operation import Caller, Operation
from everysite.tracker.relay import Broker
from everysite.tracker.sight import Sight, sight

R = TypeVar("R")
A = TypeVar("A")

TOKENS = {
    "t-admin": Caller("admin", "admin", token=1),
    "t-user": Caller("ada", "user", token=2),
    "t-guest": Caller("gus", "guest", token=3),
    "t-paris": Caller("agent:paris", "agent", "paris", token=4),
    "t-rome": Caller("agent:rome", "agent", "rome", token=5),
}


class Stub:
    """Elements in a dict."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.events = Events()
        self.reset()

    def reset(self) -> None:
        """As at first, with the same relay."""
        self.elements: dict[str, dict[str, Any]] = {}
        self.asked: list[Any] = []
        self.callers: list[Caller] = []
        self.polls = 0
        self.fault: Callable[[], None] | None = None

    async def authenticate(self, token: str, address: str) -> Caller | None:
        found = TOKENS.get(token)
        return Caller(found.username, found.rank, found.site, address, found.token) if found else None

    def nobody(self, address: str) -> Caller:
        return Caller("", "guest", address=address, anonymous=True)

    def admit(self, caller: Caller, operation: Operation[Any, Any]) -> None:
        allow(caller, operation)

    def sight(self, caller: Caller) -> Sight:
        return sight(caller, Limits())

    def as_caller(self, caller: Caller) -> StubTracker:
        return StubTracker(self, caller)


class StubTracker:
    """The stub for one caller."""

    def __init__(self, stub: Stub, caller: Caller) -> None:
        self._stub, self._caller = stub, caller

    async def call(self, operation: Operation[R, A], request: R) -> A:
        allow(self._caller, operation)
        self._stub.asked.append(request)
        self._stub.callers.append(self._caller)
        if self._stub.fault:
            self._stub.fault()
        answer: A = await getattr(self, operation.name)(request)
        return answer

    async def health(self, _: messages.Nothing) -> messages.Health:
        return messages.Health("ok", "1", "stub", 1)

    async def signIn(self, asked: messages.SignIn) -> messages.SignedIn:  # noqa: N802  the operation's name
        if asked.password != "right":
            raise SignInNeeded("wrong user name or password")
        return messages.SignedIn("@" + asked.username, {"_id": "@" + asked.username}, "t-admin", asked.username, 1, 2)

    async def read(self, asked: messages.Ids) -> messages.Items:
        return messages.Items([self._stub.elements.get(key or "") for key in asked.ids])

    async def publish(self, asked: messages.Items) -> messages.Published:
        items: list[Any] = []
        children: list[Any] = []
        for item in asked.items:
            assert item is not None
            for key in item["_id"] if isinstance(item.get("_id"), list) else [item.get("_id")]:
                if not isinstance(key, str):
                    raise BadRequest("_id has to be a path")
                key = check_id(key)
                if key in self._stub.elements:
                    items.append(None)
                    continue
                self._stub.elements[key] = {**item, "_id": key}
                items.append(self._stub.elements[key])
                children.append({**item, "_id": f"child-of-{key}", "#parent": key})
        return messages.Published(items, children)

    async def update(self, asked: messages.Items) -> messages.Items:
        items: list[Any] = []
        for item in asked.items:
            assert item is not None
            keys = item["_id"] if isinstance(item["_id"], list) else [item["_id"]]
            for key in keys:
                old = self._stub.elements.get(key)
                if old is not None:
                    old.update({**item, "_id": key})
                items.append(old)
        return messages.Items(items)

    async def delete(self, asked: messages.Ids) -> messages.Ids:
        return messages.Ids([key if key and self._stub.elements.pop(key, None) else None for key in asked.ids])

    async def search(self, asked: messages.Query) -> messages.Ids:
        found: list[str | None] = [*self._stub.elements]
        return messages.Ids(found[: asked.limit or None])

    async def site(self, asked: messages.Named) -> messages.SiteInfo:
        if asked.name not in ("paris", "rome"):
            raise NotFound(f"there is no site {asked.name!r}")
        return messages.SiteInfo(asked.name, False, "on", 0, [], {})

    async def putSite(self, asked: messages.SiteChange) -> messages.SiteInfo:  # noqa: N802
        return messages.SiteInfo(asked.name, bool(asked.paused), "never", 0, [], dict(asked.keys))

    async def removeToken(self, asked: messages.TokenId) -> messages.Nothing:  # noqa: N802
        return messages.Nothing()

    async def why(self, asked: messages.WhyAsked) -> messages.Why:
        return messages.Why(f"{asked.path} at {asked.site}", "current")

    async def log(self, asked: messages.LogAsked) -> messages.Log:
        return messages.Log([messages.LogEntry(asked.limit, "what", "site", "who", asked.path)])

    async def mySites(self, asked: agent_messages.Revision) -> agent_messages.MySites:  # noqa: N802
        await self._wait(asked.wait_ms)
        return agent_messages.MySites(["paris"], asked.revision)

    async def claim(self, asked: agent_messages.Claim) -> agent_messages.Claimed:
        await self._wait(asked.wait_ms)
        return agent_messages.Claimed(0, 0, [], {}, 1)

    async def _wait(self, wait_ms: int) -> None:
        self._stub.polls += 1
        try:
            await asyncio.sleep(wait_ms / 1000)
        finally:
            self._stub.polls -= 1

    async def announce(self, asked: agent_messages.Announce) -> agent_messages.Announced:
        return agent_messages.Announced({"new": len(asked.seen)})

    async def serve(self, asked: agent_messages.Serve) -> agent_messages.Wanted:
        return await self._stub.broker.next(asked.site, asked.wait_ms)
