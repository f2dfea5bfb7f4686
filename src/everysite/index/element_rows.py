"""What both engines make of elements for their rows, and back.

Owns: numbering, which keys and bodies are refused, JSON of bodies and versions. Must not know: SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from everysite.errors import BadRequest
from everysite.index.numbers import Numbers
from everysite.model.clock import Version
from everysite.model.element import Body, Content, Element, Tombstone

encode = msgspec.json.Encoder().encode
_decode_body = msgspec.json.Decoder(Body).decode
_decode_late = msgspec.json.Decoder(dict[str, Version]).decode


def check_keys(elements: Sequence[Element]) -> None:
    """Raises BadRequest for an `_id` nobody could ask for."""
    for element in elements:
        if not element.key or "\0" in element.key:
            raise BadRequest(f"{element.key!r} is no _id; it needs at least one character and no NUL")


def numbered(elements: Sequence[Element], counters: Numbers) -> list[Element]:
    """With new change numbers, and ids where they had none."""
    change = counters.take("change", len(elements))
    new = sum(element.id == 0 for element in elements)
    next_id = counters.take("element", new) if new else 0
    found = []
    for e in elements:
        number = e.id or next_id
        next_id += not e.id
        found.append(Element(e.key, e.body, e.version, e.late, e.gen, e.content, e.origin, number, change))
        change += 1
    return found


def body_json(e: Element) -> bytes:
    """The body. A key with a NUL is refused: neither engine could tell it from others."""
    text = encode(e.body)
    if b"\\u0000" in text and _nul_in_key(e.body):
        raise BadRequest(f"{e.key}: a key contains a NUL character; leave it out")
    return text


def late_json(e: Element) -> str | None:
    """{key: [ms, counter]}, None when empty."""
    return encode(e.late).decode() if e.late else None


def element_of(row: tuple[Any, ...]) -> Element:
    """From id, key, ms, counter, gen, size, mtime_ns, mode, digest, origin, change, late, body."""
    number, key, ms, counter, gen, size, mtime_ns, mode, digest, origin, change, late, body = row
    content = None if digest is None else Content(size, mtime_ns, mode, digest)
    known = _decode_late(late) if late else {}
    return Element(key, _decode_body(body), Version(ms, counter), known, gen, content, origin, number, change)


def stone_of(row: tuple[Any, ...]) -> Tombstone:
    """From key, ms, counter, size, mtime_ns, mode, digest, renamed_to, change."""
    key, ms, counter, size, mtime_ns, mode, digest, renamed_to, change = row
    content = None if digest is None else Content(size, mtime_ns, mode, digest)
    return Tombstone(key, Version(ms, counter), content, renamed_to, change)


def _nul_in_key(value: Any) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _nul_in_key(inner) for key, inner in value.items())
    return isinstance(value, list) and any(_nul_in_key(inner) for inner in value)
