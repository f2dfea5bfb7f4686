"""Copy one folder to another: resumable, verified.

Owns: the arguments of `everysite copy`, its exit codes (docs/copy.md), what an interrupt does.
Must not know: how anything is copied; how progress looks (copy_progress.py).
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from everysite.errors import BadRequest

if TYPE_CHECKING:
    from types import FrameType

    from everysite.cli.copy_progress import Progress
    from everysite.observe.folder import Skip
    from everysite.transfer.tree import Summary
    from everysite.transfer.tree_job import Options

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
    from everysite.transfer.tree_job import Options as Chosen

    source, target = os.fsencode(args.source), os.fsencode(args.target)
    if args.processes < 1:
        raise BadRequest("--processes must be at least 1")
    skip = _skip(args.include, args.exclude)
    options = Chosen(args.delete, args.dry_run, args.check, args.read_back, args.bwlimit, min(args.processes, 16), skip)
    progress = Progress(args.json, args.quiet)
    with _Interrupt() as interrupt:
        summary = _copy(args, source, target, options, progress, interrupt)
    progress.finish(summary)
    if summary.stopped:
        return 130
    return 1 if summary.failed else 0


def _copy(
    args: argparse.Namespace, source: bytes, target: bytes, options: Options, progress: Progress, interrupt: _Interrupt
) -> Summary:
    from everysite.transfer.tree_start import copy_tree, is_file

    if is_file(source) and not source.endswith(b"/"):
        if args.files_from is not None:
            raise BadRequest("--files-from names paths below a folder, but the source is a file")
        from everysite.transfer.tree_single import copy_single

        return copy_single(source, target, options, progress.hear, interrupt.asked)
    if not source.endswith(b"/"):
        target = os.path.join(target, os.path.basename(os.path.abspath(source)))
    rules = "\0".join(["-", *args.exclude, "+", *args.include]).encode() if options.skip else b""
    named = _names(args.files_from, args.from0) if args.files_from is not None else None
    return copy_tree(source, target, _state(args.state), options, progress.hear, interrupt.asked, named, rules)


def _state(given: str | None) -> bytes:
    if given is not None:
        return os.fsencode(given)
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.fsencode(os.path.join(home, "everysite", "copies"))


def _names(place: str, nul: bool) -> list[bytes]:
    """The paths of --files-from. All of them are read first: a list that breaks off must not look complete."""
    try:
        if place == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(place, "rb") as file:
                data = file.read()
    except OSError as err:
        raise BadRequest(f"--files-from {place}: {err.strerror}") from err
    return [line for line in data.split(b"\0" if nul else b"\n") if line]


def _skip(include: list[str], exclude: list[str]) -> Skip | None:
    if not exclude:
        if include:
            raise BadRequest("--include takes back what --exclude leaves out; give an --exclude too")
        return None
    from everysite.observe.patterns import ignoring

    return ignoring([*exclude, *("!" + pattern for pattern in include)])


def _rate(text: str) -> int:
    number, unit = text.rstrip("KMGkmg"), text[len(text.rstrip("KMGkmg")) :].upper()
    if not number.isdigit() or unit not in _UNITS or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no rate; write for example 800K or 20M")
    return int(number) * _UNITS[unit]


def _processes() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_PROCESSES)


class _Interrupt:
    """Ctrl-C and SIGTERM become a flag that the copy asks for; a second Ctrl-C is answered the usual way."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, object] = {}

    def asked(self) -> bool:
        """Whether to stop."""
        return self._asked

    def __enter__(self) -> _Interrupt:
        import signal

        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        import signal

        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
