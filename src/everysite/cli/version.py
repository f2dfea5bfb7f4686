"""everysite version.

Owns: what version is shown. Must not know: the tracker (its version is in `everysite status`).
"""

from __future__ import annotations

import argparse

from everysite import __version__


def arguments(parser: argparse.ArgumentParser) -> None:
    """None but --json."""
    parser.add_argument("--json", action="store_true", help="as a JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the version."""
    if args.json:
        import json
        import platform

        print(json.dumps({"version": __version__, "python": platform.python_version()}))
    else:
        print(f"everysite {__version__}")
    return 0
