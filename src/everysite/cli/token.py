"""everysite token add|list|remove: tokens for programs.

Owns: the arguments; a token is printed once, alone on its line. Must not know: what a token looks like.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from everysite.cli.reach import add_options, ask

if TYPE_CHECKING:
    from everysite.tracker.messages import TokenInfo

CLASSES = ("guest", "user", "editor", "admin")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The three acts."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="add|list|remove")
    add = acts.add_parser("add", help="a new token; it is shown this once", allow_abbrev=False)
    add.add_argument("label", metavar="LABEL", help="to recognise it by, like 'render farm'")
    add.add_argument("--user", metavar="NAME", help="for somebody else (admins only)")
    add.add_argument("--expires", metavar="TIME", help="30m, 2h, 7d; 0 for never (default: as the tracker is set)")
    narrower = add.add_argument_group("narrower than its user")
    narrower.add_argument("--class", dest="rank", default="", choices=CLASSES, help="never above the user's own")
    narrower.add_argument("--read-only", action="store_true", help="it changes nothing")
    narrower.add_argument("--site", metavar="NAME", default="", help="for one site: its files' origin, its states")
    narrower.add_argument("--prefix", metavar="/PATH/", default="", help="for what lies below it; the rest is missing")
    add_options(add)
    add_options(acts.add_parser("list", help="your tokens; all of them for an admin", allow_abbrev=False))
    remove = acts.add_parser("remove", help="revoke a token", allow_abbrev=False)
    remove.add_argument("id", type=int, metavar="ID", help="its number in 'everysite token list'")
    add_options(remove)


def run(args: argparse.Namespace) -> int:
    """Dispatch."""
    return {"add": _add, "list": _list, "remove": _remove}[args.act](args)


def _add(args: argparse.Namespace) -> int:
    from everysite.cli.output import show_json
    from everysite.tracker.contract import CREATE_TOKEN
    from everysite.tracker.messages import NewToken

    scope = (args.rank, args.read_only, args.site, args.prefix)
    made = ask(args, CREATE_TOKEN, NewToken(args.label, args.user, args.expires, *scope))
    if args.json:
        show_json(made)
    else:
        print(made.token)
        print(f"token {made.id} made; keep the line above, it is not shown again", file=sys.stderr)
    return 0


def _list(args: argparse.Namespace) -> int:
    from everysite.cli.output import moment, show_json, show_table
    from everysite.tracker.contract import TOKENS
    from everysite.tracker.messages import Nothing

    found = ask(args, TOKENS, Nothing()).tokens
    if args.json:
        show_json(found)
        return 0
    rows = [
        (t.id, t.username, t.kind, _narrowed(t), t.label, moment(t.created), moment(t.used), moment(t.until))
        for t in found
    ]
    show_table(("id", "user", "kind", "only", "label", "made", "used", "until"), rows, "no tokens")
    return 0


def _narrowed(token: TokenInfo) -> str:
    words = [token.rank, "read" if token.read_only else "", token.site, token.prefix]
    return " ".join(word for word in words if word) or "-"


def _remove(args: argparse.Namespace) -> int:
    from everysite.cli.output import show_json
    from everysite.tracker.contract import REMOVE_TOKEN
    from everysite.tracker.messages import TokenId

    ask(args, REMOVE_TOKEN, TokenId(args.id))
    if args.json:
        show_json({"removed": args.id})
    else:
        print(f"token {args.id} revoked")
    return 0
