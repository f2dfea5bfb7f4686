"""everysite sign-in URL: keeps a token, so that the other verbs may talk to a tracker elsewhere.

Owns: asking for the password and keeping the token. Must not know: what the token allows.
"""

from __future__ import annotations

import argparse
import asyncio
import os

PASSWORD = "EVERYSITE_PASSWORD"


def arguments(parser: argparse.ArgumentParser) -> None:
    """URL, --user, --fingerprint."""
    parser.add_argument("url", metavar="URL", help="the tracker's address, like https://tracker.example:8443")
    parser.add_argument("--user", metavar="NAME", default="admin", help="user name or e-mail address (default: admin)")
    parser.add_argument("--password-file", metavar="FILE", help=f"'-': standard input (else {PASSWORD}, else a prompt)")
    parser.add_argument(
        "--fingerprint", metavar="HEX", default="", help="of a self-signed certificate, as 'up' prints it"
    )
    parser.add_argument("--expires", metavar="TIME", help="30m, 2h, 7d; 0 for never (default: as the tracker is set)")


def run(args: argparse.Namespace) -> int:
    """Sign in and remember the token, readable by this user only."""
    from everysite.cli.private import read_private, sign_ins_file, write_private
    from everysite.cli.reach import Place, check_url, connect
    from everysite.cli.words import given_password
    from everysite.tracker.contract import SIGN_IN
    from everysite.tracker.messages import SignedIn, SignIn

    url = check_url(args.url)
    file = sign_ins_file(os.environ)
    known = read_private(file)
    password = given_password(PASSWORD, args.password_file, args.user)

    async def within() -> SignedIn:
        async with connect(Place(url, "", args.fingerprint)) as client:
            return await client.call(SIGN_IN, SignIn(args.user, password, args.expires))

    signed = asyncio.run(within())
    entry = {"token": signed.token, "username": signed.username, "fingerprint": args.fingerprint}
    write_private(file, {**known, url: entry})
    print(f"signed in at {url} as {signed.username}; the token is kept in {file}")
    return 0
