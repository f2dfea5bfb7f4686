"""everysite import damas DUMP... --home DIR: a dump of an older tracker, and its conf.json, become this home's.

Owns: the arguments, the dry run, what is printed and its exit code. Must not know: the forms of dumps, the verbs used.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from everysite.cli import loop
from everysite.errors import BadRequest, Unreadable

if TYPE_CHECKING:
    from everysite.config import Settings
    from everysite.importer.load import Outcome

_SHOWN = 20  # lines of a kind; --report has all
_AUTHOR = "import"


def arguments(parser: argparse.ArgumentParser) -> None:
    """damas DUMP..., --home, --conf."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="damas")
    one = acts.add_parser("damas", help="a dump of damas-core, and its conf.json", allow_abbrev=False)
    one.add_argument("dumps", metavar="DUMP", nargs="*", help="by mongoexport or mongodump: a file, or its folder")
    one.add_argument("--home", metavar="DIR", help="the home to fill (else EVERYSITE_HOME, else the data folder)")
    one.add_argument("--conf", metavar="FILE", help="conf.json of the old tracker; ports from HTTP_PORT and HTTPS_PORT")
    one.add_argument("--collection", metavar="NAME", default="", help="where the dump has several")
    one.add_argument("--overwrite", action="store_true", help="what is there and differs becomes as in the dump")
    one.add_argument("--dry-run", action="store_true", help="in a copy of the home's database, which is removed")
    one.add_argument("--report", metavar="FILE", help="all that was refused or differs, one JSON object a line")
    one.add_argument("--json", action="store_true", help="for programs: the answer as JSON")


def run(args: argparse.Namespace) -> int:
    """0 when everything in the dump is there now; 1 when something was refused or differs, which is named."""
    from everysite.cli.home_lock import HomeLock
    from everysite.config import home_of, load

    if not args.dumps and not args.conf:
        raise BadRequest("name a dump, or a conf.json with --conf; see 'everysite import damas --help'")
    home = home_of(args.home, os.environ)
    with contextlib.ExitStack() as stack:
        if not args.dry_run or home.exists():
            stack.enter_context(HomeLock(home))
        conf = _settings(args, home)
        report = _Report(stack.enter_context(_opened(args.report)), quiet=args.json)
        outcome = None
        if args.dumps:
            settings = stack.enter_context(_place(load(home, os.environ), args.dry_run))
            outcome = loop.run(_import(args, settings, report))
    return _said(args, outcome, conf, report)


async def _import(args: argparse.Namespace, settings: Settings, report: _Report) -> Outcome:
    from everysite.assemble import open_tracker
    from everysite.importer import dumps
    from everysite.importer.load import Loading
    from everysite.tracker.operation import Caller

    def dump(check: bool) -> Iterator[Any]:
        return dumps.documents(args.dumps, args.collection, check)

    progress = report.progress if sys.stderr.isatty() else None
    async with open_tracker(settings) as service:
        tracker = service.as_caller(Caller(_AUTHOR, "admin"))
        return await Loading(tracker, dump, report, args.overwrite, progress).run()


@contextlib.contextmanager
def _place(settings: Settings, dry: bool) -> Iterator[Settings]:
    """The settings to import with. A dry run works in a folder of its own, with a copy of what the home keeps."""
    from msgspec.structs import replace

    # Identifiers come as they are, and no limit that is meant for clients is in the way.
    api = replace(settings.api, id_pattern="", enforce_locks=False, author_mode=False, max_batch=10_000)
    settings = replace(settings, api=api)
    if not dry:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="everysite-dry-run-") as folder:
        for file in (settings.database, Path(f"{settings.database}-wal")):
            if file.exists():
                shutil.copyfile(file, Path(folder) / file.name.replace(settings.database.name, "everysite.db"))
        yield replace(settings, home=Path(folder), index=replace(settings.index, path=""))


def _settings(args: argparse.Namespace, home: Path) -> dict[str, dict[str, Any]]:
    """Write what a conf.json says into everysite.toml; settings that were set there otherwise stay without --overwrite."""
    from everysite.config import check, describe, write
    from everysite.importer.conf import read

    if not args.conf:
        return {}
    found = read(Path(args.conf), os.environ)
    there = {key.key: key.value for key in describe(home, {}) if key.source != "default"}
    kept = {key: there[key] for key, value in found.values.items() if key in there and there[key] != value}
    values = {key: value for key, value in found.values.items() if args.overwrite or key not in kept}
    if problems := check(home, {}, values):
        raise BadRequest(f"{args.conf}: " + "; ".join(problems))
    for key, value in values.items() if not args.dry_run else ():
        write(home, key, value)
    return {"set": values, "kept": {} if args.overwrite else kept, "without": found.without}


@contextlib.contextmanager
def _opened(name: str | None) -> Iterator[TextIO | None]:
    if name is None:
        yield None
        return
    try:
        with Path(name).open("w", encoding="utf-8") as file:
            yield file
    except OSError as err:
        raise Unreadable(f"{name} cannot be written ({err.strerror}); name another file with --report") from err


class _Report:
    """What did not simply come: all of it into the file, the first of each kind on stderr."""

    def __init__(self, file: TextIO | None, quiet: bool) -> None:
        self._file, self._quiet = file, quiet
        self.counts = {"refused": 0, "differs": 0, "note": 0}
        self.first: list[dict[str, str]] = []

    def __call__(self, what: str, place: str, key: str, why: str) -> None:
        from everysite.cli.output import printable

        row = {"what": what, "place": place, "_id": key, "why": why}
        self.counts[what] += 1
        if self._file is not None:
            import msgspec

            self._file.write(msgspec.json.encode(row).decode() + "\n")
        if self.counts[what] > _SHOWN:
            return
        self.first.append(row)
        if not self._quiet:
            print(printable(f"{what}: {place}: {key}: {why}"), file=sys.stderr)

    def progress(self, count: int) -> None:
        """On a terminal: how many documents are done."""
        print(f"\r{count:,} documents", end="\r", file=sys.stderr, flush=True)


def _said(args: argparse.Namespace, outcome: Outcome | None, conf: dict[str, dict[str, Any]], report: _Report) -> int:
    from everysite.cli.output import show_json

    if args.json:
        show_json({"dryRun": args.dry_run, "import": outcome, "settings": conf or None, "first": report.first})
    else:
        _print_settings(conf)
        if outcome is not None:
            _print_outcome(outcome, report, args.dry_run)
    whole = outcome is None or (outcome.sound and not outcome.refused and not outcome.differing)
    return 0 if whole else 1


def _print_settings(conf: dict[str, dict[str, Any]]) -> None:
    from everysite.cli.output import printable

    for key, value in conf.get("set", {}).items():
        print(printable(f"setting {key} = {value!r}"))
    for key, value in conf.get("kept", {}).items():
        print(printable(f"setting {key} stays {value!r}; --overwrite replaces it"))
    for key, why in conf.get("without", {}).items():
        print(printable(f"no counterpart: {key}: {why}"))


def _print_outcome(outcome: Outcome, report: _Report, dry: bool) -> None:
    from everysite.cli.output import show_table

    rows = [(f"{kind}s" if kind not in ("parameters", "child") else "children" if kind == "child" else kind, count)
            for kind, count in sorted(outcome.came.items())]  # fmt: skip
    rows += [("there already", outcome.there), ("overwritten", outcome.overwritten)]
    rows += [("differing", outcome.differing), ("refused", outcome.refused), ("in the dump", outcome.read)]
    show_table(("would come" if dry else "came", "count"), rows)
    more = {what: count - _SHOWN for what, count in report.counts.items() if count > _SHOWN}
    for what, count in more.items():
        print(f"{what}: {count} more; --report FILE lists all")
    verdict = "verified" if outcome.sound else "NOT VERIFIED: the tracker differs from the dump; import again"
    print(f"{verdict}: {outcome.verified} elements, sum of digests {outcome.digest}")
