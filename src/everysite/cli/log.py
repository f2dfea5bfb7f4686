"""everysite log PATH: what happened to a file, newest first.

Owns: the arguments and the lines. Must not know: what is worth a line; the tracker keeps them.
"""

from __future__ import annotations

import argparse

from everysite.cli.reach import add_options, ask


def arguments(parser: argparse.ArgumentParser) -> None:
    """PATH and --limit."""
    parser.add_argument("path", metavar="PATH", help="the file, like /shots/010.exr")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many lines (default 100)")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    from everysite.cli.output import moment, show_json, show_table
    from everysite.errors import BadRequest
    from everysite.model.path import check_id
    from everysite.tracker.contract import LOG
    from everysite.tracker.messages import LogAsked

    if args.limit < 1:
        raise BadRequest(f"--limit is {args.limit}; at least one line can be shown")
    log = ask(args, LOG, LogAsked(check_id(args.path), args.limit))
    if args.json:
        show_json(log)
        return 0
    rows = [(moment(e.at), e.what, e.site or "-", e.who or "-", e.text) for e in log.entries]
    show_table(("when", "what", "site", "who", "text"), rows, f"nothing is known to have happened to {args.path}")
    return 0
