"""everysite user add|list|show|set|remove|password|reset.

Owns: the arguments; passwords never come from them. Must not know: how passwords are kept.
"""

from __future__ import annotations

import argparse

from everysite.cli.reach import add_options, ask

PASSWORD = "EVERYSITE_USER_PASSWORD"
RANKS = ("guest", "user", "editor", "admin")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The acts."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="add|list|show|set|remove|password|reset")
    for act, text in (("add", "add a user"), ("set", "change a user; a new password ends their tokens")):
        one = acts.add_parser(act, help=text, allow_abbrev=False)
        one.add_argument("name", metavar="NAME")
        one.add_argument("--class", dest="rank", choices=RANKS, help="what they may do (a new user: user)")
        one.add_argument("--email", metavar="ADDRESS")
        one.add_argument("--fullname", metavar="TEXT")
        one.add_argument(
            "--password-file", metavar="FILE", help=f"'-': standard input (else {PASSWORD}, else a prompt)"
        )
        if act == "set":
            one.add_argument("--password", action="store_true", help=f"a new password, from {PASSWORD} or a prompt")
            one.add_argument("--disable", action=argparse.BooleanOptionalAction, default=None, help="lock them out")
        add_options(one)
    for act, text in (("show", "one user"), ("remove", "remove a user and all their tokens")):
        one = acts.add_parser(act, help=text, allow_abbrev=False)
        one.add_argument("name", metavar="NAME")
        add_options(one)
    own = acts.add_parser("password", help="a new password for yourself; all your tokens end", allow_abbrev=False)
    lost = acts.add_parser("reset", help="a new password by the word out of a mail", allow_abbrev=False)
    lost.add_argument("word", metavar="WORD", help="as it stands in the mail; '-': standard input")
    for one in (own, lost):
        one.add_argument(
            "--password-file", metavar="FILE", help=f"'-': standard input (else {PASSWORD}, else a prompt)"
        )
        add_options(one)
    add_options(acts.add_parser("list", help="all users", allow_abbrev=False))


def run(args: argparse.Namespace) -> int:
    """Dispatch."""
    acts = {"add": _add, "set": _set, "remove": _remove, "list": _list, "show": _show}
    return {**acts, "password": _password, "reset": _reset}[args.act](args)


def _add(args: argparse.Namespace) -> int:
    from everysite.cli.words import new_password
    from everysite.errors import Conflict
    from everysite.tracker.contract import PUT_USER, USERS
    from everysite.tracker.messages import Nothing, User

    name = args.name.removeprefix("@")
    if any(user.get("username") == name for user in ask(args, USERS, Nothing()).users):
        raise Conflict(f"the user {name} is there already; change it with: everysite user set {name}")
    password = new_password(PASSWORD, args.password_file, name)
    user = ask(args, PUT_USER, User(args.name, args.rank or "user", password, args.email, args.fullname))
    return _said(args, user, f"user {name} added ({args.rank or 'user'})")


def _set(args: argparse.Namespace) -> int:
    from everysite.cli.words import new_password
    from everysite.errors import BadRequest, NotFound
    from everysite.tracker.contract import PUT_USER, USERS
    from everysite.tracker.messages import Nothing, User

    name = args.name.removeprefix("@")
    renew = args.password or args.password_file is not None
    if not renew and all(v is None for v in (args.rank, args.email, args.fullname, args.disable)):
        raise BadRequest("nothing to change was named; see 'everysite user set --help'")
    if all(user.get("username") != name for user in ask(args, USERS, Nothing()).users):
        raise NotFound(f"there is no user {name}; 'everysite user list' shows them")
    password = new_password(PASSWORD, args.password_file, name) if renew else None
    user = ask(args, PUT_USER, User(args.name, args.rank, password, args.email, args.fullname, args.disable))
    return _said(args, user, f"user {name} changed")


def _remove(args: argparse.Namespace) -> int:
    from everysite.tracker.contract import REMOVE_USER
    from everysite.tracker.messages import Named

    ask(args, REMOVE_USER, Named(args.name))
    return _said(args, {"removed": args.name}, f"user {args.name} removed")


def _show(args: argparse.Namespace) -> int:
    from everysite.cli.output import moment, show_json, show_table
    from everysite.errors import NotFound
    from everysite.tracker.contract import USERS
    from everysite.tracker.messages import Nothing

    name = args.name.removeprefix("@")
    user = next((u for u in ask(args, USERS, Nothing()).users if u.get("username") == name), None)
    if user is None:
        raise NotFound(f"there is no user {name}; 'everysite user list' shows them")
    if args.json:
        show_json(user)
        return 0
    times = ("time", "lastlogin", "lastActivity")
    rows = [(key, moment(value) if key in times and isinstance(value, int) else value) for key, value in user.items()]
    show_table(("key", "value"), rows)
    return 0


def _password(args: argparse.Namespace) -> int:
    from everysite.cli.words import new_password
    from everysite.tracker.access_messages import NewPassword
    from everysite.tracker.contract import CHANGE_PASSWORD

    password = new_password(PASSWORD, args.password_file, "yourself")
    ask(args, CHANGE_PASSWORD, NewPassword(password))
    return _said(args, {"changed": True}, "your password is changed; sign in again wherever you were signed in")


def _reset(args: argparse.Namespace) -> int:
    """Nobody is signed in here: the word is all there is."""
    import asyncio
    import os
    import sys

    from everysite.cli.reach import Place, check_url, connect
    from everysite.cli.words import new_password
    from everysite.errors import BadRequest
    from everysite.tracker.access_messages import ResetPassword
    from everysite.tracker.contract import RESET_PASSWORD

    url = args.tracker or os.environ.get("EVERYSITE_TRACKER", "")
    if not url:
        raise BadRequest("name the tracker the mail came from with --tracker URL")
    word = sys.stdin.readline().strip() if args.word == "-" else args.word
    password = new_password(PASSWORD, args.password_file, "yourself")

    async def within() -> None:
        pin = os.environ.get("EVERYSITE_FINGERPRINT", "")
        async with connect(Place(check_url(url), "", pin)) as client:
            await client.call(RESET_PASSWORD, ResetPassword(word, password))

    asyncio.run(within())
    return _said(args, {"changed": True}, "your password is changed; sign in with it")


def _list(args: argparse.Namespace) -> int:
    from everysite.cli.output import show_json, show_table
    from everysite.tracker.contract import USERS
    from everysite.tracker.messages import Nothing

    found = ask(args, USERS, Nothing())
    if args.json:
        show_json(found.users)
        return 0
    keys = ("username", "class", "email", "fullname", "disable")
    show_table(keys, [[str(user.get(key) or "-") for key in keys] for user in found.users])
    return 0


def _said(args: argparse.Namespace, value: object, line: str) -> int:
    from everysite.cli.output import show_json

    if args.json:
        show_json(value)
    else:
        print(line)
    return 0
