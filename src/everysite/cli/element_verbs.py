"""everysite create|read|update|... : the verbs of elements, JSON in and JSON out.

Owns: the table of these verbs, how their answers are printed, and the exit codes shell clients of trackers know.
Must not know: what a verb does; the tracker knows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from everysite.cli import element_words
from everysite.cli.element_words import Reader
from everysite.cli.outcome import UNREACHABLE, complain, explained
from everysite.cli.reach import add_options, talk
from everysite.errors import (
    BadRequest,
    Conflict,
    EverysiteError,
    Forbidden,
    NotFound,
    SignInNeeded,
    SiteUnreachable,
    StaleLease,
    TargetFull,
)

if TYPE_CHECKING:
    from everysite.client import Client

SOME = 7
_FAULT = 50
_OTHER = 60
_CODES: tuple[tuple[type[EverysiteError], int], ...] = (
    (BadRequest, 40),
    (SignInNeeded, 41),
    (Forbidden, 43),
    (NotFound, 44),
    (Conflict, 49),
    (StaleLease, 49),
    (TargetFull, _OTHER),
    (SiteUnreachable, UNREACHABLE),
)


def shell_code(error: EverysiteError) -> int:
    """40, 41, 43, 44, 49, 50 for the statuses 400 ... 500; 3 when nobody answers; 60 for all else (tracker-api 15)."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return _FAULT if type(error) is EverysiteError else _OTHER


@dataclass(frozen=True, slots=True)
class ElementVerb:
    """One verb. `words` makes the body; `{id}` in the path is the first word, `{depth}` an option.

    `none`: what the tracker raises when nothing of a batch could be done; None: the verb takes no batches.
    """

    name: str
    method: str
    path: str
    words: Reader
    takes: str
    none: type[EverysiteError] | None = None

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """WORDS, --file, --json; --lines and --batch where there may be many; --depth for graphs."""
        parser.add_argument("words", metavar="WORD", nargs="*", help=f"{self.takes}; '-': JSON from standard input")
        self.options(parser)
        add_options(parser, json=False)
        parser.add_argument("--json", action="store_true", help="on one line on a terminal too")
        parser.set_defaults(wrong=parser.error)
        if "{depth}" in self.path:
            parser.add_argument("--depth", metavar="N", type=_depth, default=0, help="levels of links (default: all)")

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Where the request comes from, besides words."""
        parser.add_argument("--file", metavar="FILE", help="the request is in this file, as JSON ('-': standard input)")
        if self.none is not None:
            parser.add_argument("--lines", action="store_true", help="one JSON value a line, in and out (NDJSON)")
            parser.add_argument(
                "--batch", metavar="N", type=_count, default=1000, help="with --lines: so many a request (1000)"
            )

    def run(self, args: argparse.Namespace) -> int:
        """Ask, print the answer. The exit code says what the status was."""
        many = self.none is not None and args.lines
        if not args.words and args.file is None and not many:
            args.wrong(f"give {self.takes}")
        if args.file is not None and args.words[1 if "{id}" in self.path else 0 :]:
            args.wrong("give words or --file, not both")
        try:
            return self._lines(args) if many else self._once(args)
        except EverysiteError as error:
            complain(self.name, explained(error))
            return shell_code(error)

    def _once(self, args: argparse.Namespace) -> int:
        path, words = self._path(args)
        file = element_words.source(args)
        if file is None:
            body = self.words(words)
        else:
            with file:
                body = element_words.decode(file.read())
        status, answer = talk(args, lambda client: client.ask(self.method, path, _encode(body)))
        _show(answer, pretty=sys.stdout.isatty() and not args.json)
        if status == 207:
            complain(self.name, "some are missing or were refused; null stands in their places")
        return SOME if status == 207 else 0

    def _path(self, args: argparse.Namespace) -> tuple[str, list[str]]:
        from urllib.parse import quote

        words = list(args.words)
        path = self.path
        if "{depth}" in path:
            path = path.replace("{depth}", str(args.depth))
        if "{id}" in path:
            if not words or words[0] in ("-", ".", "..") or is_last(words, args):
                args.wrong(f"give {self.takes}")
            path = path.replace("{id}", quote(words.pop(0), safe=""))
        return path, words

    def _lines(self, args: argparse.Namespace) -> int:
        if args.words not in ([], ["-"]):
            args.wrong("--lines reads standard input or --file; leave the words out")
        file = element_words.source(args) or sys.stdin.buffer
        with file:
            return talk(args, lambda client: self._batches(client, file, args.batch))

    async def _batches(self, client: Client, file: BinaryIO, size: int) -> int:
        done = missing = 0
        try:
            for batch in element_words.lines(file, size):
                for value in await self._batch(client, batch):
                    missing += value is None
                    done += 1
                    _show(_encode(value), pretty=False)
        except EverysiteError as error:
            raise type(error)(f"{error} ({done} were done before)") from error
        if not missing:
            return 0
        complain(self.name, f"{missing} of {done} are missing or were refused; null stands in their places")
        return shell_code((self.none or NotFound)()) if missing == done else SOME

    async def _batch(self, client: Client, batch: list[Any]) -> list[Any]:
        try:
            _, answer = await client.ask(self.method, self.path, _encode(batch))
        except EverysiteError as error:
            if self.none is None or not isinstance(error, self.none):
                raise
            return [None] * len(batch)
        found = element_words.decode(answer)
        return found if isinstance(found, list) else [found]


def is_last(words: list[str], args: argparse.Namespace) -> bool:
    """Whether an identifier stands alone, with nothing to send."""
    return len(words) == 1 and args.file is None


def _show(answer: bytes, pretty: bool) -> None:
    import msgspec

    print((msgspec.json.format(answer, indent=2) if pretty else answer).decode())


def _encode(value: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(value)


def _depth(text: str) -> int:
    return _number(text, 0)


def _count(text: str) -> int:
    return _number(text, 1)


def _number(text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} on")
    return int(text)


def _table() -> Iterator[ElementVerb]:
    objects, ids = element_words.objects, element_words.identifiers
    element = "JSON objects, or identifiers and key=value words"
    yield ElementVerb("create", "POST", "/api/create", objects, element, Conflict)
    yield ElementVerb("read", "POST", "/api/read", ids, "identifiers", NotFound)
    yield ElementVerb("update", "PUT", "/api/update", objects, element, NotFound)
    yield ElementVerb("upsert", "POST", "/api/upsert", objects, element, NotFound)
    yield ElementVerb("delete", "DELETE", "/api/delete", ids, "identifiers", NotFound)
    yield ElementVerb("graph_delete", "DELETE", "/api/graphDelete", ids, "identifiers", NotFound)
    yield ElementVerb("search", "POST", "/api/search", element_words.query, "a query like 'type:shot time>0'")
    yield ElementVerb("search_one", "POST", "/api/search_one", element_words.query, "a query")
    yield ElementVerb("search_mongo", "POST", "/api/search_mongo", element_words.document, "one JSON object")
    for walk in ("graph", "graph_backwards", "graph_forwards"):
        yield ElementVerb(walk, "POST", f"/api/{walk}/{{depth}}", ids, "identifiers")
    yield ElementVerb("lock", "PUT", "/api/lock", ids, "identifiers")
    yield ElementVerb("unlock", "PUT", "/api/unlock", ids, "identifiers")
    comment = "identifiers and, last, the text; or JSON objects"
    yield ElementVerb("comment", "POST", "/api/comment", element_words.comments, comment, NotFound)
    yield ElementVerb("publish", "POST", "/api/publish", objects, "JSON objects", Conflict)
    version = "an identifier, then file=PATH and other key=value words or a JSON object"
    yield ElementVerb("version", "POST", "/api/version/{id}", objects, version)


BY_NAME = {verb.name: verb for verb in _table()}
"""The verbs by name. `publish` and `version` have other forms too, in modules of their own."""
