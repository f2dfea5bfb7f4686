"""Many files in one stream of bytes: how contents travel between two agents.

Owns: the records of the stream, and what makes it whole.
Must not know: HTTP, who asked, where the bytes come from or go.

    stream  = MAGIC record* end
    record  = 'F' number offset size mtime_ns mode crc  a file begins; its bytes from `offset` on follow
            | 'D' length bytes                          some of them
            | 'E' blake3                                all of them were sent; digest of the bytes of this stream
            | 'X' number code text                      this file cannot be sent (instead of 'F', or in the middle)
    end     = 'Z' count                                 so many files were answered

All numbers are big-endian. A stream that is cut, corrupted or out of order raises Transient; nothing of the file it
happened in may be published. `number` is the place of the file in the request.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple
from zlib import crc32

from blake3 import blake3

from everysite import errors
from everysite.errors import EverysiteError, Transient

MAGIC = b"everysite frames 1\n"
PIECE = 1 << 20
"""The longest piece of a body, and about the size of what `packed` hands on."""

_FILE = struct.Struct(">IQQqI")
_SUM = struct.Struct(">I")  # of the record above, which the digest of the body does not cover
_LENGTH = struct.Struct(">I")
_FAULT = struct.Struct(">IBH")
_DIGEST = 32
_PACK = 256 << 10  # smaller chunks cost more per byte in every HTTP library than they save in waiting


class Begun(NamedTuple):
    """A file begins. `size` is that of the whole file; size - offset bytes follow."""

    number: int
    offset: int
    size: int
    mtime_ns: int
    mode: int


class Piece(NamedTuple):
    """Bytes of the file that has begun."""

    data: bytes


class Ended(NamedTuple):
    """The file is whole. `digest` is BLAKE3 of the bytes that were sent, checked."""

    digest: bytes


class Failed(NamedTuple):
    """The sender could not send this file (any more); `error` says why."""

    number: int
    error: EverysiteError


Event = Begun | Piece | Ended | Failed


def begin(number: int, offset: int, size: int, mtime_ns: int, mode: int) -> bytes:
    """The record that opens a file."""
    record = _FILE.pack(number, offset, size, mtime_ns, mode)
    return b"F" + record + _SUM.pack(crc32(record))


def piece(data: bytes) -> bytes:
    """A record of at most PIECE bytes of the opened file."""
    return b"D" + _LENGTH.pack(len(data)) + data


def ended(digest: bytes) -> bytes:
    """The record that closes a file; `digest` is BLAKE3 of all bytes sent of it."""
    return b"E" + digest


def failed(number: int, error: EverysiteError) -> bytes:
    """The record that says a file cannot be sent."""
    code, text = error.code.encode()[:255], str(error).encode(errors="replace")[:4096]
    return b"X" + _FAULT.pack(number, len(code), len(text)) + code + text


def finished(count: int) -> bytes:
    """The last record: `count` files were answered, sent or failed."""
    return b"Z" + _LENGTH.pack(count)


def whole(number: int, mtime_ns: int, mode: int, data: bytes, digest: bytes) -> Iterator[bytes]:
    """All records of a small file."""
    yield begin(number, 0, len(data), mtime_ns, mode)
    for start in range(0, len(data), PIECE):
        yield piece(data[start : start + PIECE])
    yield ended(digest)


async def packed(records: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The stream of these records, in chunks an HTTP library likes: MAGIC first, a quarter to one and a quarter MiB."""
    waiting: list[bytes] = [MAGIC]
    size = len(MAGIC)
    async for record in records:
        waiting.append(record)
        size += len(record)
        if size >= _PACK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


class Decoder:
    """Turns chunks, however they were cut, back into events; call `close` at the end of the stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._started = False
        self._file: Begun | None = None
        self._missing = 0  # bytes of the open file still to come
        self._hasher = blake3()
        self._answered = 0
        self._count = -1

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """What this chunk completes. Raises Transient when the stream is not one of ours or is damaged."""
        data = self._rest + chunk if self._rest else chunk
        at = 0
        if not self._started:
            at = self._start(data)
        while at < len(data):
            step = self._record(data, at)
            if step is None:
                break
            at, event = step
            if event is not None:
                yield event
        self._rest = data[at:]

    def close(self) -> None:
        """Raises Transient unless the stream was whole."""
        if self._count < 0 or self._rest:
            raise Transient("the transfer was cut off before its end; it is taken up again")
        if self._count != self._answered:
            raise _damaged(f"{self._count} files were announced at its end and {self._answered} came")

    def _start(self, data: bytes) -> int:
        head = data[: len(MAGIC)]
        if head != MAGIC[: len(head)]:
            raise _damaged("it does not begin like one")
        self._started = len(head) == len(MAGIC)
        return len(MAGIC) if self._started else 0

    def _record(self, data: bytes, at: int) -> tuple[int, Event | None] | None:
        """The record at this place and where the next one begins; None: more bytes are needed."""
        if not self._started:
            return None
        if self._count >= 0:
            raise _damaged("something follows its end")
        kind = data[at]
        if kind == 0x44:  # D
            return self._piece(data, at + 1)
        if kind == 0x46:  # F
            return self._begin(data, at + 1)
        if kind == 0x45:  # E
            return self._end(data, at + 1)
        if kind == 0x58:  # X
            return self._fault(data, at + 1)
        if kind == 0x5A:  # Z
            return self._finish(data, at + 1)
        raise _damaged(f"{kind:#x} begins no record")

    def _begin(self, data: bytes, at: int) -> tuple[int, Event] | None:
        end = at + _FILE.size
        if len(data) < end + _SUM.size:
            return None
        file = Begun(*_FILE.unpack_from(data, at))
        intact = _SUM.unpack_from(data, end)[0] == crc32(data[at:end])
        if not intact or self._file is not None or file.offset > file.size:
            raise _damaged("a file begins where none can")
        self._file, self._missing, self._hasher = file, file.size - file.offset, blake3()
        return end + _SUM.size, file

    def _piece(self, data: bytes, at: int) -> tuple[int, Event] | None:
        if len(data) - at < 4:
            return None
        length = _LENGTH.unpack_from(data, at)[0]
        if self._file is None or length > self._missing or length > PIECE:
            raise _damaged("more bytes than the file has")
        if len(data) - at - 4 < length:
            return None
        body = data[at + 4 : at + 4 + length]
        self._hasher.update(body)
        self._missing -= length
        return at + 4 + length, Piece(body)

    def _end(self, data: bytes, at: int) -> tuple[int, Event] | None:
        if len(data) - at < _DIGEST:
            return None
        digest = data[at : at + _DIGEST]
        if self._file is None or self._missing:
            raise _damaged("a file ends before its last byte")
        if self._hasher.digest() != digest:
            raise _damaged("the bytes are not those that were sent")
        self._file = None
        self._answered += 1
        return at + _DIGEST, Ended(digest)

    def _fault(self, data: bytes, at: int) -> tuple[int, Event] | None:
        if len(data) - at < _FAULT.size:
            return None
        number, code, text = _FAULT.unpack_from(data, at)
        end = at + _FAULT.size + code + text
        if len(data) < end:
            return None
        if self._file is not None and self._file.number != number:
            raise _damaged("a file fails inside another one")
        self._file = None
        self._answered += 1
        word = data[at + _FAULT.size : end - text].decode(errors="replace")
        return end, Failed(number, error_of(word, data[end - text : end].decode(errors="replace")))

    def _finish(self, data: bytes, at: int) -> tuple[int, None] | None:
        if len(data) - at < 4:
            return None
        if self._file is not None:
            raise _damaged("it ends inside a file")
        self._count = _LENGTH.unpack_from(data, at)[0]
        return at + 4, None


def error_of(code: str, text: str) -> EverysiteError:
    """The error a code word stands for; words nobody knows are worth another try."""
    return _CLASSES.get(code, Transient)(text)


_CLASSES: dict[str, type[EverysiteError]] = {
    found.code: found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, EverysiteError) and found is not EverysiteError
}


def _damaged(why: str) -> Transient:
    return Transient(f"the stream of files is damaged: {why}; it is fetched again")
