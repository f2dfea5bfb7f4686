"""everysite check [FILE]: whether what a tracker keeps is sound.

Owns: whether a running tracker is asked or a file is read, and the verdict. Must not know: what is checked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path

from everysite.cli.outcome import FAILED, OK, complain
from everysite.cli.reach import add_options, ask, runs
from everysite.errors import BadRequest

_TIMEOUT = 3600.0  # s; everything is read, and disks may be slow


def arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, and which tracker."""
    parser.add_argument("file", metavar="FILE", nargs="?", help="a backup (default: what the tracker keeps)")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """0: sound. 1: not, with one line for each thing that is wrong."""
    if args.file and (args.tracker or args.home):
        raise BadRequest("a FILE is checked as it is; leave --tracker and --home out")
    if args.file:
        return _verdict(args, args.file, _of_file(Path(args.file)))
    if runs(args):
        from everysite.tracker.contract import INTEGRITY
        from everysite.tracker.messages import Nothing

        return _verdict(args, "the tracker", ask(args, INTEGRITY, Nothing(), _TIMEOUT).problems)
    return _of_home(args)


def _of_file(file: Path) -> list[str]:
    from everysite.assemble import check_index

    return check_index(file)


def _of_home(args: argparse.Namespace) -> int:
    """Of a tracker that does not run. The lock of the home keeps it from starting meanwhile."""
    from everysite.assemble import check_home
    from everysite.cli.home_lock import HomeLock
    from everysite.config import home_of, load

    settings = load(home_of(args.home, os.environ), os.environ)
    with HomeLock(settings.home) if settings.home.is_dir() else contextlib.nullcontext():
        return _verdict(args, settings.remembers, check_home(settings))


def _verdict(args: argparse.Namespace, what: str, problems: list[str]) -> int:
    from everysite.cli.output import printable, show_json

    if args.json:
        show_json({"sound": not problems, "problems": problems})
    elif not problems:
        print(f"{printable(what)}: sound")
    for problem in problems:
        complain("check", f"{printable(what)}: {problem}")
    if problems:
        complain("check", "not sound; keep a copy of the home, then restore a backup: everysite restore FILE")
    return FAILED if problems else OK
