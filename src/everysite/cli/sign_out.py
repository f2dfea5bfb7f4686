"""everysite sign-out [URL]: revokes and forgets what sign-in kept.

Owns: the forgetting. Must not know: other tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import os


def arguments(parser: argparse.ArgumentParser) -> None:
    """URL, needed when there are several."""
    parser.add_argument("url", metavar="URL", nargs="?", help="which tracker (needed when signed in at several)")


def run(args: argparse.Namespace) -> int:
    """Revoke the token at the tracker when it answers; forget it in any case."""
    from everysite.cli.outcome import complain
    from everysite.cli.private import read_private, sign_ins_file, write_private
    from everysite.cli.reach import Place, check_url, connect
    from everysite.errors import BadRequest, EverysiteError, NotFound
    from everysite.tracker.contract import SIGN_OUT
    from everysite.tracker.messages import Nothing

    file = sign_ins_file(os.environ)
    known = read_private(file)
    if args.url is None and len(known) > 1:
        raise BadRequest(f"signed in at {', '.join(sorted(known))}; say which one to sign out from")
    url = check_url(args.url) if args.url else next(iter(known), "")
    if url not in known:
        raise NotFound(f"not signed in at {url or 'any tracker'}")
    entry = known.pop(url)
    write_private(file, known)

    async def within() -> None:
        async with connect(Place(url, entry["token"], entry.get("fingerprint", ""))) as client:
            await client.call(SIGN_OUT, Nothing())

    try:
        asyncio.run(within())
    except EverysiteError as error:
        complain("sign-out", f"the token is forgotten here, but {url} could not be told to revoke it: {error}")
        return 1
    print(f"signed out from {url}")
    return 0
