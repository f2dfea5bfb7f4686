"""everysite <verb>: finds the verb, imports its module and nothing else.

Owns: the table of verbs, what the bare command and `--help` print, and how an error becomes a line and an exit code.
Must not know: what any verb does. `everysite --help` has to answer at once, so even argparse waits for a verb.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import argparse

VERBS: dict[str, tuple[str, str]] = {
    "up": ("up", "run a tracker, and the agent of the sites on this machine"),
    "demo": ("demo", "three sites and a real tree, live; verified at the end"),
    "copy": ("copy", "copy one folder to another: resumable, verified"),
    "site": ("site", "add, list, show, set, pause, resume or remove a site; its join token"),
    "publish": ("publish", "announce files so that the other sites get them"),
    "status": ("status", "how every site stands"),
    "why": ("why", "why a file is or is not on a site, in one sentence"),
    "log": ("log", "what happened to a file"),
    "join": ("join", "make this machine a site of a tracker, and serve it"),
    "agent": ("agent", "serve a site that was joined before"),
    "sign-in": ("sign_in", "keep a token for a tracker, so that the other verbs may use it"),
    "sign-out": ("sign_out", "revoke and forget that token"),
    "user": ("user", "add, list, set or remove a user"),
    "token": ("token", "add, list or remove a token for a program"),
    "config": ("config", "show, set or check the settings of a home"),
    "version": ("version", "the version of this program"),
}
"""verb -> (module of this package, one line for the overview). The module offers `arguments` and `run`."""


class Verb(Protocol):
    """What the module of a verb offers."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Describe the arguments. Imports nothing that takes time."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit code. Raises EverysiteError for trouble a person can understand."""


def overview() -> str:
    """What `everysite --help` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {summary}" for verb, (_, summary) in VERBS.items()]
    return "\n".join(
        [
            "everysite keeps files and records the same at every site.",
            "",
            "usage: everysite VERB ...",
            "",
            *lines,
            "",
            "'everysite VERB --help' tells more about a verb. New here? Try 'everysite demo'.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's own); the exit code, see docs/cli.md."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if words[:1] in (["--version"], ["-V"]):
        words = ["version"]
    if not words or words[0] in ("-h", "--help"):
        return _show_overview(0 if words else 2)
    if words[0] not in VERBS:
        return _unknown(words[0])
    from everysite.cli.outcome import carry_out

    return carry_out(words[0], _module(VERBS[words[0]][0]), VERBS[words[0]][1], words[1:])


def _show_overview(code: int) -> int:
    try:
        print(overview(), file=sys.stderr if code else sys.stdout, flush=True)
    except BrokenPipeError:
        close_output()
    return code


def close_output() -> None:
    """Whoever read our output went away (`| head`): the interpreter's own flush at exit must not complain again."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _module(name: str) -> Verb:
    import importlib

    return cast(Verb, importlib.import_module(f"everysite.cli.{name}"))


def _unknown(word: str) -> int:
    import difflib

    near = difflib.get_close_matches(word, VERBS, n=1)
    hint = f"did you mean 'everysite {near[0]}'?" if near else "'everysite --help' lists the verbs"
    print(f"everysite: there is no verb {word!r}; {hint}", file=sys.stderr)
    return 2
