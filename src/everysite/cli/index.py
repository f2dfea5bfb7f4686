"""everysite index add|list|remove KEY: which keys searches find without reading every element.

Owns: the arguments. Must not know: how an index is made.
"""

from __future__ import annotations

import argparse

from everysite.cli.reach import add_options, ask

_BUILDING = 3600.0  # s; a new index reads every element


def arguments(parser: argparse.ArgumentParser) -> None:
    """The three acts."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="add|list|remove")
    for act, text in (("add", "find elements by this key at once"), ("remove", "forget an index that was added")):
        one = acts.add_parser(act, help=text, allow_abbrev=False)
        one.add_argument("key", metavar="KEY", help="like type, or frame.first for a key inside an object")
        add_options(one)
    add_options(acts.add_parser("list", help="the keys that are found at once", allow_abbrev=False))


def run(args: argparse.Namespace) -> int:
    """Act; the answer is always what is indexed now."""
    from everysite.cli.output import printable, show_json
    from everysite.tracker.contract import ADD_INDEX, INDEXES, REMOVE_INDEX
    from everysite.tracker.messages import Nothing
    from everysite.tracker.search_messages import IndexKey

    if args.act == "list":
        found = ask(args, INDEXES, Nothing())
    elif args.act == "add":
        found = ask(args, ADD_INDEX, IndexKey(args.key), _BUILDING)
    else:
        found = ask(args, REMOVE_INDEX, IndexKey(args.key), _BUILDING)
    if args.json:
        show_json(found)
    elif args.act == "list":
        print("\n".join(printable(key) for key in found.keys))
    else:
        print(f"{printable(args.key)} {'is found by index now' if args.act == 'add' else 'has no index any longer'}")
    return 0
