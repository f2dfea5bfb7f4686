"""BSON documents as plain values.

Owns: the bytes of BSON (bsonspec.org, version 1.1). Must not know: files, archives, what the documents mean.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, BinaryIO

from everysite.importer import values
from everysite.importer.values import Damaged, Unfit

LARGEST = 48 << 20  # bytes; the database stores 16 MiB and sends 48 MB
SMALLEST = 5  # bytes: the length and the closing zero
_INT32 = struct.Struct("<i")
_INT64 = struct.Struct("<q")
_DOUBLE = struct.Struct("<d")
_STAMP = struct.Struct("<II")

Reader = Callable[[bytes, int, int], tuple[Any, int]]
"""(bytes, where, depth) -> (value, where it ends)"""


def raw_documents(stream: BinaryIO, start: bytes = b"") -> Iterator[bytes]:
    """The documents that follow each other up to the end. `start`: up to four bytes that were read already.

    Raises Damaged when the last one is cut off, or a length is none.
    """
    while head := start + stream.read(4 - len(start)):
        start = b""
        yield head + rest_of(stream, head)


def rest_of(stream: BinaryIO, head: bytes) -> bytes:
    """What follows the four bytes of a length. Raises Damaged."""
    size = length(head)
    rest = stream.read(size - 4)
    if len(rest) != size - 4 or rest[-1]:
        raise Damaged("it is cut off or damaged inside a document; make the dump again")
    return rest


def length(head: bytes) -> int:
    """The bytes of a document, from its first four. Raises Damaged."""
    size = _INT32.unpack(head)[0] if len(head) == 4 else 0
    if not SMALLEST <= size <= LARGEST:
        raise Damaged("it is cut off, or no BSON, between two documents; make the dump again")
    return int(size)


def decode(raw: bytes) -> dict[str, Any]:
    """A document. Raises Unfit."""
    try:
        body, end = _object(raw, 0, 0)
    except (struct.error, IndexError, ValueError) as err:  # ValueError: no UTF-8, or no closing zero
        raise Unfit(f"its bytes are no BSON: {err}") from err
    if end != len(raw):
        raise Unfit("its bytes are no BSON: the length is wrong")
    return body


def _object(raw: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    values.check_depth(depth)
    end = at + int(_INT32.unpack_from(raw, at)[0])
    if end > len(raw) or end < at + SMALLEST:
        raise Unfit("its bytes are no BSON: a length leads outside")
    at += 4
    found: dict[str, Any] = {}
    while kind := raw[at]:
        key, at = _c_string(raw, at + 1)
        reader = _READERS.get(kind)
        if reader is None:
            raise Unfit(f"{key}: there is no value of the kind {kind:#04x}")
        found[key], at = reader(raw, at, depth + 1)
        if at >= end:
            raise Unfit("its bytes are no BSON: a value leads outside")
    if at + 1 != end:
        raise Unfit("its bytes are no BSON: it ends too early")
    return found, end


def _array(raw: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    found, end = _object(raw, at, depth)
    return list(found.values()), end


def _c_string(raw: bytes, at: int) -> tuple[str, int]:
    end = raw.index(0, at)
    return raw[at:end].decode(), end + 1


def _text(raw: bytes, at: int, depth: int) -> tuple[str, int]:
    end = at + 4 + int(_INT32.unpack_from(raw, at)[0])
    if end <= at + 4 or end > len(raw) or raw[end - 1]:
        raise Unfit("its bytes are no BSON: a text leads outside")
    return raw[at + 4 : end - 1].decode(), end


def _binary(raw: bytes, at: int, depth: int) -> tuple[str, int]:
    size, subtype, at = int(_INT32.unpack_from(raw, at)[0]), raw[at + 4], at + 5
    if size < 0 or at + size > len(raw):
        raise Unfit("its bytes are no BSON: binary data leads outside")
    data = raw[at : at + size]
    return values.binary(data[4:] if subtype == 2 else data, subtype), at + size  # 2: an old form, with a length inside


def _double(raw: bytes, at: int, depth: int) -> tuple[int | float | None, int]:
    return values.number(_DOUBLE.unpack_from(raw, at)[0]), at + 8


def _int32(raw: bytes, at: int, depth: int) -> tuple[int, int]:
    return _INT32.unpack_from(raw, at)[0], at + 4


def _int64(raw: bytes, at: int, depth: int) -> tuple[int, int]:
    return _INT64.unpack_from(raw, at)[0], at + 8


def _stamp(raw: bytes, at: int, depth: int) -> tuple[int, int]:
    _, moment = _STAMP.unpack_from(raw, at)
    return values.seconds(moment), at + 8


def _oid(raw: bytes, at: int, depth: int) -> tuple[str, int]:
    return values.object_id(raw[at : at + 12]), at + 12


def _truth(raw: bytes, at: int, depth: int) -> tuple[bool, int]:
    return raw[at] == 1, at + 1


def _null(raw: bytes, at: int, depth: int) -> tuple[None, int]:
    return None, at


def _expression(raw: bytes, at: int, depth: int) -> tuple[str, int]:
    pattern, at = _c_string(raw, at)
    flags, at = _c_string(raw, at)
    return values.expression(pattern, flags), at


def _pointer(raw: bytes, at: int, depth: int) -> tuple[str, int]:
    _, at = _text(raw, at, depth)
    return _oid(raw, at, depth)


def _code_in_scope(raw: bytes, at: int, depth: int) -> tuple[str, int]:
    end = at + int(_INT32.unpack_from(raw, at)[0])
    return _text(raw, at + 4, depth)[0], end


def _decimal(raw: bytes, at: int, depth: int) -> tuple[int | float | None, int]:
    """Decimal128 with a binary coefficient: a sign, 14 bits of exponent, 113 bits of coefficient."""
    bits = int.from_bytes(raw[at : at + 16], "little")
    if bits >> 122 & 0b11110 == 0b11110:  # infinities and NaN
        return None, at + 16
    # A coefficient of the second form is larger than any that is allowed, and counts as 0.
    large = bits >> 125 & 0b11 == 0b11
    exponent = (bits >> 111 if large else bits >> 113) & 0x3FFF
    coefficient = 0 if large else bits & (1 << 113) - 1
    digits = Decimal(coefficient).scaleb(exponent - 6176)
    return values.decimal(-digits if bits >> 127 else digits), at + 16


def _end_of_keys(raw: bytes, at: int, depth: int) -> tuple[None, int]:
    raise values.unknown("smallest or largest key")


_READERS: dict[int, Reader] = {
    0x01: _double,
    0x02: _text,
    0x03: _object,
    0x04: _array,
    0x05: _binary,
    0x06: _null,  # undefined
    0x07: _oid,
    0x08: _truth,
    0x09: _int64,  # a date: ms since 1970
    0x0A: _null,
    0x0B: _expression,
    0x0C: _pointer,
    0x0D: _text,  # code
    0x0E: _text,  # symbol
    0x0F: _code_in_scope,
    0x10: _int32,
    0x11: _stamp,
    0x12: _int64,
    0x13: _decimal,
    0x7F: _end_of_keys,
    0xFF: _end_of_keys,
}
