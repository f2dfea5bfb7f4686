"""The tracker in its own process: every operation bound to the verb that carries it out.

Owns: the table operation -> verb, the check of rights before each call, first start, the reclaim of expired leases.
Must not know: HTTP, the engine behind the index.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from everysite.decide import query_text
from everysite.decide.query import Predicate
from everysite.errors import EverysiteError
from everysite.index.contract import Index, Transaction
from everysite.model.element import Element
from everysite.tracker import agent_messages
from everysite.tracker import contract as ops
from everysite.tracker.access import Access
from everysite.tracker.agent_messages import Wanted
from everysite.tracker.announce import AnnounceVerb
from everysite.tracker.audit import AuditVerbs
from everysite.tracker.care import CareVerbs
from everysite.tracker.core import REVISION, Core, Limits, allow, serves, wall_clock
from everysite.tracker.elements import ElementVerbs
from everysite.tracker.events import Events
from everysite.tracker.feed import Feed
from everysite.tracker.graph import GraphVerbs
from everysite.tracker.indexes import IndexVerbs
from everysite.tracker.mail import Mail
from everysite.tracker.operation import Caller, Operation, Tracker
from everysite.tracker.others import INDEXES, TOKENS, Others
from everysite.tracker.questions import QuestionVerbs
from everysite.tracker.recall import RecallVerb
from everysite.tracker.relay import Broker
from everysite.tracker.search import SearchVerbs
from everysite.tracker.settings import GLOBALS, GLOBALS_KEY
from everysite.tracker.settle import SettleVerb
from everysite.tracker.sight import Sight, sight
from everysite.tracker.sites import HERE, SiteVerbs
from everysite.tracker.standing import StandingVerbs
from everysite.tracker.uploads import UploadVerbs
from everysite.tracker.work import WorkVerbs

R = TypeVar("R")
A = TypeVar("A")
Verb = Callable[[Caller, Any], Awaitable[Any]]

_log = logging.getLogger(__name__)
_RECLAIM_S = 2.0


class Service:
    """Start it, ask it as somebody, stop it."""

    def __init__(
        self,
        index: Index,
        limits: Limits | None = None,
        clock: Callable[[], int] | None = None,
        host: str = "",
        scratch: str = "",
        mail: Mail | None = None,
        home: str = "",
    ) -> None:
        """`clock` answers ms since 1970. `host`: the identity of this machine as agents tell it in their hello.
        `scratch`: a private folder with room for a copy of the index ('': the system's folder for temporary files).
        `home`: tells the homes of processes that share an index apart."""
        self._core = Core(index, limits or Limits(), clock or wall_clock, home=home)
        self._host = host or None
        self._care = CareVerbs(self._core, scratch)
        self.access = Access(self._core, mail)
        self.feed = Feed(index, self.sight, self._query)
        self._work = WorkVerbs(self._core)
        self._indexes = IndexVerbs(self._core)
        self.others = Others(self._core, {TOKENS: self.access.look_again, INDEXES: self._indexes.look_again})
        self._verbs = self._bind()
        self._reclaiming: asyncio.Task[None] | None = None

    @property
    def home(self) -> str:
        """What tells our home apart where several share an index, else ''."""
        return self._core.home if self._core.index.shared else ""

    @property
    def broker(self) -> Broker:
        """Where relayed bytes meet."""
        return self._core.broker

    @property
    def events(self) -> Events:
        """Where requests tell what they did."""
        return self._core.events

    def _query(self, text: str) -> Predicate:
        return query_text.parse(text, self._core.limits.lone_words, self._core.clock())

    def sight(self, caller: Caller) -> Sight:
        """What a caller sees."""
        return sight(caller, self._core.limits)

    async def start(self) -> None:
        """Global parameters and the tracker's id exist after the first start; expired work is given back from now on."""
        self._core.tracker_id = await self._core.index.run(lambda tx: _first_start(tx, self._core.clock()))
        await self._core.index.run(lambda tx: tx.set_meta(HERE, self._host))
        self._core.revision = int(await self._core.index.read(lambda tx: tx.meta(REVISION)) or 0)
        await self.access.start()
        await self.feed.start()
        self.others.start()
        self._reclaiming = asyncio.create_task(self._reclaim(), name="reclaim")

    async def stop(self) -> None:
        """Every waiting call returns; the index stays open for its owner to close."""
        self._core.wakes.close()
        self.feed.close()
        await self._core.broker.close()
        if self._reclaiming is not None:
            self._reclaiming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reclaiming
        await self.others.stop()
        await self.access.close()

    def as_caller(self, caller: Caller) -> Tracker:
        """The tracker as this caller may use it."""
        return _For(self, caller)

    async def authenticate(self, token: str, address: str) -> Caller | None:
        """Who a token stands for; None when it is none, or no longer one."""
        return await self.access.authenticate(token, address)

    def nobody(self, address: str) -> Caller:
        """Who asks without a token."""
        return self.access.nobody(address)

    def admit(self, caller: Caller, operation: Operation[Any, Any]) -> None:
        """Raise Forbidden or SignInNeeded when the caller may not do this at all, before anything else is looked at."""
        allow(caller, operation, self._core.limits.author_mode)

    async def call(self, caller: Caller, operation: Operation[R, A], request: R) -> A:
        """Carry an operation out for a caller. Raises Forbidden or SignInNeeded, and what the verb raises."""
        self.admit(caller, operation)
        answer: A = await self._verbs[operation.name](caller, request)
        return answer

    async def _serve(self, caller: Caller, asked: agent_messages.Serve) -> Wanted:
        serves(caller, asked.site)
        self._core.last_call[asked.site] = self._core.clock()
        return await self._core.broker.next(asked.site, min(asked.wait_ms, 30_000))

    async def _reclaim(self) -> None:
        while True:
            await asyncio.sleep(_RECLAIM_S)
            try:
                if await self.others.in_office():
                    await self._work.reclaim()
                await self.access.flush()
            except EverysiteError as err:
                _log.warning("expired leases could not be reclaimed: %s", err)

    def _bind(self) -> dict[str, Verb]:
        core, access, work = self._core, self.access, self._work
        sites = SiteVerbs(core, access)
        elements, questions = ElementVerbs(core, sites, access, access.users), QuestionVerbs(core)
        graphs, indexes = GraphVerbs(core), self._indexes
        search = SearchVerbs(core, indexes)
        standing = StandingVerbs(core, search)
        verbs: dict[Operation[Any, Any], Verb] = {
            ops.HEALTH: questions.health,
            ops.SIGN_IN: access.sign_in,
            ops.SIGN_OUT: access.sign_out,
            ops.VERIFY: access.verify,
            ops.USERS: access.accounts.users,
            ops.PUT_USER: access.accounts.put_user,
            ops.REMOVE_USER: access.accounts.remove_user,
            ops.CHANGE_PASSWORD: access.accounts.change_password,
            ops.LOST_PASSWORD: access.accounts.lost_password,
            ops.RESET_PASSWORD: access.accounts.reset_password,
            ops.TOKENS: access.grants.tokens,
            ops.CREATE_TOKEN: access.grants.create_token,
            ops.MAKE_TOKEN: access.grants.make_token,
            ops.REMOVE_TOKEN: access.grants.remove_token,
            ops.AUDIT: AuditVerbs(core).audit,
            ops.PUBLISH: elements.publish,
            ops.READ: elements.read,
            ops.CREATE: elements.create,
            ops.UPDATE: elements.update,
            ops.UPSERT: elements.upsert,
            ops.DELETE: elements.delete,
            ops.LOCK: elements.lock,
            ops.UNLOCK: elements.unlock,
            ops.COMMENT: elements.comment,
            ops.VERSION: elements.version,
            ops.SEARCH: search.search,
            ops.SEARCH_ONE: search.search_one,
            ops.SEARCH_MONGO: search.search_mongo,
            ops.GRAPH: graphs.graph,
            ops.GRAPH_BACKWARDS: graphs.backwards,
            ops.GRAPH_FORWARDS: graphs.forwards,
            ops.GRAPH_DELETE: elements.graph_delete,
            ops.CHANGED: search.changed_since,
            ops.INDEXES: indexes.indexes,
            ops.ADD_INDEX: indexes.add_index,
            ops.REMOVE_INDEX: indexes.remove_index,
            ops.AT_SITE: standing.at_site,
            ops.LISTUP: standing.list_between,
            ops.LISTDOWN: standing.list_between,
            ops.SITES: sites.sites,
            ops.SITE: sites.site,
            ops.PUT_SITE: sites.put_site,
            ops.REMOVE_SITE: sites.remove_site,
            ops.JOIN_TOKEN: sites.join_token,
            ops.STATUS: standing.status,
            ops.WHY: questions.why,
            ops.LOG: questions.log,
            ops.CHANGES: self.feed.changes,
            ops.MY_SITES: sites.my_sites,
            ops.HELLO: sites.hello,
            ops.HOLD: work.hold,
            ops.LET_GO: work.let_go,
            ops.RECALL: RecallVerb(core).recall,
            ops.ANNOUNCE: AnnounceVerb(core).announce,
            ops.CLAIM: work.claim,
            ops.CHECK: work.check,
            ops.SETTLE: SettleVerb(core).settle,
            ops.REPORT: sites.report,
            ops.SERVE: self._serve,
            **UploadVerbs(core).bound(),
            **self._care.bound(),
        }
        return {operation.name: verb for operation, verb in verbs.items()}


class _For:
    """The service, seen by one caller."""

    def __init__(self, service: Service, caller: Caller) -> None:
        self._service = service
        self._caller = caller

    async def call(self, operation: Operation[R, A], request: R) -> A:
        return await self._service.call(self._caller, operation, request)


def _first_start(tx: Transaction, now: int) -> str:
    known = tx.meta("tracker")
    if known is not None:
        return known
    made = secrets.token_hex(8)
    tx.set_meta("tracker", made)
    tx.elements.put([Element(GLOBALS_KEY, {**GLOBALS, "author": "support", "time": now}, tx.stamp(now))])
    return made
