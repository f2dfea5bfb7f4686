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

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "every day": {
        "up": ("up", "run a tracker, and the agent of the sites on this machine"),
        "demo": ("demo", "three sites and a real tree, live; verified at the end"),
        "copy": ("copy", "copy one folder to another: resumable, verified"),
        "site": ("site", "add, list, show, set, pause, resume or remove a site; its join token"),
        "publish": ("publish", "announce files so that the other sites get them"),
        "status": ("status", "how every site stands"),
        "why": ("why", "why a file is or is not on a site, in one sentence"),
        "log": ("log", "what happened to a file"),
    },
    "elements (JSON in, JSON out)": {
        "create": ("element_verbs:create", "make elements"),
        "read": ("element_verbs:read", "elements by identifier"),
        "update": ("element_verbs:update", "change keys of elements; null removes one"),
        "upsert": ("element_verbs:upsert", "change elements, make those that are missing"),
        "delete": ("element_verbs:delete", "delete elements; their files stay"),
        "search": ("element_verbs:search", "identifiers of the elements a text query matches"),
        "search_one": ("element_verbs:search_one", "the first element a text query matches"),
        "search_mongo": ("element_verbs:search_mongo", "identifiers by a query in the manner of MongoDB"),
        "graph": ("element_verbs:graph", "elements and all they are linked from, as elements"),
        "graph_backwards": ("element_verbs:graph_backwards", "identifiers of what leads to elements"),
        "graph_forwards": ("element_verbs:graph_forwards", "identifiers of where elements lead"),
        "graph_delete": ("element_verbs:graph_delete", "delete elements and the links from and to them"),
        "lock": ("element_verbs:lock", "lock elements for yourself"),
        "unlock": ("element_verbs:unlock", "give your locks back"),
        "comment": ("element_verbs:comment", "comment on elements"),
        "version": ("version", "a new version of an element; alone: the version of this program"),
    },
    "administration": {
        "join": ("join", "make this machine a site of a tracker, and serve it"),
        "agent": ("agent", "serve a site that was joined before"),
        "sign-in": ("sign_in", "keep a token for a tracker, so that the other verbs may use it"),
        "sign-out": ("sign_out", "revoke and forget that token"),
        "user": ("user", "add, list, show, set or remove a user; a new password"),
        "token": ("token", "add, list or remove a token for a program"),
        "audit": ("audit", "who changed settings, users, destinations; who signed in"),
        "index": ("index", "add, list or remove keys that searches find fast"),
        "backup": ("backup", "a copy of everything a running tracker keeps"),
        "restore": ("restore", "put a backup in the place of what a home keeps"),
        "check": ("check", "whether what a tracker keeps is sound"),
        "database": ("database", "copy what a tracker remembers from SQLite to PostgreSQL or back"),
        "import": ("import_damas", "bring in what a tracker of the kind damas-core kept"),
        "config": ("config", "show, set or check the settings of a home"),
    },
}
"""group -> verb -> (module of this package, one line for the overview). The module offers `arguments` and `run`; with a
name behind ':' it offers a table BY_NAME of such verbs."""
VERBS = {verb: entry for group in GROUPS.values() for verb, entry in group.items()}


class Verb(Protocol):
    """What the module of a verb offers."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Describe the arguments. Imports nothing that takes time."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit code. Raises EverysiteError for trouble a person can understand."""


def overview() -> str:
    """What `everysite --help` prints."""
    width = max(map(len, VERBS))
    lines: list[str] = []
    for title, verbs in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {verb:<{width}}  {summary}" for verb, (_, summary) in verbs.items())]
    return "\n".join(
        [
            "everysite keeps files and records the same at every site.",
            "",
            "usage: everysite VERB ...",
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
    verb = words[0] if words[0] in VERBS else words[0].replace("-", "_")
    if verb not in VERBS:
        return _unknown(words[0])
    from everysite.cli.outcome import carry_out

    return carry_out(verb, _module(VERBS[verb][0]), VERBS[verb][1], words[1:])


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

    module, _, one = name.partition(":")
    found = importlib.import_module(f"everysite.cli.{module}")
    return cast(Verb, found.BY_NAME[one] if one else found)


def _unknown(word: str) -> int:
    import difflib

    near = difflib.get_close_matches(word, VERBS, n=1)
    hint = f"did you mean 'everysite {near[0]}'?" if near else "'everysite --help' lists the verbs"
    print(f"everysite: there is no verb {word!r}; {hint}", file=sys.stderr)
    return 2
