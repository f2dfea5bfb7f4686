"""everysite version: of this program; with words, a new version of an element.

Owns: what version is shown, and which of the two is meant.
Must not know: the tracker's own version (it is in `everysite status`).
"""

from __future__ import annotations

import argparse

from everysite import __version__
from everysite.cli.element_verbs import BY_NAME

_ELEMENT = BY_NAME["version"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """None but --json for the program; the words of the element verb."""
    _ELEMENT.arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the version of the program, or ask the tracker for one of the element."""
    if args.words or args.file is not None:
        return _ELEMENT.run(args)
    if args.json:
        import json
        import platform

        print(json.dumps({"version": __version__, "python": platform.python_version()}))
    else:
        print(f"everysite {__version__}")
    return 0
