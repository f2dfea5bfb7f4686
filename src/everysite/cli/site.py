"""everysite site add|list|show|set|pause|resume|remove|token.

Owns: the arguments, which folder a new site gets, and the line to type on its machine.
Must not know: how a site is kept; the tracker checks names, folders and keys again.
"""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from everysite.cli.reach import add_options, ask, find, talk

if TYPE_CHECKING:
    from everysite.cli.reach import Place
    from everysite.client import Client
    from everysite.tracker.messages import JoinToken, SiteInfo

DIRECTIONS = ("both", "send", "receive")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The eight acts."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="add|list|show|set|pause|resume|remove|token")
    add = acts.add_parser("add", help="add a site", allow_abbrev=False)
    add.add_argument("name", metavar="NAME", help="1 to 64 letters, digits, '_' or '-'")
    add.add_argument(
        "folder", metavar="FOLDER", nargs="?", help="on the tracker's machine (none: the site joins from elsewhere)"
    )
    add.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="a key, as in 'site set'")
    change = acts.add_parser("set", help="configure a site while it runs", allow_abbrev=False)
    change.add_argument("name", metavar="NAME")
    change.add_argument("pairs", metavar="KEY=VALUE", nargs="*", help="like sleepBetweenScans=30; KEY=null removes it")
    change.add_argument("--folder", metavar="FOLDER", help="its files lie here now")
    for each in (add, change):
        each.add_argument("--prefix", metavar="/PATH/", help="the part of all paths kept there (default: all)")
        each.add_argument("--direction", choices=DIRECTIONS, help="send: takes no copies; receive: publishes nothing")
        add_options(each)
    add_options(acts.add_parser("list", help="all sites", allow_abbrev=False))
    texts = {
        "show": "one site, with all its keys",
        "pause": "let it do nothing until 'resume'",
        "resume": "let it go on",
        "remove": "forget it; its files stay",
        "token": "a new line to join with",
    }
    for act, text in texts.items():
        one = acts.add_parser(act, help=text, allow_abbrev=False)
        one.add_argument("name", metavar="NAME")
        add_options(one)


def run(args: argparse.Namespace) -> int:
    """Dispatch."""
    if args.act in ("pause", "resume"):
        return _pause(args, args.act == "pause")
    acts = {"add": _add, "list": _list, "show": _show, "set": _set, "remove": _remove, "token": _token}
    return acts[args.act](args)


def _add(args: argparse.Namespace) -> int:
    from everysite.cli.words import pairs
    from everysite.model.site import check_site_name
    from everysite.tracker.messages import SiteChange

    check_site_name(args.name)
    keys = pairs(args.set)
    url = None if args.folder is None else _store(args.folder, find(args))
    change = SiteChange(args.name, True, url, args.prefix, args.direction, None, keys)
    return talk(args, lambda client: _carry_out_add(client, args, change))


async def _carry_out_add(client: Client, args: argparse.Namespace, change: Any) -> int:
    from everysite.cli.output import show_json
    from everysite.tracker.contract import JOIN_TOKEN, PUT_SITE
    from everysite.tracker.messages import Named

    info = await client.call(PUT_SITE, change)
    if change.url is not None:
        if args.json:
            show_json(_shown(info))
        else:
            print(f"site {info.name} added; the agent beside the tracker serves {_where(info)}")
        return 0
    token = await client.call(JOIN_TOKEN, Named(info.name))
    if args.json:
        show_json({**_shown(info), **_join(find(args), token)})
    else:
        print(f"site {info.name} added; on its machine, type:")
        _say_join(find(args), token)
    return 0


def _store(folder: str, place: Place) -> str:
    """A store url for a folder on the tracker's machine. Raises BadRequest when that is not this machine."""
    from everysite.cli.words import existing_folder
    from everysite.errors import BadRequest

    if folder.startswith("file://"):
        if place.local:
            from urllib.parse import unquote, urlsplit

            existing_folder(unquote(urlsplit(folder).path) or "/")
        return folder
    if "://" in folder:
        raise BadRequest(f"{folder!r} is no folder; give a path, or file:///path/")
    if not place.local:
        raise BadRequest(
            f"the tracker {place.url} is on another machine: add the site without a folder and join from here, "
            f"or give file:///PATH/ for a folder over there"
        )
    return existing_folder(folder).as_uri() + "/"


def _list(args: argparse.Namespace) -> int:
    from everysite.cli.output import moment, show_json, show_table
    from everysite.tracker.contract import SITES
    from everysite.tracker.messages import Nothing

    sites = ask(args, SITES, Nothing()).sites
    if args.json:
        show_json([_shown(site) for site in sites])
        return 0
    rows = [(s.name, "paused" if s.paused else s.agent, moment(s.seen), _where(s)) for s in sites]
    show_table(
        ("site", "agent", "last seen", "folder"), rows, "no sites yet; add one with: everysite site add NAME FOLDER"
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    from everysite.cli.output import moment, show_json, show_table
    from everysite.tracker.contract import SITE
    from everysite.tracker.messages import Named

    site = ask(args, SITE, Named(args.name))
    if args.json:
        show_json(_shown(site))
        return 0
    rows: list[tuple[str, object]] = [("name", site.name), ("paused", site.paused), ("agent", site.agent)]
    rows.append(("last seen", moment(site.seen)))
    for mapping in site.mappings:
        rows.append(("folder", mapping.url or "(comes with its agent)"))
        rows.append(("prefix", mapping.prefix))
        rows.append(("direction", mapping.direction))
    rows += [(key, value) for key, value in sorted(site.element.items())]
    show_table(("key", "value"), rows)
    return 0


def _set(args: argparse.Namespace) -> int:
    from everysite.cli.output import show_json
    from everysite.cli.words import pairs
    from everysite.errors import BadRequest
    from everysite.tracker.contract import PUT_SITE
    from everysite.tracker.messages import SiteChange

    keys = pairs(args.pairs)
    if not keys and args.prefix is args.direction is args.folder is None:
        raise BadRequest("nothing to change was named; see 'everysite site set --help'")
    url = None if args.folder is None else _store(args.folder, find(args))
    info = ask(args, PUT_SITE, SiteChange(args.name, False, url, args.prefix, args.direction, None, keys))
    if args.json:
        show_json(_shown(info))
    else:
        print(f"site {info.name} changed; its agent follows within seconds")
    return 0


def _pause(args: argparse.Namespace, paused: bool) -> int:
    from everysite.cli.output import show_json
    from everysite.tracker.contract import PUT_SITE
    from everysite.tracker.messages import SiteChange

    info = ask(args, PUT_SITE, SiteChange(args.name, paused=paused))
    if args.json:
        show_json(_shown(info))
    else:
        print(f"site {info.name} is paused; 'everysite site resume {info.name}' lets it go on" if paused else _on(info))
    return 0


def _on(info: SiteInfo) -> str:
    return f"site {info.name} goes on"


def _remove(args: argparse.Namespace) -> int:
    from everysite.cli.output import show_json
    from everysite.tracker.contract import REMOVE_SITE
    from everysite.tracker.messages import Named

    ask(args, REMOVE_SITE, Named(args.name))
    if args.json:
        show_json({"removed": args.name})
    else:
        print(f"site {args.name} is forgotten; its files stay where they are")
    return 0


def _token(args: argparse.Namespace) -> int:
    from everysite.cli.output import show_json
    from everysite.tracker.contract import JOIN_TOKEN
    from everysite.tracker.messages import Named

    token = ask(args, JOIN_TOKEN, Named(args.name))
    if args.json:
        show_json(_join(find(args), token))
    else:
        _say_join(find(args), token)
    return 0


def _join(place: Place, token: JoinToken) -> dict[str, str]:
    """What `everysite join` wants; the certificate's fingerprint is inside the token."""
    from everysite.client import encode_join

    return {"url": place.public, "token": encode_join(place.public, token.token, place.public_fingerprint)}


def _say_join(place: Place, token: JoinToken) -> None:
    words = _join(place, token)
    print(f"  everysite join {shlex.quote(words['url'])} {words['token']} FOLDER")


def _where(info: SiteInfo) -> str:
    from urllib.parse import unquote

    urls = [unquote(m.url.removeprefix("file://")) for m in info.mappings if m.url]
    return ", ".join(urls) or "(none yet: waits for 'everysite join')"


def _shown(info: SiteInfo) -> dict[str, Any]:
    import msgspec

    shown: dict[str, Any] = msgspec.to_builtins(info)
    return shown
