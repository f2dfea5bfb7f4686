"""everysite publish PATH...: announce files, and wait for them if asked.

Owns: what a PATH on the command line stands for, and the waiting. JSON goes the way of the other verbs of elements.
Must not know: how files travel.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from everysite.cli.element_verbs import BY_NAME
from everysite.cli.element_words import is_json
from everysite.cli.outcome import complain
from everysite.cli.reach import add_options, talk

if TYPE_CHECKING:
    from everysite.client import Client
    from everysite.tracker.messages import SiteInfo, Why

_JSON_FORM = BY_NAME["publish"]
_ARRIVED = frozenset({"current", "origin", "not wanted"})
_STUCK = frozenset({"failed", "conflict"})


def arguments(parser: argparse.ArgumentParser) -> None:
    """PATH..., --origin, --to, --comment, --priority, --wait; or JSON as in the other verbs of elements."""
    parser.add_argument(
        "words",
        metavar="PATH",
        nargs="*",
        help="like /shots/010.exr, or a file in the site's folder; or JSON objects ('-': from standard input)",
    )
    parser.add_argument("--origin", metavar="SITE", help="where the files are (JSON says it itself)")
    parser.add_argument("--changed", action="store_true", help="they are tracked already and have new content")
    parser.add_argument("--comment", metavar="TEXT", default="", help="kept with the files")
    parser.add_argument("--priority", metavar="N", type=int, help="higher goes first (default 0)")
    parser.add_argument("--to", metavar="SITE", action="append", default=[], help="only to this site (again for more)")
    parser.add_argument("--wait", action="store_true", help="until they are where they are wanted")
    parser.add_argument(
        "--timeout", metavar="S", type=float, help="with --wait: give up after so many seconds (exit 1)"
    )
    _JSON_FORM.options(parser)
    parser.set_defaults(wrong=parser.error)
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Publish, say which were tracked already, wait."""
    from everysite.errors import BadRequest

    if _is_json_form(args):
        return _JSON_FORM.run(args)
    if not args.words:
        args.wrong("give a PATH, or JSON objects")
    if args.origin is None:
        args.wrong("give --origin SITE, where the files are")
    if args.changed and (args.to or args.priority is not None):
        raise BadRequest("--changed says that there is new content; where a file goes is changed by its own keys")
    if args.timeout is not None and not args.wait:
        raise BadRequest("--timeout is for --wait; give both or none")
    return talk(args, lambda client: _publish(client, args))


def _is_json_form(args: argparse.Namespace) -> bool:
    """With --origin every word is a path; a file may be called '{a}.exr'."""
    if args.origin is not None and args.file is None and not args.lines:
        return False
    named = args.file is not None or args.lines or args.words == ["-"]
    if not named and not (args.words and all(is_json(word) for word in args.words)):
        return False
    if args.origin or args.to or args.comment or args.changed or args.wait or args.priority is not None:
        args.wrong("JSON says origin, comment and priority itself, and does not wait; leave these options out")
    return True


async def _publish(client: Client, args: argparse.Namespace) -> int:
    from everysite.cli.output import show_json
    from everysite.tracker.contract import PUBLISH, SITE, SITES, UPDATE
    from everysite.tracker.messages import Items, Named, Nothing

    origin = await client.call(SITE, Named(args.origin))
    for site in args.to:
        await client.call(SITE, Named(site))  # NotFound before anything is written
    keys = [path_of(path, origin) for path in args.words]
    if args.changed:
        items = (await client.call(UPDATE, Items([_news(key, args) for key in keys]))).items
        hint = "is not tracked yet; leave --changed out to publish it"
    else:
        items = (await client.call(PUBLISH, Items([_body(key, origin.name, args) for key in keys]))).items
        hint = "is tracked already; with new content, publish it with --changed"
    tracked = [key for key, item in zip(keys, items, strict=True) if item is None]
    for key in tracked:
        complain("publish", f"{key} {hint}")
    new = [key for key in keys if key not in tracked]
    arrived = True
    if args.wait and new:
        names = args.to or [s.name for s in (await client.call(SITES, Nothing())).sites]
        arrived = await _wait(client, args, new, [n for n in names if n.lower() != origin.name.lower()])
    if args.json:
        show_json({"published": new, "tracked": tracked, "arrived": arrived if args.wait else None})
    elif new:
        print(f"{len(new)} published" + (" and where they are wanted" if args.wait and arrived else ""))
    return 0 if arrived and not tracked else 1


def path_of(text: str, origin: SiteInfo) -> str:
    """The `_id` a word stands for: a file that exists below the origin's folder is translated, else the word is the path.

    Raises BadRequest for a relative word that is no file there, PathRefused for a malformed one.
    """
    from everysite.errors import BadRequest
    from everysite.model.path import check_id, key_of

    found = os.fsencode(os.path.abspath(text))
    for mapping in origin.mappings:
        folder = unquote_to_bytes(urlsplit(mapping.url).path)
        for path in (found, os.path.join(os.path.realpath(os.path.dirname(found)), os.path.basename(found))):
            if mapping.url and path.startswith(folder) and os.path.lexists(path):
                return check_id(key_of(path[len(folder) :], mapping.prefix, _package(text, path)))
    if not text.startswith("/"):
        raise BadRequest(f"{text} is no file in the folder of {origin.name}; give its path there, like /shots/010.exr")
    return check_id(text)


def _package(text: str, path: bytes) -> bool:
    from everysite.errors import BadRequest

    if os.path.isdir(path) and not text.endswith("/"):
        raise BadRequest(f"{text} is a folder; publish its files, or end it with '/' to publish it whole, as a package")
    return os.path.isdir(path)


def _body(key: str, origin: str, args: argparse.Namespace) -> dict[str, Any]:
    body: dict[str, Any] = {"_id": key, "origin": origin, "comment": args.comment}
    if args.priority is not None:
        body["sync_priority"] = args.priority
    if args.to:
        body |= {"syncEverywhere": False, **{f"sync_{site}": True for site in args.to}}
    return body


def _news(key: str, args: argparse.Namespace) -> dict[str, Any]:
    """Writing `file_mtime` (ms) tells the tracker to have the origin look at the file at once."""
    body: dict[str, Any] = {"_id": key, "file_mtime": time.time_ns() // 1_000_000}
    return body | ({"comment": args.comment} if args.comment else {})


async def _wait(client: Client, args: argparse.Namespace, keys: list[str], sites: list[str]) -> bool:
    """Whether all of them arrived; says which did not and why."""
    from everysite.cli.progress import Bar, Progress

    until = None if args.timeout is None else time.monotonic() + args.timeout
    waiting = await _reasons(client, [(key, site) for site in sites for key in keys])
    with Progress("waiting", quiet=args.json) as progress:
        while waiting:
            left = {site: sum(1 for _, s in waiting if s == site) for site in sites}
            progress.update([Bar(site, len(keys) - left[site], len(keys), 0) for site in sites])
            stuck = all(why.state in _STUCK for why in waiting.values())
            if stuck or (until is not None and time.monotonic() >= until):
                break
            await asyncio.sleep(0.2)
            settled = await _settled(client, list(waiting))
            waiting = {pair: why for pair, why in waiting.items() if pair not in settled}
            waiting |= await _reasons(client, settled)
    for why in waiting.values():
        complain("publish", why.sentence)
    return not waiting


async def _reasons(client: Client, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], Why]:
    """Why those of these (path, site) that have not arrived are not there."""
    from everysite.tracker.contract import WHY
    from everysite.tracker.messages import WhyAsked

    found = {(key, site): await client.call(WHY, WhyAsked(key, site)) for key, site in pairs}
    return {pair: why for pair, why in found.items() if why.state not in _ARRIVED}


async def _settled(client: Client, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that something has happened to: one call for a thousand paths, so that waiting costs the tracker little."""
    from everysite.tracker.contract import READ
    from everysite.tracker.messages import Ids

    keys: list[str | None] = list(dict.fromkeys(key for key, _ in pairs))
    bodies: dict[str, dict[str, Any]] = {}
    for start in range(0, len(keys), 1000):
        items = (await client.call(READ, Ids(keys[start : start + 1000]))).items
        bodies |= {item["_id"]: item for item in items if item is not None}
    marks = ("synced", "syncError", "modified", "deleted")
    return [(k, s) for k, s in pairs if k not in bodies or any(f"{mark}_{s}" in bodies[k] for mark in marks)]
