"""Text out of addresses: percent-decoding, once, of paths and query strings.

Owns: how bytes of a request target become text.
Must not know: routes, operations.

Bytes that are no UTF-8 become the text form of `model.path`, so a name on disk can be asked for by its own bytes
(`%FF`) as well as by its text form (`%EE%BF%BF`).
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from everysite.errors import BadRequest

_SURROGATES = re.compile("[\udc80-\udcff]")
_TWICE = re.compile("(?:[^%]|%[0-9A-Fa-f]{2})*", re.DOTALL)
_MAX_FIELDS = 1000  # of a query string; no operation has more than a handful


def decoded(raw: bytes) -> str:
    """The text of a percent-encoded piece of a target. Never fails; a '%' that encodes nothing stays."""
    data = unquote_to_bytes(raw) if b"%" in raw else raw
    try:
        return data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
        return _SURROGATES.sub(lambda m: chr(ord(m.group()) - 0xDC00 + 0xEF00), text)


def decoded_again(text: str) -> str:
    """What clients encoded twice, as a tracker expected that read paths so; a text that was not stays as it is."""
    if not _TWICE.fullmatch(text) or "%" not in text:
        return text
    try:
        once = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return text
    return text if "\0" in once else once


def fields(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query string or form body, in order; '+' is a space there.

    Raises BadRequest when there are too many.
    """
    pieces = query.split(b"&")
    if len(pieces) > _MAX_FIELDS:
        raise BadRequest(f"{len(pieces)} fields; at most {_MAX_FIELDS} are read, send JSON instead")
    pairs = (piece.replace(b"+", b" ").partition(b"=") for piece in pieces if piece)
    return [(decoded(name), decoded(value)) for name, _, value in pairs]
