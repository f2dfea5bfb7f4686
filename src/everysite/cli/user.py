"""everysite user add|list|set|remove.

Owns: the arguments; passwords never come from them. Must not know: how passwords are kept.
"""

from __future__ import annotations

import argparse

from everysite.cli.reach import add_options, ask

PASSWORD = "EVERYSITE_USER_PASSWORD"
RANKS = ("guest", "user", "editor", "admin")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The four acts."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="add|list|set|remove")
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
    remove = acts.add_parser("remove", help="remove a user and all their tokens", allow_abbrev=False)
    remove.add_argument("name", metavar="NAME")
    add_options(remove)
    add_options(acts.add_parser("list", help="all users", allow_abbrev=False))


def run(args: argparse.Namespace) -> int:
    """Dispatch."""
    return {"add": _add, "set": _set, "remove": _remove, "list": _list}[args.act](args)


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
