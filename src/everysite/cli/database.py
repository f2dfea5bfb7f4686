"""everysite database copy FROM TO: what a tracker remembers, from one engine to the other.

Owns: the arguments, which homes are locked, what is said. Must not know: engines, how rows travel.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from everysite.errors import BadRequest, Conflict

if TYPE_CHECKING:
    from everysite.config import Settings

_EVERY_S = 5.0  # between two lines of progress
_OF_HOME = "home"


def arguments(parser: argparse.ArgumentParser) -> None:
    """copy FROM TO."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="copy")
    one = acts.add_parser("copy", help="all of it into an empty database, verified", allow_abbrev=False)
    where = "sqlite:///PATH, postgresql://USER@HOST/NAME, or 'home': what the tracker of --home remembers in"
    one.add_argument("source", metavar="FROM", help=where)
    one.add_argument("target", metavar="TO", help="the same; a file that is not there, or an empty database")
    one.add_argument("--home", metavar="DIR", help="the home (else EVERYSITE_HOME, else the data folder)")
    one.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=math.inf,
        help="for the tracker to be stopped (default: forever)",
    )
    one.add_argument("--json", action="store_true", help="for programs: the answer as JSON")


def run(args: argparse.Namespace) -> int:
    """0: everything is in TO, and was verified."""
    from everysite.assemble import copy_database
    from everysite.cli.output import show_json, show_table
    from everysite.config import home_of, load

    settings = load(home_of(args.home, os.environ), os.environ)
    source, target = _database(args.source, settings), _database(args.target, settings)
    homes = {home for word in (source, target) if (home := _home_of(word)) is not None}
    if args.home or _OF_HOME in (args.source, args.target):
        homes.add(settings.home.resolve())
    progress = _Progress()
    tables = copy_database(source, target, lambda: _locked(homes), progress.said, args.wait)
    rows = [(one.table, one.rows, one.rows, one.digest) for one in tables]
    if args.json:
        show_json({"verified": True, "tables": [{"table": one[0], "rows": one[1], "digest": one[3]} for one in rows]})
        return 0
    show_table(("table", "rows in FROM", "rows in TO", "digest, the same in both"), rows)
    return 0


def _database(word: str, settings: Settings) -> str:
    """A path, or an address with postgresql:// in front. Raises BadRequest."""
    from everysite.config.database_url import has_password, problem

    if word == _OF_HOME:
        return settings.index.url or str(settings.database)
    if word.startswith("sqlite:///") and len(word) > len("sqlite:///"):
        return "/" + unquote(word.removeprefix("sqlite:///")).lstrip("/")
    if problem(word):
        raise BadRequest("a database is named sqlite:///PATH, postgresql://USER@HOST/NAME, or 'home'")
    if has_password(word):
        raise BadRequest(
            "everybody on this machine could read that password; put it in PGPASSWORD or ~/.pgpass,"
            " or the whole address in EVERYSITE_INDEX__URL, and say 'home'"
        )
    return word


def _home_of(database: str) -> Path | None:
    """The home whose own file this is; None for others, like a backup."""
    from everysite.assemble import is_file

    folder = Path(database).resolve().parent
    return folder if is_file(database) and (folder / "run" / "lock").exists() else None


@contextlib.contextmanager
def _locked(homes: set[Path]) -> Iterator[None]:
    """Raises Conflict while a tracker runs in one of them."""
    from everysite.cli.home_lock import HomeLock

    with contextlib.ExitStack() as stack:
        for home in sorted(homes):
            try:
                stack.enter_context(HomeLock(home))
            except Conflict as err:
                raise Conflict(f"a tracker runs with the home {home}; stop it, the rest takes a moment then") from err
        yield


class _Progress:
    """A line on standard error now and then; that the tracker has to be stopped, once."""

    def __init__(self) -> None:
        self._rows = 0
        self._next = time.monotonic() + _EVERY_S
        self._waits = False

    def said(self, what: str, rows: int) -> None:
        """`rows` 0: it waits, and `what` says why."""
        from everysite.cli.output import printable

        self._rows += rows
        if not rows:
            if not self._waits:
                print(f"caught up, and following what changes; {printable(what)}", file=sys.stderr, flush=True)
            self._waits = True
        elif time.monotonic() >= self._next:
            print(f"{self._rows} rows read; at {what}", file=sys.stderr, flush=True)
            self._next = time.monotonic() + _EVERY_S
