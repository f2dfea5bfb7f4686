"""everysite audit: who changed settings, users, tokens and destinations, and who signed in.

Owns: the arguments and the table. Must not know: what makes a row.
"""

from __future__ import annotations

import argparse

from everysite.cli.reach import add_options, ask


def arguments(parser: argparse.ArgumentParser) -> None:
    """--who, --what, --after, --limit."""
    parser.add_argument("--who", metavar="NAME", default="", help="what this user did")
    parser.add_argument("--what", metavar="WORDS", default="", help="like 'user changed' or 'sign-in failed'")
    parser.add_argument("--after", type=int, metavar="NUMBER", help="rows after this one (default: the newest)")
    parser.add_argument("--limit", type=int, metavar="N", default=50, help="at most so many rows (default: 50)")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Oldest first."""
    from everysite.cli.output import moment, show_json, show_table
    from everysite.tracker.access_messages import AuditAsked
    from everysite.tracker.contract import AUDIT

    found = ask(args, AUDIT, AuditAsked(args.after, args.limit, args.who, args.what)).entries
    if args.json:
        show_json(found)
        return 0
    rows = [(e.seq, moment(e.at), e.who or "-", e.what, e.subject or "-", e.text, e.address or "-") for e in found]
    show_table(("number", "when", "who", "what", "of", "more", "from"), rows, "nothing")
    return 0
