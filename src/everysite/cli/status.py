"""everysite status: how every site stands.

Owns: the table of sites and its refreshing. Must not know: how the figures come about.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from everysite.cli.reach import add_options, talk

if TYPE_CHECKING:
    from everysite.client import Client
    from everysite.tracker.messages import SiteStatus, Status


def arguments(parser: argparse.ArgumentParser) -> None:
    """--json, --watch."""
    add_options(parser)
    parser.add_argument("--watch", action="store_true", help="again every --every seconds, until Ctrl-C")
    parser.add_argument("--every", type=float, default=2.0, metavar="S", help="seconds between two looks (default 2)")


def run(args: argparse.Namespace) -> int:
    """Show it once, or again and again."""
    talk(args, lambda client: _look(client, args))
    return 0


async def _look(client: Client, args: argparse.Namespace) -> None:
    from everysite.cli.output import show_json
    from everysite.tracker.contract import STATUS
    from everysite.tracker.messages import Nothing

    while True:
        status = await client.call(STATUS, Nothing())
        if args.json:
            show_json(status)
        else:
            _show(status)
        if not args.watch:
            return
        await asyncio.sleep(max(args.every, 0.1))
        if not args.json:
            print()


def _show(status: Status) -> None:
    from everysite.cli.output import Size, printable, show_table

    headers = ("site", "agent", "files", "size", "waiting", "outdated", "failed", "conflicts", "state")
    rows = [
        (s.name, s.agent, s.files, Size(s.bytes), s.waiting, s.outdated, s.failed, s.conflicts, describe(s))
        for s in status.sites
    ]
    show_table(headers, rows, "no sites yet; add one with: everysite site add NAME FOLDER")
    for site in status.sites:
        if site.problem:
            print(f"{site.name}: {printable(site.problem)}")


def describe(site: SiteStatus) -> str:
    """One word for how a site stands."""
    if site.problem:
        return "in trouble"
    if site.paused:
        return "paused"
    if site.agent != "on":
        return "no agent" if site.agent == "never" else "away"
    if site.conflicts or site.failed or site.failing:
        return "needs a look"
    return "working" if site.waiting or site.running else "up to date"
