"""everysite up: a tracker, and the agent of the sites whose folders are on its machine.

Owns: the arguments, the order of starting and ending, signals, what is printed.
Must not know: how the tracker is put together (`assemble`), what the agent does.
"""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING, Any

from everysite.cli import loop

if TYPE_CHECKING:
    from everysite.assemble import Doors
    from everysite.config import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """--home, --host, --port, and the rules of encryption."""
    parser.add_argument(
        "--home", metavar="DIR", help="everything lives here (else EVERYSITE_HOME, else the data folder)"
    )
    parser.add_argument("--host", metavar="ADDRESS", help="listen there (default 127.0.0.1); any other one needs TLS")
    parser.add_argument("--port", metavar="N", help="default 8090, with TLS 8443; 0 takes a free one")
    parser.add_argument("--database", metavar="URL", help="remember in postgresql://user@host/name, not in a file")
    parser.add_argument("--tls-cert", metavar="FILE", help="PEM certificate (default: a self-signed one)")
    parser.add_argument("--tls-key", metavar="FILE", help="PEM key of the certificate")
    parser.add_argument("--behind-proxy", action="store_true", help="a proxy in front does TLS: plain HTTP anywhere")
    parser.add_argument("--base-path", metavar="/PATH", help="what the proxy puts in front of every path")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then end in order: 0."""
    from everysite.cli.home_lock import HomeLock
    from everysite.config import home_of, load

    settings = load(home_of(args.home, os.environ), os.environ, _overrides(args))
    with HomeLock(settings.home):
        return loop.run(_serve(settings))


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line sets. --port is the port that will be listened on, encrypted or not."""
    from everysite.config.database_url import has_password
    from everysite.errors import BadRequest

    if args.database and has_password(args.database):
        raise BadRequest(
            "--database: everybody on this machine could read that password; "
            "give the address in the environment instead, as EVERYSITE_INDEX__URL, or the password in ~/.pgpass"
        )
    given = {
        "index.url": args.database,
        "server.host": args.host,
        "server.port": args.port,
        "server.tls_port": args.port,
        "server.tls_cert": args.tls_cert and os.path.abspath(args.tls_cert),
        "server.tls_key": args.tls_key and os.path.abspath(args.tls_key),
        "server.behind_proxy": args.behind_proxy or None,
        "server.base_path": args.base_path,
    }
    return {key: value for key, value in given.items() if value is not None}


async def _serve(settings: Settings) -> int:
    from everysite.assemble import open_doors, open_tracker
    from everysite.cli.household import ADMIN_PASSWORD, ADMIN_USER, Household, first_admin

    password = os.environ.pop(ADMIN_PASSWORD, "")  # not for the processes we start
    async with open_tracker(settings) as service, open_doors(service, settings) as doors:
        generated = await first_admin(service, os.environ.get(ADMIN_USER) or "admin", password)
        async with Household(service, settings, doors) as household:
            with loop.ended_by_signal(household.kill) as ended:
                _welcome(settings, doors, generated)
                await ended.wait()
                print("stopping", flush=True)
    return 0


def _welcome(settings: Settings, doors: Doors, generated: tuple[str, str] | None) -> None:
    from everysite.config import home_of

    home = "" if settings.home == home_of(None, os.environ) else f" --home {shlex.quote(str(settings.home))}"
    lines = [f"everysite serves {doors.url}   (home: {settings.home})"]
    if generated:
        lines.append(f"user {generated[0]}, password {generated[1]}   (shown this once; keep it)")
    if doors.fingerprint:
        lines.append(f"certificate fingerprint {doors.fingerprint}")
    lines += [
        f"  a folder of this machine:    everysite site add NAME FOLDER{home}",
        f"  a folder of another one:     everysite site add NAME{home}",
        f"  see how the sites stand:     everysite status{home}",
    ]
    print("\n".join(lines), flush=True)
