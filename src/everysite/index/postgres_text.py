"""Texts as PostgreSQL can keep them, and back.

Owns: the reversible form of texts with a NUL, bodies as JSON text, arrays as one parameter. Must not know: tables, connections.

PostgreSQL keeps no NUL in a text. It becomes U+10FFFF and '0', and U+10FFFF itself becomes U+10FFFF and '1': reversible,
and every text without a NUL sorts as before. Both are as good as never met, so looking for them is all they cost.

All values travel as texts of no type, whose type the statement says: a number sent as the narrowest integer type it fits
into, as the driver does, makes another prepared statement for each combination of widths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MARK = "\U0010ffff"
NUL = MARK + "0"
_BYTES = MARK.encode()
_ESCAPED = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"'})

Value = str | bytes | int | float | None


def stored(text: str) -> str:
    """As it is kept."""
    if "\0" in text or MARK in text:
        return text.replace(MARK, MARK + "1").replace("\0", NUL)
    return text


def loaded(kept: bytes) -> str:
    """What `stored` was given."""
    if _BYTES in kept:
        text = kept.decode()
        return text.replace(NUL, "\0").replace(MARK + "1", MARK)
    return kept.decode()


def body_text(encoded: bytes) -> str:
    """JSON as it is handed to a parameter. An escaped NUL is made a real one: inside the database it is a character."""
    text = encoded.decode()
    return _ESCAPED.sub(lambda found: found[1] + "\0", text) if "\\u0000" in text else text


def body_bytes(kept: bytes) -> bytes:
    """What `body_text` was given."""
    if _BYTES in kept:
        return loaded(kept).replace("\0", "\\u0000").encode()
    return kept


def array(values: Iterable[Value]) -> str:
    """Values of one kind as an array, to be cast: `%s::bigint[]`."""
    return "{" + ",".join([_member(value) for value in values]) + "}"


def _member(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\\" in value or '"' in value:
            value = value.translate(_QUOTED) if len(value) < 64 else value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{value}"'
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return str(int(value)) if isinstance(value, int) else repr(value)
