"""Documents out of JSON text: one a line, one array of them, or one after another over several lines.

Owns: finding where one document ends, in bounded memory; line numbers. Must not know: what a document means.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import msgspec

from everysite.importer.extended_json import plain
from everysite.importer.values import Damaged, Unfit

_LONGEST = 64 << 20  # bytes of one document as text; as BSON it has at most 16 MiB
_CHUNK = 1 << 20
_SPACE = " \t\r\n"


class Found(NamedTuple):
    """One document of a dump and where it stands; when it cannot be read, `body` is None and `problem` says why."""

    place: str
    body: dict[str, Any] | None
    problem: str = ""


def documents(stream: BinaryIO, start: bytes = b"") -> Iterator[Found]:
    """Every document. `start`: bytes that were read already. Raises Damaged where it cannot be told where the next one begins."""
    first = start + stream.readline(_CHUNK)
    number = 1
    first = first.removeprefix(b"\xef\xbb\xbf")  # the mark of UTF-8 that some editors write
    while first.endswith(b"\n") and not first.strip():
        first, number = stream.readline(_CHUNK), number + 1
    if first.lstrip().startswith(b"["):  # all of the array may be one line
        yield from _spread(first, stream, number)
        return
    if not first.endswith(b"\n"):
        first += stream.readline(_LONGEST)
    if _is_json(first):
        yield from _lines(first, stream, number)
    elif first.strip():
        yield from _spread(first, stream, number)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _lines(line: bytes, stream: BinaryIO, number: int) -> Iterator[Found]:
    while line:
        if len(line) >= _LONGEST:
            raise Damaged(f"line {number} is longer than {_LONGEST >> 20} MiB, which no document is")
        if line.strip():
            yield _document(f"line {number}", line)
        line, number = stream.readline(_LONGEST), number + 1


def _document(place: str, text: bytes | str) -> Found:
    try:
        body = _decoded(text)
        if not isinstance(body, dict):
            return Found(place, None, "it is no object")
        return Found(place, plain(body))
    except (ValueError, RecursionError) as err:
        return Found(place, None, f"it is no JSON: {err}")
    except Unfit as err:
        return Found(place, None, str(err))


def _decoded(text: bytes | str) -> Any:
    """Raises ValueError, RecursionError. Old exports spell NaN as no JSON has it."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


def _spread(first: bytes, stream: BinaryIO, number: int) -> Iterator[Found]:
    """Documents over several lines, with the brackets and commas of an array or without."""
    text = _Text(first, stream, number)
    array = text.next() == "["
    if array:
        text.at += 1
    ended = False
    while char := text.next():
        if ended:
            raise Damaged(f"line {text.line}: something follows the end of the array")
        if array and char in ",]":
            text.at += 1
            ended = char == "]"
            continue
        place = f"line {text.line}"
        yield _document(place, text.document())
    if array and not ended:
        raise Damaged(f"it is cut off in line {text.line}: the array does not end; make the dump again")


class _Text:
    """A window that moves over the stream."""

    def __init__(self, first: bytes, stream: BinaryIO, number: int) -> None:
        self._stream, self._decoder = stream, json.JSONDecoder()
        self._text = codecs.getincrementaldecoder("utf-8")()
        self._window, self.at, self._line, self._counted = "", 0, number, 0
        self._window = self._decoded(first)

    @property
    def line(self) -> int:
        """The number of the line at which the window stands."""
        self._line += self._window.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def next(self) -> str:
        """The next character that is no white space, without taking it; '' at the end."""
        while True:
            while self.at < len(self._window) and self._window[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self._window):
                return self._window[self.at]
            if not self._more():
                return ""

    def document(self) -> str:
        """Take the document that begins here. Raises Damaged."""
        while True:
            try:
                _, end = self._decoder.raw_decode(self._window, self.at)
            except (ValueError, RecursionError) as err:
                self._again(err)
                continue
            text, self.at = self._window[self.at : end], end
            return text

    def _again(self, err: Exception) -> None:
        """It may only be that not all of it has been read yet: each time twice as much, so that the tries cost no more
        than the reading."""
        have = len(self._window) - self.at
        if isinstance(err, RecursionError) or have > _LONGEST or not self._more(max(have, _CHUNK)):
            raise Damaged(f"line {self.line}: it is no JSON, or cut off: {err}") from err

    def _more(self, count: int = _CHUNK) -> bool:
        _ = self.line  # counts what is about to be forgotten
        raw = self._stream.read(count)
        fresh = self._decoded(raw)
        self._window, self.at, self._counted = self._window[self.at :] + fresh, 0, 0
        return bool(raw)

    def _decoded(self, raw: bytes) -> str:
        """Raises Damaged. A character may begin in one piece and end in the next."""
        try:
            return self._text.decode(raw, final=not raw)
        except UnicodeDecodeError as err:
            raise Damaged(f"after line {self._line}: it is neither JSON in UTF-8 nor BSON: {err}") from err
