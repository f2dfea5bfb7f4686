"""Copy one folder to another: resumable, verified.

Owns: the arguments of `everysite copy`, its exit codes (docs/copy.md), what an interrupt does.
Must not know: how anything is copied; how progress looks (copy_progress.py).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from everysite.errors import BadRequest

if TYPE_CHECKING:
    from everysite.observe.walk import Skip

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_MOST_PROCESSES = 4  # more only wait for each other's folders


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add = parser.add_argument
    add("source", metavar="SRC", help="folder or file; 'SRC/' means what is in the folder, 'SRC' the folder itself")
    add("target", metavar="DST", help="folder (made when only it is missing); for a file also the new name")
    add("--delete", action="store_true", help="remove at DST what SRC does not have, after the copies")
    add("-n", "--dry-run", action="store_true", help="say what would be done and change nothing")
    add("--check", action="store_true", help="read the folders of DST too instead of trusting the manifest")
    add("--read-back", action="store_true", help="read every written file from the disk again and compare")
    add("--files-from", metavar="LIST", help="only the paths in this file ('-': standard input), relative to SRC")
    add("--from0", action="store_true", help="paths in LIST end with NUL instead of a newline")
    add("--exclude", action="append", default=[], metavar="PATTERN", help="leave out (gitignore form); may be repeated")
    add("--include", action="append", default=[], metavar="PATTERN", help="take in what --exclude would leave out")
    add("--bwlimit", type=_rate, default=0, metavar="RATE", help="bytes a second at most, for example 800K or 20M")
    add("--state", metavar="DIR", help="folder of the manifests (default: everysite/copies in XDG_STATE_HOME)")
    add("--processes", type=int, default=_processes(), metavar="N", help="worker processes (default: %(default)s)")
    add("--json", action="store_true", help="one JSON object a line on standard output")
    add("-q", "--quiet", action="store_true", help="only errors")


def run(args: argparse.Namespace) -> int:
    """Copy; the exit code: 0 equal, 1 some files failed, 130 interrupted. Raises EverysiteError for the other cases."""
    from everysite.cli.copy_progress import Progress
    from everysite.transfer.tree_job import Options

    source, target = os.fsencode(args.source), os.fsencode(args.target)
    if args.processes < 1:
        raise BadRequest("--processes must be at least 1")
    skip = _skip(args.include, args.exclude)
    options = Options(
        args.delete, args.dry_run, args.check, args.read_back, args.bwlimit, min(args.processes, 16), skip
    )
    progress = Progress(args.json, args.quiet)
    with _Interrupt() as interrupt:
        summary = _copy(args, source, target, options, progress, interrupt)
    progress.finish(summary)
    if summary.stopped:
        return 130
    return 1 if summary.failed else 0
