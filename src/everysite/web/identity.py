"""Who asks, and from where: tokens, cookies, foreign pages, proxies.

Owns: the caller of a request, the rule against requests that other sites' pages make with our cookie, which
X-Forwarded-* headers are believed.
Must not know: what is asked for; rights are the tracker's business.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Protocol

from everysite.errors import BadRequest, Forbidden, SignInNeeded
from everysite.tracker.operation import Caller, Right
from everysite.web.request import SAFE_METHODS, Asked

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Authenticator(Protocol):
    """Somebody who knows tokens."""

    async def authenticate(self, token: str, address: str) -> Caller | None:
        """The caller a token stands for; None: no such or an expired token."""

    def nobody(self, address: str) -> Caller:
        """Who asks without a token: by name nobody, or whatever this tracker lets everybody be."""


async def caller_of(asked: Asked, authenticator: Authenticator, right: Right) -> Caller:
    """Who asks. Raises SignInNeeded without a valid token, unless anyone may; Forbidden for another site's page."""
    token = _header_token(asked)
    if not token:
        token = _cookie_token(asked)
        if token and asked.scope["method"] not in SAFE_METHODS and foreign(asked):
            raise Forbidden("this request was made by a page of another site")
    caller = await authenticator.authenticate(token, asked.address) if token else None
    if caller is not None:
        return caller
    caller = authenticator.nobody(asked.address)
    if not caller.username and right != "anyone":
        raise SignInNeeded("the token is not valid (any longer); sign in again" if token else "sign in first")
    if caller.rank == "admin" and right != "anyone":
        _refuse_pages(asked)
    return caller


def _refuse_pages(asked: Asked) -> None:
    """Where nobody signs in, a page of another site could ask whatever it likes: neither in its own name nor, by giving
    its name this machine's address, in ours. Raises Forbidden."""
    if asked.scope["method"] not in SAFE_METHODS and foreign(asked):
        raise Forbidden("this request was made by a page of another site")
    host = asked.headers.get(b"host", b"").decode("latin-1").rpartition(":")
    name = (host[0] if host[2].isdigit() else "".join(host)).strip("[]").lower()
    if _is_loopback(asked.address) and name != "localhost" and not _is_address(name):
        raise Forbidden("an open tracker is asked on this machine by its address, like http://127.0.0.1:8090")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(text: str) -> bool:
    return _is_address(text) and ipaddress.ip_address(text).is_loopback


def _header_token(asked: Asked) -> str:
    words = asked.headers.get(b"authorization", b"").split()
    return words[-1].decode("latin-1") if words else ""


def _cookie_token(asked: Asked) -> str:
    for pair in asked.headers.get(b"cookie", b"").split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name == b"token":
            return value.strip(b'"').decode("latin-1")
    return ""


def foreign(asked: Asked) -> bool:
    """Whether a page of another site makes this request. Browsers say so; other programs send neither header."""
    site = asked.headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = asked.headers.get(b"origin")
    if origin is None:
        return False
    host = asked.headers.get(b"host", b"").lower()
    return origin.lower() != asked.scheme.encode() + b"://" + host


def proxied(names: Sequence[str]) -> Callable[[Asked], None]:
    """A function that puts the address and scheme the named proxies report into a request.

    Raises BadRequest for a name that is no address or network.
    """
    try:
        trusted = [ipaddress.ip_network(name, strict=False) for name in names]
    except ValueError as err:
        raise BadRequest(f"trusted proxy: {err}; give addresses like 10.0.0.7 or networks like 10.0.0.0/8") from err

    def believe(asked: Asked) -> None:
        if _within(asked.address, trusted):
            asked.address = _client(asked, trusted)
            if asked.headers.get(b"x-forwarded-proto") in (b"http", b"https"):
                asked.scheme = asked.headers[b"x-forwarded-proto"].decode()

    return believe


def _client(asked: Asked, trusted: Sequence[_Network]) -> str:
    """The nearest address that is none of our proxies: what stands before it may be invented by the client."""
    hops = [hop.strip() for hop in asked.headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")]
    for hop in reversed([hop for hop in hops if hop]):
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            break
        asked.address = hop
        if not _within(hop, trusted):
            break
    return asked.address


def _within(address: str, networks: Sequence[_Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
