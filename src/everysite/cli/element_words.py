"""What the words behind an element verb stand for: JSON, identifiers, key=value pairs, a file, standard input.

Owns: reading them into the body of a request. Must not know: which verb it is, the tracker.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from everysite.errors import BadRequest, Unreadable

Reader = Callable[[Sequence[str]], Any]
"""Words to the body of a request. Raises BadRequest."""


def is_json(word: str) -> bool:
    """Whether a word is meant as JSON: an object, an array or a text in quotes. Other words are identifiers or pairs."""
    return word[:1] in ("{", "[", '"')


def decode(text: str | bytes) -> Any:
    """Raises BadRequest saying where the JSON breaks."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
        raise BadRequest(
            f'{shown[:60]!r} is no JSON ({err}); quote it for the shell, like \'{{"_id": "/a"}}\''
        ) from err


def objects(words: Sequence[str]) -> Any:
    """JSON objects or arrays of them; or identifiers, key=value pairs and JSON objects that make one object together."""
    values = [decode(word) for word in words if is_json(word)]
    plain = [word for word in words if not is_json(word)]
    if not plain:
        return values[0] if len(values) == 1 else _flat(values)
    return _together(values, [word for word in plain if not _is_pair(word)], [word for word in plain if _is_pair(word)])


def _together(values: list[Any], ids: list[str], texts: list[str]) -> dict[str, Any]:
    from everysite.cli.words import pairs

    body: dict[str, Any] = {}
    for value in values:
        if not isinstance(value, dict):
            raise BadRequest("beside identifiers and key=value words only JSON objects can stand")
        body |= value
    body |= pairs(texts)
    return {"_id": ids[0] if len(ids) == 1 else ids, **body} if ids else body


def _is_pair(word: str) -> bool:
    """Identifiers may have a '=' too, but they begin with one of these then, or are given as JSON."""
    return "=" in word and not word.startswith(("/", "@", "="))


def identifiers(words: Sequence[str]) -> Any:
    """Identifiers as they are, or as JSON (texts in quotes, arrays). One alone stays alone."""
    found = _flat([decode(word) if is_json(word) else word for word in words])
    return found[0] if len(found) == 1 and not words[0].startswith("[") else found


def comments(words: Sequence[str]) -> Any:
    """JSON, or the identifiers of the elements and, last, the text."""
    if all(is_json(word) for word in words):
        return objects(words)
    if len(words) < 2:
        raise BadRequest("a comment needs an element and a text: everysite comment /shots/010.exr 'looks fine'")
    return {"#parent": words[0] if len(words) == 2 else list(words[:-1]), "comment": words[-1]}


def query(words: Sequence[str]) -> Any:
    """The words with spaces between them."""
    return {"query": " ".join(words)}


def document(words: Sequence[str]) -> Any:
    """One JSON object."""
    if len(words) != 1:
        raise BadRequest('give one JSON object, like \'{"query": {"n": {"$gt": 5}}, "limit": 10}\'')
    return decode(words[0])


def _flat(values: Sequence[Any]) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def source(args: argparse.Namespace) -> BinaryIO | None:
    """The file or standard input that is named instead of words; None when there are words. Raises Unreadable."""
    if args.file is None and args.words != ["-"]:
        return None
    if args.file in (None, "-"):
        return sys.stdin.buffer
    try:
        return Path(args.file).open("rb")
    except OSError as err:
        raise Unreadable(f"{args.file} cannot be read ({err.strerror})") from err


def lines(file: BinaryIO, count: int) -> Iterator[list[Any]]:
    """One JSON value a line, so many at a time; empty lines are passed over. Raises BadRequest naming the line."""
    batch: list[Any] = []
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            batch.append(decode(line))
        except BadRequest as err:
            raise BadRequest(f"line {number}: {err}") from err
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch
