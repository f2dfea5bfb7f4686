"""Dumps as their own tools write them, made here byte by byte from the published descriptions of the forms.

Owns: BSON, mongodump archives and folders, both forms of extended JSON. Must not know: the importer.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Document = Mapping[str, Any]
_MOST = 2**63 - 1


class ObjectId(NamedTuple):
    """24 hexadecimal digits."""

    digits: str


class Date(NamedTuple):
    """ms since 1970."""

    ms: int


class Binary(NamedTuple):
    """Bytes with a subtype."""

    data: bytes
    subtype: int = 0


class Long(NamedTuple):
    """An integer that is written with 64 bits."""

    value: int


# --- BSON (bsonspec.org) --------------------------------------------------------------------------------------------


def bson(document: Document) -> bytes:
    body = b"".join(_element(key, value) for key, value in document.items()) + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def _element(key: str, value: Any) -> bytes:
    kind, data = _value(value)
    return bytes([kind]) + key.encode() + b"\0" + data


def _value(value: Any) -> tuple[int, bytes]:
    match value:
        case bool():
            return 0x08, bytes([value])
        case ObjectId():
            return 0x07, bytes.fromhex(value.digits)
        case Date():
            return 0x09, struct.pack("<q", value.ms)
        case Binary():
            return 0x05, struct.pack("<i", len(value.data)) + bytes([value.subtype]) + value.data
        case Long():
            return 0x12, struct.pack("<q", value.value)
        case int() if abs(value) < 2**31:
            return 0x10, struct.pack("<i", value)
        case int() | float():  # as the old tracker's language kept large numbers
            return 0x01, struct.pack("<d", value)
        case str():
            raw = value.encode() + b"\0"
            return 0x02, struct.pack("<i", len(raw)) + raw
        case None:
            return 0x0A, b""
        case list():
            return 0x04, bson({str(i): each for i, each in enumerate(value)})
    return 0x03, bson(value)


# --- extended JSON ---------------------------------------------------------------------------------------------------


def relaxed(value: Any) -> Any:
    """As mongoexport writes by default."""
    match value:
        case ObjectId():
            return {"$oid": value.digits}
        case Date():
            whole, ms = divmod(value.ms, 1000)
            import datetime

            text = datetime.datetime.fromtimestamp(whole, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
            return {"$date": f"{text}.{ms:03}Z"}
        case Long():
            return value.value
        case float() if not math.isfinite(value):
            return {"$numberDouble": {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")}
        case _:
            return _deeper(value, relaxed)


def canonical(value: Any) -> Any:
    """As mongoexport writes with --jsonFormat=canonical."""
    match value:
        case bool():
            return value
        case Date():
            return {"$date": {"$numberLong": str(value.ms)}}
        case Long():
            return {"$numberLong": str(value.value)}
        case int() if abs(value) < 2**31:
            return {"$numberInt": str(value)}
        case int():
            return {"$numberDouble": f"{value}.0"}
        case float() if math.isfinite(value):
            return {"$numberDouble": repr(value)}
        case float() | ObjectId():
            return relaxed(value)
        case _:
            return _deeper(value, canonical)


def _deeper(value: Any, form: Any) -> Any:
    match value:
        case Binary():
            import base64

            return {"$binary": {"base64": base64.b64encode(value.data).decode(), "subType": f"{value.subtype:02x}"}}
        case list():
            return [form(each) for each in value]
        case dict():
            return {key: form(each) for key, each in value.items()}
    return value


# --- mongodump -------------------------------------------------------------------------------------------------------

_STOP = b"\xff" * 4


def archive(collections: Mapping[str, Sequence[Document]], step: int = 2) -> bytes:
    """Of "database.collection" -> documents. Parts of `step` documents, the collections taking turns."""
    out = io.BytesIO()
    out.write(b"\x6d\xe2\x99\x81")
    out.write(
        bson({"concurrent_collections": 4, "version": "0.1", "server_version": "6.0.5", "tool_version": "100.7.0"})
    )
    names = {name: {"db": name.partition(".")[0], "collection": name.partition(".")[2]} for name in collections}
    for name, header in names.items():
        size = sum(len(bson(each)) for each in collections[name])
        out.write(bson({**header, "metadata": '{"indexes":[]}', "size": size, "type": "collection"}))
    out.write(_STOP)
    longest = max(map(len, collections.values()), default=0)
    for at in range(0, longest + step, step):
        for name, documents in collections.items():
            if part := documents[at : at + step]:
                out.write(bson({**names[name], "EOF": False, "CRC": Long(0)}))
                out.write(b"".join(bson(each) for each in part) + _STOP)
    for name, documents in collections.items():
        crc = checksum(b"".join(bson(each) for each in documents))
        out.write(bson({**names[name], "EOF": True, "CRC": Long(crc - 2**64 if crc > _MOST else crc)}) + _STOP)
    return out.getvalue()


def checksum(data: bytes) -> int:
    """CRC-64 of ECMA-182, bits reversed, bit by bit: slow, and nothing like a table."""
    crc = 2**64 - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xC96C5795D7870F42 if crc & 1 else 0)
    return crc ^ 2**64 - 1


def write(folder: Path, form: str, documents: Sequence[Document]) -> Path:
    """The documents in one of the FORMS; the path to name."""
    file = folder / "dump"
    lines = [json.dumps(relaxed(each), ensure_ascii=False) for each in documents]
    other = [{"_id": ObjectId("f" * 24), "other": True}]
    if form == "folder":
        database = folder / "dump" / "damas"
        database.mkdir(parents=True)
        database.joinpath("node.bson.gz").write_bytes(gzip.compress(b"".join(map(bson, documents))))
        database.joinpath("node.metadata.json.gz").write_bytes(gzip.compress(b'{"indexes":[]}'))
        database.joinpath("system.views.bson").write_bytes(bson({"_id": "v"}))
        return file
    data = {
        "lines": "\n".join(lines).encode() + b"\n",
        "canonical": b"".join(json.dumps(canonical(each)).encode() + b"\r\n" for each in documents),
        "array": b"[" + ",\n".join(lines).encode() + b"]\n",
        "pretty": json.dumps([canonical(each) for each in documents], indent=2).encode(),
        "spread": "\n".join(json.dumps(relaxed(each), indent=1) for each in documents).encode(),
        "lines.gz": gzip.compress("\n".join(lines).encode()),
        "bson": b"".join(map(bson, documents)),
        "archive": archive({"admin.system.version": other, "damas.node": documents}),
        "archive.gz": gzip.compress(archive({"damas.node": documents})),
    }
    file.write_bytes(data[form])
    return file


FORMS = (
    "lines",
    "canonical",
    "array",
    "pretty",
    "spread",
    "lines.gz",
    "bson",
    "archive",
    "archive.gz",
    "folder",
)
