"""A tracker as other people's programs see it: `everysite.connect(url)`, and its async twin.

Owns: Project, AsyncProject, which refusals are answers and which are raised.
Must not know: what a call sends.

Every call stands once, in Calls; whose attribute it is decides whether it blocks or is awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, overload

from everysite.client import calls
from everysite.client.background import Background
from everysite.client.connection import Client
from everysite.client.following import Change, Feed
from everysite.errors import Conflict, EverysiteError, NotFound, Refused, SignInNeeded
from everysite.tracker.operation import Operation

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")
Work: TypeAlias = Coroutine[Any, Any, T]
_Refusals = tuple[type[EverysiteError], ...]
_ABSENT: _Refusals = (NotFound, Conflict)


class Call(Generic[P, T]):
    """One call. A refusal that is one of `soft` is `otherwise` instead, and kept as the project's `refusal`."""

    def __init__(
        self, work: Callable[Concatenate[Client, P], Work[T]], soft: _Refusals = (), otherwise: Any = None
    ) -> None:
        self._work, self._soft, self._otherwise = work, soft, otherwise
        self.__doc__ = work.__doc__

    @overload
    def __get__(self, project: None, owner: type) -> Call[P, T]: ...
    @overload
    def __get__(self, project: Project, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, project: AsyncProject, owner: type) -> Callable[P, Work[T]]: ...
    def __get__(self, project: Any, owner: type) -> Any:
        if project is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return project._carry(self._carried(project, *args, **kwargs))

        call.__doc__ = self.__doc__
        return call

    async def _carried(self, project: Calls, *args: P.args, **kwargs: P.kwargs) -> T:
        project.refusal = None
        try:
            return await self._work(project.client, *args, **kwargs)
        except self._soft as err:
            if project.strict:
                raise
            project.refusal = err
            answer: T = self._otherwise
            return answer


class Calls:
    """The calls both kinds of project have; `calls.py` says what each answers.

    `refusal` says why the last call answered None or False, None when it was not refused. With `strict` every refusal
    is raised instead. `client.token` is the token in use.
    """

    def __init__(self, client: Client, strict: bool = False) -> None:
        self.client = client
        self.strict = strict
        self.refusal: EverysiteError | None = None

    sign_in = signIn = Call(calls.sign_in, (SignInNeeded,), False)  # noqa: N815  the spelling of existing programs
    sign_out = signOut = Call(calls.sign_out)  # noqa: N815
    verify = Call(calls.verify, (SignInNeeded,), False)
    create_token = createToken = Call(calls.create_token)  # noqa: N815
    me = Call(calls.me)
    create = Call(calls.create, _ABSENT)
    read = Call(calls.read, _ABSENT)
    update = Call(calls.update, _ABSENT)
    upsert = Call(calls.upsert, _ABSENT)
    delete = Call(calls.delete, _ABSENT)
    graph_delete = graphDelete = Call(calls.graph_delete, _ABSENT)  # noqa: N815
    lock = Call(calls.lock, _ABSENT, False)
    unlock = Call(calls.unlock, _ABSENT, False)
    publish = Call(calls.publish, (Refused,))  # None on every failure, says the interface of existing programs
    comment = Call(calls.comment, (Refused,))
    version = Call(calls.version, _ABSENT)
    search = Call(calls.search)
    search_one = Call(calls.search_one)
    search_mongo = Call(calls.search_mongo)
    graph = Call(calls.graph, _ABSENT)
    graph_backwards = Call(calls.graph_backwards, _ABSENT)
    graph_forwards = Call(calls.graph_forwards, _ABSENT)
    changed = Call(calls.changed)
    health = Call(calls.health)
    status = Call(calls.status)
    sites = Call(calls.sites)
    site = Call(calls.site, (NotFound,))
    at_site = Call(calls.at_site)
    listup = Call(calls.listup)
    listdown = Call(calls.listdown)
    why = Call(calls.why)
    log = Call(calls.log)


class AsyncProject(Calls):
    """As Project, with every call awaited. Use as `async with`, or `await close()`."""

    def _carry(self, work: Work[T]) -> Work[T]:
        return work

    async def call(self, operation: Operation[R, A], request: R) -> A:
        """Any operation of everysite.tracker.contract, in its own types."""
        return await self.client.call(operation, request)

    def changes(self, since: str = "", prefix: str = "", query: str = "") -> Feed:
        """What changes from now on, or after a cursor ("0": everything there is): `async for change in ...`."""
        return Feed(self.client, since, prefix, query)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    async def __aenter__(self) -> AsyncProject:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Project(Calls):
    """A tracker whose calls block. Threads may share one. Use as `with`, or `close()` it; the end of the program does too.

    The work is done by an event loop in a thread of the project's own, so it may be used where another loop runs.
    """

    def __init__(self, client: Client, strict: bool = False) -> None:
        super().__init__(client, strict)
        self._background = Background(self, client.close, client.abandon)

    def _carry(self, work: Work[T]) -> T:
        return self._background.run(work)

    def call(self, operation: Operation[R, A], request: R) -> A:
        """Any operation of everysite.tracker.contract, in its own types."""
        return self._carry(self.client.call(operation, request))

    def changes(self, since: str = "", prefix: str = "", query: str = "") -> Iterator[Change]:
        """What changes from this call on, or after a cursor ("0": everything there is). The iterator does not end."""
        feed = Feed(self.client, since, prefix, query)
        self._carry(feed.start())
        return Following(self, feed)

    def close(self) -> None:
        """Close the connections. The project may be used again."""
        self._background.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Following(Iterator[Change]):
    """A feed whose next change is waited for. `cursor` stands behind the last one that was given out."""

    def __init__(self, project: Project, feed: Feed) -> None:
        self._project, self._feed = project, feed

    @property
    def cursor(self) -> str:
        return self._feed.cursor

    def __next__(self) -> Change:
        return self._project._carry(anext(self._feed))


def connect(
    url: str, token: str | None = None, *, fingerprint: str | None = None, timeout: float = 60.0, strict: bool = False
) -> Project:
    """The tracker at `url` (`https://host:8443`, also with a path), for calls that block. Nothing is sent yet.

    `token` of an earlier sign-in; `fingerprint` as Client takes it; `timeout` s for one answer; `strict` as Calls says.
    Raises BadRequest for what is no address.
    """
    return Project(_client(url, token, fingerprint, timeout), strict)


def connect_async(
    url: str, token: str | None = None, *, fingerprint: str | None = None, timeout: float = 60.0, strict: bool = False
) -> AsyncProject:
    """As `connect`, for calls that are awaited."""
    return AsyncProject(_client(url, token, fingerprint, timeout), strict)


def _client(url: str, token: str | None, fingerprint: str | None, timeout: float) -> Client:
    return Client(url.rstrip("/").removesuffix("/api"), token, fingerprint, timeout)  # programs of 2015 name /api
