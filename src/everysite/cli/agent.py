"""everysite agent: serve a joined site again; or, with --local, all sites of a tracker's own machine.

Owns: the arguments, signals, and that the local agent ends with the `up` that started it.
Must not know: what an agent does.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everysite.cli import loop

if TYPE_CHECKING:
    from everysite.cli.joined import Joined

_PARENT_S = 1.0  # how soon the local agent notices that its `up` was killed


def arguments(parser: argparse.ArgumentParser) -> None:
    """--state, or --local with what `up` says."""
    parser.add_argument("--state", metavar="DIR", help="the state folder of a site that was joined before")
    local = parser.add_argument_group("started by 'everysite up'")
    local.add_argument("--local", action="store_true", help="all sites of this machine; the token on standard input")
    local.add_argument("--tracker", metavar="URL")
    local.add_argument("--fingerprint", metavar="HEX", default="")
    local.add_argument("--home", metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    from everysite.cli import joined
    from everysite.errors import BadRequest

    if args.local:
        if not args.tracker or not args.home or args.state:
            raise BadRequest(
                "--local is what 'everysite up' starts; it goes with --tracker and --home, without --state"
            )
        return _local(args)
    if not args.state:
        raise BadRequest("say which site to serve: everysite agent --state DIR")
    state = Path(os.path.abspath(args.state))
    return serve_joined(state, joined.load(state))


def serve_joined(state: Path, site: Joined) -> int:
    """Serve one site until a signal comes; 0."""
    from everysite.assemble import agent_settings, serve_sites

    settings, place = agent_settings(state), (site.url, site.token, site.fingerprint)
    return _until_signal(lambda stop: serve_sites(state, place, settings, stop, site.site, Path(site.folder)))


def _local(args: argparse.Namespace) -> int:
    from everysite.assemble import agent_settings, serve_sites

    home, token = Path(args.home), sys.stdin.readline().strip()
    settings, place = agent_settings(home), (args.tracker, token, args.fingerprint)
    return _until_signal(lambda stop: serve_sites(home / "agent", place, settings, stop), os.getppid())


def _until_signal(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]], parent: int = 0) -> int:
    """Run the work with an event that SIGTERM, SIGINT or the end of the parent sets; a second SIGINT ends at once."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    async def within() -> None:
        with loop.ended_by_signal() as stop:
            watching = asyncio.create_task(_end_with(parent, stop)) if parent else None
            try:
                await work(stop)
            finally:
                if watching is not None:
                    watching.cancel()

    loop.run(within())
    return 0


async def _end_with(parent: int, stop: asyncio.Event) -> None:
    """An orphan would keep the folders from the agent of the next `up`."""
    while True:
        if os.getppid() != parent:
            stop.set()
            return
        await asyncio.sleep(_PARENT_S)
