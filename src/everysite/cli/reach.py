"""Which tracker a verb talks to, and with whose token.

Owns: --tracker and --home, the order in which an address and a token are looked for, and run/tracker.json of a home.
Must not know: what is asked there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from everysite.cli.private import read_private, sign_ins_file
from everysite.errors import BadRequest, SignInNeeded, SiteUnreachable

if TYPE_CHECKING:
    from everysite.client import Client
    from everysite.tracker.operation import Operation

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Place:
    """A tracker's address and what to show there. `fingerprint` of its certificate, '' to check it as usual.

    `public` is its address for other machines, `public_fingerprint` what they need to check it ('' nothing).
    """

    url: str
    token: str
    fingerprint: str = ""
    public: str = ""
    public_fingerprint: str = ""

    @property
    def local(self) -> bool:
        """Whether the tracker is on this machine, so that it sees the same folders."""
        return (urlsplit(self.url).hostname or "") in ("127.0.0.1", "localhost", "::1")


def add_options(parser: argparse.ArgumentParser, json: bool = True) -> None:
    """--tracker, --home and (with `json`) --json."""
    group = parser.add_argument_group("which tracker")
    group.add_argument("--tracker", metavar="URL", help="the tracker's address (else EVERYSITE_TRACKER)")
    group.add_argument("--home", metavar="DIR", help="home of the tracker that runs on this machine")
    if json:
        parser.add_argument("--json", action="store_true", help="for programs: the answer as JSON")


def run_file(home: Path) -> Path:
    """Where a running `everysite up` says how to reach it: the fields of Place, and pid; only its user may read it."""
    return home / "run" / "tracker.json"


def find(args: argparse.Namespace) -> Place:
    """The tracker meant by the options and the environment. Raises BadRequest, SignInNeeded or SiteUnreachable."""
    chosen = args.tracker or ("" if args.home else os.environ.get("EVERYSITE_TRACKER", ""))
    here = _running_here(args.home)
    if not chosen:
        if here is None:
            raise SiteUnreachable(
                f"no tracker runs with the home {_home(args.home)}; start one with 'everysite up', "
                "or name one with --tracker URL or EVERYSITE_TRACKER"
            )
        return here
    url = check_url(chosen)
    known = read_private(sign_ins_file(os.environ)).get(url, {})
    if token := os.environ.get("EVERYSITE_TOKEN"):
        pin = os.environ.get("EVERYSITE_FINGERPRINT") or known.get("fingerprint", "")
        return Place(url, token, pin, url, pin)
    if known:
        pin = known.get("fingerprint", "")
        return Place(url, known["token"], pin, url, pin)
    if here is not None and here.url == url:
        return here
    raise SignInNeeded(f"no token for {url}; type: everysite sign-in {url}")


def runs(args: argparse.Namespace) -> bool:
    """Whether a tracker is meant that (as far as one can tell) runs: a named one, or that of the home."""
    if args.tracker or (os.environ.get("EVERYSITE_TRACKER") and not args.home):
        return True
    return _running_here(args.home) is not None


def check_url(text: str) -> str:
    """A tracker's address without a '/' at the end. Raises BadRequest."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment or parts.username:
        raise BadRequest(f"{text!r} is no tracker address; it looks like http://127.0.0.1:8090 or https://host:8443")
    return text.rstrip("/")


def talk(args: argparse.Namespace, work: Callable[[Client], Awaitable[T]], timeout: float = 60.0) -> T:
    """Carry out `work` with a client of the tracker that is meant; `timeout` s for one answer."""
    place = find(args)

    async def within() -> T:
        async with connect(place, timeout) as client:
            return await work(client)

    return asyncio.run(within())


def ask(args: argparse.Namespace, operation: Operation[R, A], request: R, timeout: float = 60.0) -> A:
    """One call."""
    return talk(args, lambda client: client.call(operation, request), timeout)


def connect(place: Place, timeout: float = 60.0) -> Client:
    """A client, to be used with `async with`."""
    from everysite.client import Client

    return Client(place.url, place.token, place.fingerprint, timeout)


def _home(option: str | None) -> Path:
    from everysite.config import home_of

    return home_of(option, os.environ)


def _running_here(option: str | None) -> Place | None:
    found = read_private(run_file(_home(option)))
    if not found:
        return None
    try:
        os.kill(found["pid"], 0)
    except ProcessLookupError:  # it was killed and could not tidy up
        return None
    except PermissionError:
        pass
    values = {key: str(found.get(key, "")) for key in ("url", "token", "fingerprint", "public", "public_fingerprint")}
    return Place(**values)
