"""Multipart forms read piece by piece: fields whole, the file never.

Owns: what makes a multipart body malformed (BadRequest), the caps on its parts.
Must not know: where the file goes, operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from everysite.errors import BadRequest
from everysite.web.errors_http import UnsupportedMedia
from everysite.web.request import Asked

_FIELDS = 100
_FIELD = 64 << 10  # bytes of one field; a comment may be a page, not a book


@dataclass(slots=True)
class Part:
    """One part. `file`: it carries a file, whose bytes are not kept; else `data` is the field's value so far."""

    name: str
    file: bool
    data: bytearray = field(default_factory=bytearray)

    def text(self) -> str:
        """The field's value. Raises BadRequest when it is no UTF-8."""
        try:
            return self.data.decode()
        except UnicodeDecodeError as err:
            raise BadRequest(f"the field {self.name[:40]!r} is not UTF-8") from err


Piece = tuple[Part, bytes | None]
"""A part and some bytes of its file; None: the part is whole."""


class Multipart:
    """The parser of one body. Feed it, then `finish` it."""

    def __init__(self, asked: Asked) -> None:
        """Raises UnsupportedMedia for other media types, BadRequest without a usable boundary."""
        kind, options = parse_options_header(asked.headers.get(b"content-type", b""))
        if kind != b"multipart/form-data":
            raise UnsupportedMedia("send the file as multipart/form-data, as a browser's form does")
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise BadRequest("the Content-Type has no boundary, which tells the parts from one another")
        self._part = Part("", False)
        self._headers: dict[str, bytes] = {}
        self._name = self._value = b""
        self._found: list[Piece] = []
        self._parts = 0
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
            )
        except FormParserError as err:
            raise BadRequest(f"the boundary cannot be used: {err}") from err

    def feed(self, data: bytes) -> Iterator[Piece]:
        """What these bytes complete. Raises BadRequest."""
        try:
            self._parser.write(data)
        except FormParserError as err:
            raise BadRequest(f"the multipart body is malformed: {err}") from err
        found, self._found = self._found, []
        return iter(found)

    def finish(self) -> None:
        """The body has ended. Raises BadRequest when it was cut off."""
        if not self._ended:
            raise BadRequest("the multipart body ends in the middle; its last boundary is missing")

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _FIELDS:
            raise BadRequest(f"more than {_FIELDS} parts; a file and a few fields are read")
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        if self._headers.get("content-transfer-encoding", b"binary").strip().lower() not in (
            b"binary",
            b"8bit",
            b"7bit",
        ):
            raise UnsupportedMedia("parts with a Content-Transfer-Encoding are not read; send the bytes as they are")
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self._part = Part(name, b"filename" in options or b"filename*" in options)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.file:
            self._found.append((self._part, data[start:end]))
            return
        self._part.data += data[start:end]
        if len(self._part.data) > _FIELD:
            raise BadRequest(f"the field {self._part.name[:40]!r} has more than {_FIELD >> 10} KB")

    def _part_end(self) -> None:
        self._found.append((self._part, None))

    def _end(self) -> None:
        self._ended = True
