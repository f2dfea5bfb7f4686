"""everysite why PATH SITE: one sentence why a file is or is not there.

Owns: the arguments. Must not know: the reasons; the tracker says the sentence.
"""

from __future__ import annotations

import argparse

from everysite.cli.outcome import OK, REFUSED, complain
from everysite.cli.reach import add_options, ask


def arguments(parser: argparse.ArgumentParser) -> None:
    """PATH and SITE."""
    parser.add_argument("path", metavar="PATH", help="the file, like /shots/010.exr")
    parser.add_argument("site", metavar="SITE")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print; a path or site nobody knows is a refusal."""
    from everysite.cli.output import printable, show_json
    from everysite.model.path import check_id
    from everysite.tracker.contract import WHY
    from everysite.tracker.messages import WhyAsked

    answer = ask(args, WHY, WhyAsked(check_id(args.path), args.site))
    known = answer.state != "unknown"
    if args.json:
        show_json(answer)
    elif known:
        print(printable(answer.sentence))
    else:
        complain("why", f"not found: {answer.sentence}")
    return OK if known else REFUSED
