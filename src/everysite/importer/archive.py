"""A mongodump archive: several collections in one stream, their parts in any order.

Owns: the layout (magic number, header, collections, segments) and its checksum.
Must not know: what a document means, compression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from everysite.importer import bson
from everysite.importer.values import Damaged, Unfit

MAGIC = b"\x6d\xe2\x99\x81"
_STOP = b"\xff\xff\xff\xff"
_ONES = (1 << 64) - 1


def _table() -> list[int]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xC96C5795D7870F42 if byte & 1 else 0)  # ECMA-182, bits reversed
        found.append(byte)
    return found


_CRC = _table()


def crc64(data: bytes, before: int = 0) -> int:
    """CRC-64 as archives carry it. 70 ns a byte: `read` does it only when asked to."""
    crc = before ^ _ONES
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ _ONES


def read(stream: BinaryIO, choose: Callable[[list[str]], str], check: bool) -> Iterator[bytes]:
    """The documents of one collection, from behind the magic number on. `choose` is given all names ("db.collection").

    `check`: compare the checksum. Raises Damaged when the archive ends before the collection does, or differs from its
    checksum.
    """
    wanted = choose(_collections(stream))
    crc, ended = 0, False
    while head := stream.read(4):
        part = _document(head + bson.rest_of(stream, head))
        ours = f"{part.get('db')}.{part.get('collection')}" == wanted
        for raw in _segment(stream):
            if ours:
                crc = crc64(raw, crc) if check else 0
                yield raw
        if ours and part.get("EOF"):
            ended = True
            if check and crc != part.get("CRC", 0) & _ONES:
                raise Damaged(f"{wanted} differs from its checksum; make the dump again")
    if wanted and not ended:
        raise Damaged(f"it is cut off before the end of {wanted}; make the dump again")


def _collections(stream: BinaryIO) -> list[str]:
    header, *found = [_document(raw) for raw in _segment(stream)] or [{}]
    if header.get("version") != "0.1":
        raise Damaged(f"it is an archive of the version {header.get('version')!r}; 0.1 is known")
    return [f"{each.get('db')}.{each.get('collection')}" for each in found]


def _segment(stream: BinaryIO) -> Iterator[bytes]:
    while (head := stream.read(4)) != _STOP:
        yield head + bson.rest_of(stream, head)


def _document(raw: bytes) -> dict[str, Any]:
    try:
        return bson.decode(raw)
    except Unfit as err:
        raise Damaged(f"it is damaged between two collections: {err}") from err
