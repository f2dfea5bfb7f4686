"""everysite config show|set|check: the settings of a home.

Owns: the arguments and the table. Must not know: any single setting; `everysite.config` does.
"""

from __future__ import annotations

import argparse
import os
import sys


def arguments(parser: argparse.ArgumentParser) -> None:
    """show, set KEY VALUE, check."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="show|set|check")
    show = acts.add_parser("show", help="every setting: value, where it comes from, what it does", allow_abbrev=False)
    show.add_argument("key", nargs="?", metavar="KEY", help="only this one, like server.port; or a section")
    show.add_argument("--json", action="store_true", help="for programs: as JSON")
    change = acts.add_parser("set", help="write a setting to everysite.toml of the home", allow_abbrev=False)
    change.add_argument("key", metavar="KEY", help="like server.port")
    change.add_argument("value", metavar="VALUE", help="lists with commas")
    check = acts.add_parser("check", help="say what is wrong; exit 2 when something is", allow_abbrev=False)
    for each in (show, change, check):
        each.add_argument("--home", metavar="DIR", help="the home (else EVERYSITE_HOME, else the user's data folder)")


def run(args: argparse.Namespace) -> int:
    """Dispatch."""
    return {"show": _show, "set": _set, "check": _check}[args.act](args)


def _show(args: argparse.Namespace) -> int:
    from everysite.cli.output import show_json, show_table
    from everysite.config import describe, home_of
    from everysite.errors import NotFound

    keys = describe(home_of(args.home, os.environ), os.environ)
    if args.key:
        keys = [k for k in keys if k.key == args.key or k.key.startswith(f"{args.key}.")]
        if not keys:
            raise NotFound(f"there is no setting {args.key}; 'everysite config show' lists them all")
    if args.json:
        show_json(keys)
    else:
        show_table(
            ("setting", "value", "from", "what it does"), [(k.key, _text(k.value), k.source, k.doc) for k in keys]
        )
    return 0


def _set(args: argparse.Namespace) -> int:
    from everysite.config import FILE, home_of, write
    from everysite.config.database_url import has_password
    from everysite.errors import BadRequest

    if args.key == "index.url" and has_password(args.value):
        raise BadRequest(
            "everybody on this machine could read that password while the command runs; "
            "write the address into the file yourself, or give it as EVERYSITE_INDEX__URL"
        )
    home = home_of(args.home, os.environ)
    write(home, args.key, args.value)
    print(f"{args.key} is set in {home / FILE}; a running tracker reads it at its next start")
    return 0


def _check(args: argparse.Namespace) -> int:
    from everysite.config import FILE, check, home_of

    home = home_of(args.home, os.environ)
    problems = check(home, os.environ)
    for problem in problems:
        print(f"everysite config: {problem}", file=sys.stderr)
    if not problems:
        print(f"the settings of {home / FILE} and the environment are fine")
    return 2 if problems else 0


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
