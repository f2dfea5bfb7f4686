"""everysite restore FILE --home DIR: put a backup in the place of what a home keeps.

Owns: the arguments, that nobody runs there meanwhile, what is said afterwards. Must not know: the engine's files.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import BinaryIO

from everysite.errors import BadRequest, Unreadable


def arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, --home."""
    parser.add_argument("file", metavar="FILE", help="made by 'everysite backup'; '-': standard input")
    parser.add_argument("--home", metavar="DIR", help="the home to restore (else EVERYSITE_HOME, else the data folder)")
    parser.add_argument("--json", action="store_true", help="for programs: the answer as JSON")


def run(args: argparse.Namespace) -> int:
    """Under the lock of the home; what it kept before stays beside it."""
    from everysite.assemble import restore_index
    from everysite.cli.home_lock import HomeLock
    from everysite.config import home_of, load

    settings = load(home_of(args.home, os.environ), os.environ)
    shown = "standard input" if args.file == "-" else args.file
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(_opened(args.file, settings.database))
        stack.enter_context(HomeLock(settings.home))
        kept = restore_index(settings, source, shown)
    return _said(args, settings.remembers, kept)


def _opened(word: str, database: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    """Raises BadRequest for what is certainly no backup: files in use have more than one part."""
    if word == "-":
        if sys.stdin.isatty():
            raise BadRequest("no backup comes in; send one: everysite restore - < FILE")
        return contextlib.nullcontext(sys.stdin.buffer)
    file = Path(word)
    if file.exists() and database.exists() and file.samefile(database):
        raise BadRequest(f"{word} is the database of this home itself; name a backup of it")
    log = Path(f"{word}-wal")
    if log.exists() and log.stat().st_size:
        raise BadRequest(
            f"{word} is a database in use or of a killed program, no backup; see 'everysite backup --help'"
        )
    try:
        return file.open("rb")
    except OSError as err:
        raise Unreadable(f"{word} cannot be read ({err.strerror}); name a file made by 'everysite backup'") from err


def _said(args: argparse.Namespace, database: str, kept: Path | None) -> int:
    from everysite.cli.output import printable, show_json

    if args.json:
        show_json({"restored": database, "kept": str(kept) if kept else None})
        return 0
    print(f"restored {printable(database)}")
    if kept is not None:
        print(f"what was there before is kept as {printable(str(kept))}; remove it when all is well")
    return 0
