"""everysite demo: three sites, a real tree, live; verified at the end.

Owns: what is told and in which order. Must not know: how to start processes (`showcase`), what a tree is (`trees`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everysite.cli.showcase import Showcase
    from everysite.cli.trees import Tree

_ADDED, _CHANGED, _RENAMED, _REMOVED = 40, 30, 20, 5  # files; enough to see, few enough for a tiny tree


def arguments(parser: argparse.ArgumentParser) -> None:
    """--tree, --home, --keep."""
    parser.add_argument(
        "--tree", metavar="DIR", help="show it with these files (default: this Python's standard library)"
    )
    parser.add_argument("--home", metavar="DIR", help="keep everything here; a new or empty folder")
    parser.add_argument("--keep", action="store_true", help="do not remove the temporary home at the end")


def run(args: argparse.Namespace) -> int:
    """The whole demo; 0 only when the three trees are equal by digest."""
    from everysite.cli.trees import Tree, standard_library

    tree = Tree(Path(args.tree).expanduser().absolute(), args.tree) if args.tree else standard_library()
    home, keep = _home(args, tree)
    try:
        return asyncio.run(_until_signal(home, tree))
    finally:
        if keep:
            print(f"everything is kept in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def _home(args: argparse.Namespace, tree: Tree) -> tuple[Path, bool]:
    """The folder for everything, made, and whether it stays. Raises Conflict, NotFound or Refused before it is made."""
    from everysite.cli.trees import check
    from everysite.errors import Conflict

    home = Path(args.home or tempfile.gettempdir()).expanduser().absolute()
    check(tree, home)
    if not args.home:
        return Path(tempfile.mkdtemp(prefix="everysite-demo-")).resolve(), args.keep
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise Conflict(f"{home} is not empty; give --home a new or empty folder")
    home.mkdir(parents=True, exist_ok=True)
    return home.resolve(), True


async def _until_signal(home: Path, tree: Tree) -> int:
    """The story, or what was told of it until Ctrl-C or SIGTERM: the processes end in order, the temporary home goes."""
    from everysite.cli.loop import ended_by_signal
    from everysite.cli.outcome import INTERRUPTED

    with ended_by_signal() as ended:
        story, signalled = asyncio.create_task(_story(home, tree)), asyncio.create_task(ended.wait())
        await asyncio.wait({story, signalled}, return_when=asyncio.FIRST_COMPLETED)
        if story.done():
            signalled.cancel()
            return story.result()
        story.cancel()
        await asyncio.gather(story, return_exceptions=True)
    print(file=sys.stderr)
    return INTERRUPTED


async def _story(home: Path, tree: Tree) -> int:
    from everysite.cli.output import printable
    from everysite.cli.showcase import SITES, Showcase
    from everysite.cli.trees import fill
    from everysite.errors import EverysiteError

    first = SITES[0]
    _say(f"Three sites share one tree: {', '.join(SITES)}. All of it lives in {home}")
    async with Showcase(home) as show:
        files, size = await asyncio.to_thread(fill, tree, show.folder(first))
        _say(f"1. {first} gets {tree.what}: {_count(files)}, {_size(size)}")
        try:
            await _live(show, files)
            return await _verdict(show)
        except EverysiteError:
            print("\n".join(map(printable, show.tails().splitlines())), file=sys.stderr)
            raise


async def _live(show: Showcase, files: int) -> None:
    from everysite.cli.showcase import SITES

    url = await show.start_tracker()
    _say(f"2. The tracker, which knows which site should have which file, runs at {url}")
    await show.start_sites()
    _say(f"3. An agent runs for each site; {SITES[0]} is scanned, and the others fetch what they lack")
    show.files = files
    await show.wait_until_some(0.25)
    await _busy_day(show)
    await show.wait_until_equal()
    _say("5. All three are equal again")
    await _away(show)
    await show.wait_until_equal()
    _say("7. All three are equal again. Now every byte of the three trees is read and compared")


async def _busy_day(show: Showcase) -> None:
    from everysite.cli import edits
    from everysite.cli.showcase import SITES

    paris, last = show.folder(SITES[0]), show.folder(SITES[-1])
    added = await asyncio.to_thread(edits.add, paris, "added", _ADDED)
    changed = await asyncio.to_thread(edits.change, paris, _CHANGED)
    renamed = await asyncio.to_thread(edits.rename, paris, _RENAMED)
    removed = await asyncio.to_thread(edits.remove, paris, _REMOVED)
    theirs = await asyncio.to_thread(edits.add, last, "from-" + SITES[-1], _ADDED)
    show.files += added + theirs - removed
    _say(
        f"4. While they copy, {SITES[0]} adds {added} files, changes {changed}, renames {renamed}, deletes {removed}; "
        f"{SITES[-1]} adds {theirs}"
    )


async def _away(show: Showcase) -> None:
    from everysite.cli import edits
    from everysite.cli.showcase import SITES

    await show.pause(SITES[1])
    moved = await asyncio.to_thread(edits.rename_folder, show.folder(SITES[0]))
    added = await asyncio.to_thread(edits.add, show.folder(SITES[0]), "while-away", _ADDED)
    show.files += added
    what = (
        f"renames a folder of {_count(moved[1])} (they are moved at every site, not sent again) and " if moved else ""
    )
    _say(f"6. {SITES[1]} is paused; {SITES[0]} {what}adds {added} files; {SITES[2]} follows at once")
    await show.wait_until_equal([SITES[0], SITES[2]])
    await show.resume(SITES[1])
    _say(f"   {SITES[1]} goes on and catches up")


async def _verdict(show: Showcase) -> int:
    from everysite.cli.output import Size, printable, show_table
    from everysite.cli.showcase import SITES
    from everysite.cli.trees import differences, digests

    found = [await asyncio.to_thread(digests, show.folder(site)) for site in SITES]
    wrong = [differences(found[0], other) for other in found]
    rows = [
        (site, len(tree.files), Size(tree.size), show.rate(site), "no" if bad else "yes, every byte")
        for site, tree, bad in zip(SITES, found, wrong, strict=True)
    ]
    print()
    show_table(("site", "files", "bytes", "files/s", "verified"), rows)
    for site, bad in zip(SITES, wrong, strict=True):
        for line in bad[:10]:
            print(f"everysite demo: {site}: {printable(line)}", file=sys.stderr)
        if bad[10:]:
            print(f"everysite demo: {site}: and {len(bad) - 10} more", file=sys.stderr)
    print()
    equal = not any(wrong)
    _say("The three trees are equal, compared by BLAKE3 digest." if equal else "The three trees are NOT equal.")
    return 0 if equal else 1


def _count(files: int) -> str:
    return f"{files:,} file" + ("" if files == 1 else "s")


def _size(count: int) -> str:
    from everysite.cli.output import size

    return size(count)


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)
