"""everysite join URL TOKEN FOLDER: make this machine a site, and serve it.

Owns: checking the token, the folder and the tracker before anything is written.
Must not know: how an agent works.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from everysite.cli import joined

if TYPE_CHECKING:
    from everysite.cli.joined import Joined


def arguments(parser: argparse.ArgumentParser) -> None:
    """URL, TOKEN, FOLDER, --state."""
    parser.add_argument("url", metavar="URL", help="the tracker's address")
    parser.add_argument("token", metavar="TOKEN", help="from 'everysite site add' or 'site token'; '-': standard input")
    parser.add_argument("folder", metavar="FOLDER", help="the site's files; it must be there")
    parser.add_argument("--state", metavar="DIR", help="what the agent remembers (default: agents/SITE in the home)")


def run(args: argparse.Namespace) -> int:
    """Check, remember, serve until SIGTERM or SIGINT."""
    from everysite.cli.agent import serve_joined
    from everysite.cli.words import existing_folder

    folder = existing_folder(args.folder)
    found = asyncio.run(_introduce(args.url, _token(args.token), folder))
    state = Path(os.path.abspath(args.state)) if args.state else joined.default_state(found.site)
    if state == folder or folder in state.parents or state in folder.parents:
        from everysite.errors import BadRequest

        raise BadRequest(f"the state folder {state} and the site's folder {folder} must be apart; give --state another")
    joined.save(state, found)
    print(f"this machine is the site {found.site} now, with the files in {folder}", flush=True)
    print(f"  serve it again later:  everysite agent --state {state}", flush=True)
    return serve_joined(state, found)


def _token(text: str) -> str:
    return sys.stdin.readline().strip() if text == "-" else text


async def _introduce(url: str, text: str, folder: Path) -> Joined:
    """Which site the token is for, and that the tracker takes this folder for it. Raises Forbidden, Conflict ..."""
    from everysite.assemble import agent_tracker, introduce
    from everysite.cli.reach import check_url
    from everysite.client import decode_join

    token = decode_join(text)
    url = check_url(url)
    store = folder.as_uri() + "/"
    async with agent_tracker(url, token.token, token.fingerprint) as tracker:
        site = await introduce(tracker, store)
    return joined.Joined(url, token.token, token.fingerprint, site, str(folder))
