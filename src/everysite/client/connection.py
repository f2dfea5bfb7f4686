"""The tracker's verbs over HTTP, for agents, the command line and other people's programs.

Owns: Client.
Must not know: how a verb is carried out, how the doors of the tracker are built.

`await client.call(PUBLISH, Items(...))` is the call it would be in the tracker's own process: the same types, the same
error classes. Trouble on the way is SiteUnreachable (nobody answers) or Transient (somebody in between says not now).
"""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from everysite import errors
from everysite.errors import BadRequest, EverysiteError, Refused, SiteUnreachable, Transient
from everysite.tracker.agent_messages import Fetch
from everysite.tracker.contract import BACKUP, FETCH_PATH, SEND_PATH, SIGN_IN
from everysite.tracker.messages import SignedIn, SignIn
from everysite.tracker.operation import Operation

if TYPE_CHECKING:
    import aiohttp

R = TypeVar("R")
A = TypeVar("A")

_PROGRAMS = "application/vnd.everysite+json"
_CONNECT = 10.0  # s; a tracker that needs longer is not there
_SILENCE = 60.0  # s without a byte before a stream counts as broken
_COPYING = 1800.0  # s until the first byte of a backup: the tracker writes it to its disk first
_KEEP_ALIVE = 30.0  # s; below the tracker's own, so a kept connection is never one that is just being closed
_LARGE = 1 << 20  # bytes
_AT_ONCE = 100  # connections to one tracker
_BY_CODE: dict[str, type[EverysiteError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, EverysiteError) and "code" in vars(kind)
}


class Client:
    """A Tracker at a distance. Use as `async with`, or `close()` it; one session, connections are kept.

    `url` may have a path (`https://host/base`). `fingerprint`: SHA-256 (hex) of the certificate of a tracker that made
    its own; without it the certificate has to be one the machine trusts. `timeout` s for an answer, on top of what a
    request itself says it waits.
    """

    def __init__(
        self, url: str, token: str | None = None, fingerprint: str | None = None, timeout: float = 60.0
    ) -> None:
        self.url = _checked(url)
        self.token = token
        self._pin = _pin(fingerprint)
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. The client may be used again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def abandon(self) -> object:
        """Forget the connections without closing them, and answer what has to be kept alive: they are another loop's."""
        session, self._session = self._session, None
        return session

    async def call(self, operation: Operation[R, A], request: R) -> A:
        """Carry an operation out. Raises the errors it raises in the tracker's process, SiteUnreachable and Transient."""
        method, path, body = _asked(operation, request)
        wait = getattr(request, "wait_ms", 0) / 1000
        headers = {"Content-Type": _PROGRAMS} if body else {}
        async with self._exchange(method, path, body, self._timeout + wait, headers) as response:
            data = await response.read()
        try:
            return msgspec.json.decode(data, type=operation.answer)
        except msgspec.DecodeError as err:
            raise Refused(f"{self.url}{path}: the answer is none of an everysite tracker; check the address") from err

    async def sign_in(self, username: str, password: str) -> SignedIn:
        """Sign in; the token is used from here on. Raises SignInNeeded for a wrong name or password."""
        signed = await self.call(SIGN_IN, SignIn(username, password))
        self.token = signed.token
        return signed

    async def fetch(self, asked: Fetch) -> AsyncIterator[bytes]:
        """Frames of files of another site. Raises SiteUnreachable when its agent does not answer, Transient when it stops."""
        body = msgspec.json.encode(asked)
        async with self._exchange("POST", FETCH_PATH, body, None, {"Content-Type": _PROGRAMS}) as response:
            async for chunk in response.content.iter_any():
                yield chunk

    async def send(self, id: str, frames: AsyncIterator[bytes]) -> None:
        """Answer a Wanted. Raises Transient when its reader has gone."""
        path = SEND_PATH.format(id=quote(id, safe=""))
        async with self._exchange("PUT", path, frames, None, {"Content-Type": "application/octet-stream"}) as response:
            await response.read()

    async def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """A request in the form of other people's clients: JSON as it is, in and out. 200, 201 or 207 and the answer.

        Raises what `call` raises.
        """
        headers = {} if body is None else {"Content-Type": "application/json"}
        async with self._exchange(method, path, body, self._timeout, headers) as response:
            return response.status, await response.read()

    async def backup(self) -> AsyncIterator[bytes]:
        """The bytes of a copy of everything the tracker keeps. Raises Forbidden, Transient when the line breaks."""
        async with self._exchange(BACKUP.method, BACKUP.path, None, None, {}, _COPYING) as response:
            async for chunk in response.content.iter_any():
                yield chunk

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None,
        timeout: float | None,
        headers: dict[str, str],
        silence: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request and its successful answer, every other end of it as an error of ours."""
        import aiohttp

        limit = aiohttp.ClientTimeout(
            total=timeout, connect=_CONNECT, sock_read=None if timeout else silence or _SILENCE
        )
        if self.token:
            headers = headers | {"Authorization": f"Bearer {self.token}"}
        url = self.url + path
        try:
            async with self._opened().request(
                method, url, data=_payload(body), headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                if response.status >= 300:
                    raise await self._refusal(response)
                yield response
        except aiohttp.ClientSSLError as err:
            raise SiteUnreachable(
                f"{self.url}: its certificate is not trusted here ({_short(err)}); {_CERTIFICATE}"
            ) from err
        except aiohttp.ServerFingerprintMismatch as err:
            raise SiteUnreachable(
                f"{self.url}: its certificate is not the one the token names; {_CERTIFICATE}"
            ) from err
        except aiohttp.ClientPayloadError as err:
            raise Transient(f"{self.url}: the answer broke off in the middle") from err
        except TimeoutError as err:
            raise SiteUnreachable(f"{self.url}: no answer in time; {_WAY_OUT}") from err
        except aiohttp.InvalidURL as err:
            raise BadRequest(f"{url!r} is no address") from err
        except (aiohttp.ClientError, OSError) as err:
            raise SiteUnreachable(f"{self.url}: no answer ({_short(err)}); {_WAY_OUT}") from err

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(
                limit=_AT_ONCE,
                keepalive_timeout=_KEEP_ALIVE,
                ssl=aiohttp.Fingerprint(self._pin) if self._pin else True,
            )
            accept = {"Accept": f"{_PROGRAMS}, application/json"}
            self._session = aiohttp.ClientSession(
                connector=connector, headers=accept, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=1 << 20
            )
        return self._session

    async def _refusal(self, response: aiohttp.ClientResponse) -> EverysiteError:
        data = await response.read()
        try:
            said = msgspec.json.decode(data, type=dict[str, str])
            return _BY_CODE.get(said["code"], Refused)(said["error"])
        except (msgspec.DecodeError, KeyError):
            return self._foreign_refusal(response)

    def _foreign_refusal(self, response: aiohttp.ClientResponse) -> EverysiteError:
        """An answer that is not the tracker's own: a proxy's, or another program's."""
        status = response.status
        if status in (502, 503, 504):
            return Transient(f"{self.url}: the server in front of it answers {status}; the tracker may be starting")
        if status in (301, 302, 303, 307, 308):
            return Refused(f"{self.url} leads to {response.headers.get('Location', 'elsewhere')}; use that address")
        return Refused(f"{self.url}: answers {status} and is no everysite tracker, it seems; check the address")


_WAY_OUT = "check the address and that the tracker runs"
_CERTIFICATE = "check the address, or get a new join token"


def _payload(body: bytes | AsyncIterator[bytes] | None) -> io.BytesIO | bytes | AsyncIterator[bytes] | None:
    """Large bodies as files, which the library sends piece by piece."""
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > _LARGE else body


def _asked(operation: Operation[Any, Any], request: Any) -> tuple[str, str, bytes | None]:
    """Method, path and body of a request. Other forms than the plain one are for clients that know no other."""
    method: str = operation.method
    path = operation.path
    if operation.shape == "query":
        method, path = "POST", path.removesuffix("/{query}")
    values: dict[str, Any] = msgspec.to_builtins(request)
    for name in re.findall(r"\{(\w+)\}", path):
        path = path.replace(f"{{{name}}}", _segment(values.pop(name)))
    if method != "GET":
        return method, path, msgspec.json.encode(request)
    query = urlencode({name: _text(value) for name, value in values.items() if value is not None}, quote_via=quote)
    return method, f"{path}?{query}" if query else path, None


def _segment(value: Any) -> str:
    text = quote(_text(value), safe="")
    if text in ("", ".", ".."):
        raise BadRequest(f"{value!r} is no name")  # URL libraries would take it for a step up
    return text


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest(f"{url!r} is no address of a tracker; it looks like https://host:8443")
    if parts.username or parts.query or parts.fragment:
        raise BadRequest(f"the address of {parts.hostname} has more than host, port and path; leave the rest out")
    return url.rstrip("/")


def _pin(fingerprint: str | None) -> bytes | None:
    if not fingerprint:
        return None
    try:
        pin = bytes.fromhex(fingerprint.replace(":", ""))
    except ValueError:
        pin = b""
    if len(pin) != 32:
        raise BadRequest("the fingerprint has to be 64 hexadecimal digits (SHA-256 of the certificate)")
    return pin


def _short(err: BaseException) -> str:
    """A network error in a few words, without addresses of ours."""
    inner = getattr(err, "os_error", None) or err
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
