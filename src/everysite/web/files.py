"""The doors for bytes: `GET /api/file/<path>` and `/api/upload`.

Owns: streaming a file out, taking one in, the headers of both, one upload at a time into one place.
Must not know: elements, how a file is staged, who may do what.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes

import msgspec
from starlette.types import Send

from everysite.disk.deposit import Deposit, Deposits
from everysite.disk.folders import Root
from everysite.disk.reading import open_file
from everysite.disk.threads import in_thread
from everysite.errors import BadRequest, DigestMismatch, EverysiteError, NotFound, Transient
from everysite.model.path import check_id, is_package, name_in, to_text
from everysite.tracker.contract import HEALTH
from everysite.tracker.messages import Nothing
from everysite.tracker.operation import Tracker
from everysite.tracker.uploads import MAY_READ, MAY_UPLOAD, UPLOADED, FileAsked, Uploaded, file_key
from everysite.web.answer import JSON, SECURITY, answer, end, more
from everysite.web.attention import Attention
from everysite.web.endpoint import Service
from everysite.web.identity import caller_of
from everysite.web.multipart import Multipart, Part
from everysite.web.options import Options
from everysite.web.ranges import Unsatisfiable, unchanged, validators, wanted
from everysite.web.request import Asked, Gone
from everysite.web.routing import Route

FILE_PATH = "/api/file/{*path}"
UPLOAD_PATH = "/api/upload"
_PIECE = 1 << 20  # read or written in one thread hop
_EACH = 16  # uploads of one user at a time, of the 64 there may be
_SILENCE_S = 60.0  # without a byte before an upload counts as broken; it holds a slot and a stage
_BYTES = [(name, value) for name, value in SECURITY if name != b"cache-control"] + [
    (b"cache-control", b"private, no-cache"),  # kept, and asked about each time
    (b"content-type", b"application/octet-stream"),
]
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("everysite.web")


@dataclass(slots=True)
class _Form:
    """What the fields of an upload said."""

    path: str = ""
    comment: str = ""
    size: str = ""
    digest: str = ""
    sha256: str = ""
    files: int = field(default=0)

    def take(self, part: Part) -> None:
        if part.name in ("path", "comment", "size", "digest", "sha256"):
            setattr(self, part.name, part.text())


class Files:
    """The handlers. Files lie below `options.file_root`; without one there are none."""

    def __init__(self, service: Service, options: Options, attention: Attention) -> None:
        self._service, self._options, self._attention = service, options, attention
        self._root = os.fsencode(options.file_root)
        self._deposits: Deposits | None = None
        self._placing = asyncio.Lock()
        self._under_way: Counter[str] = Counter()

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", FILE_PATH, self.file, "file"),
            Route("POST", UPLOAD_PATH, self.upload, "upload"),
            Route("PUT", UPLOAD_PATH, self.upload, "upload"),
        )

    async def file(self, asked: Asked, send: Send) -> None:
        """Stream a file, or the range of it that is asked for."""
        tracker = self._service.as_caller(await caller_of(asked, self._service, "user"))
        path = asked.params["path"]
        key = check_id(path if path.startswith("/") else "/" + path)
        await tracker.call(MAY_READ, FileAsked(key))
        if is_package(key):
            raise NotFound(f"{key} is a folder; name a file")
        fd, found = await in_thread(self._open, name_in(key))
        try:
            if unchanged(asked.headers, found):
                await _start(send, 304, validators(found))
                await end(send)
                return
            await self._send(asked, send, fd, found, key)
        finally:
            os.close(fd)

    def _open(self, name: bytes) -> tuple[int, os.stat_result]:
        with self._saying_paths(), Root(self._there()) as root:
            return open_file(*root.split(name))

    async def _send(self, asked: Asked, send: Send, fd: int, found: os.stat_result, key: str) -> None:
        try:
            part = wanted(asked.headers, found)
        except Unsatisfiable:
            size = (b"content-range", b"bytes */%d" % found.st_size)
            text = f"File error: the file has {found.st_size} bytes, the range begins after them"
            await answer(send, 416, text.encode(), [(b"content-type", b"text/plain; charset=utf-8"), size])
            return
        first, last = part or (0, found.st_size)
        headers = [*validators(found), (b"content-length", b"%d" % (last - first)), _attached(key)]
        if part:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (first, last - 1, found.st_size)))
        await _start(send, 206 if part else 200, headers)
        if asked.scope["method"] == "HEAD":
            await end(send)
        else:
            await self._attention.during(_pour(send, fd, first, last), asked.receive)

    async def upload(self, asked: Asked, send: Send) -> None:
        """Take a file in. Who may is asked before the first byte is read, and again before the file is put in place."""
        caller = await caller_of(asked, self._service, "user")
        tracker = self._service.as_caller(caller)
        await tracker.call(MAY_UPLOAD, FileAsked())
        with self._one_of_few(caller.username):
            body = await self._taken(asked, tracker)
        await answer(send, 201, _encode(body), JSON)

    async def _taken(self, asked: Asked, tracker: Tracker) -> object:
        form, parser = _Form(), Multipart(asked)
        deposit = await in_thread((await self._home(tracker)).open, _length(asked))
        try:
            await self._receive(asked, tracker, parser, form, deposit)
            return await self._place(tracker, form, deposit)
        except EverysiteError as err:
            raise self._without_root(err) from err
        finally:
            await in_thread(deposit.close)

    async def _home(self, tracker: Tracker) -> Deposits:
        async with self._placing:  # one sweep, before the first stage is there
            if self._deposits is None:
                health = await tracker.call(HEALTH, Nothing())
                made = Deposits(self._there(), health.id.encode())
                with self._saying_paths():
                    await in_thread(made.sweep)
                self._deposits = made
            return self._deposits

    @contextlib.contextmanager
    def _one_of_few(self, name: str) -> Iterator[None]:
        """Nobody takes all the room there is for uploads under way. Raises Transient."""
        if self._under_way[name] >= _EACH:
            raise Transient(f"{_EACH} uploads of yours are under way; try again when one of them is done")
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]

    async def _receive(self, asked: Asked, tracker: Tracker, parser: Multipart, form: _Form, deposit: Deposit) -> None:
        waiting = bytearray()
        async for data in _body(asked):
            for part, piece in parser.feed(data):
                if piece is not None:
                    waiting += piece
                elif part.file:
                    form.files += 1
                else:
                    form.take(part)
                    if part.name == "path":
                        await tracker.call(MAY_UPLOAD, FileAsked(file_key(form.path)))
                if form.files > 1 or (form.files and piece):
                    raise BadRequest("more than one file; send each in a request of its own")
            if len(waiting) >= _PIECE:
                await in_thread(deposit.write, bytes(waiting))
                waiting.clear()
        parser.finish()
        if not form.files:
            raise BadRequest("there is no file among the parts; a file's part has a filename")
        await in_thread(deposit.write, bytes(waiting))

    async def _place(self, tracker: Tracker, form: _Form, deposit: Deposit) -> object:
        key = file_key(form.path)
        await in_thread(_verify, form, deposit)
        found = await in_thread(deposit.finish)
        async with self._placing:  # of two uploads to one path one is there last, and the element tells of that one
            await tracker.call(MAY_UPLOAD, FileAsked(key))
            await in_thread(deposit.place, name_in(key))
            told = Uploaded(key, deposit.size, found.st_mtime_ns // 1_000_000, form.comment)
            return await tracker.call(UPLOADED, told)

    def _there(self) -> bytes:
        if not self._root:
            raise NotFound("this tracker has no folder for files; an administrator names one in api.file_root")
        return self._root

    @contextlib.contextmanager
    def _saying_paths(self) -> Iterator[None]:
        try:
            yield
        except EverysiteError as err:
            raise self._without_root(err) from err

    def _without_root(self, err: EverysiteError) -> EverysiteError:
        """Where the files lie on this machine is nobody's business but the administrator's."""
        root = to_text(self._root.rstrip(b"/"))
        if not root:
            return err
        return type(err)(str(err).replace(root + "/", "/").replace(root, "api.file_root"))


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*_BYTES, *headers]})


def _attached(key: str) -> tuple[bytes, bytes]:
    """A name to save it under. It is never shown in place: a page among the files must not run as ours."""
    leaf = quote_from_bytes(name_in(key).rpartition(b"/")[2], safe="")
    return (b"content-disposition", b"attachment; filename*=UTF-8''" + leaf.encode())


async def _pour(send: Send, fd: int, first: int, last: int) -> None:
    while first < last:
        data = await in_thread(_read, fd, first, last)
        await more(send, data)
        first += len(data)
    await end(send)


def _read(fd: int, first: int, last: int) -> bytes:
    try:
        data = os.pread(fd, min(_PIECE, last - first), first)
    except OSError as err:
        _log.warning("reading a file for a client failed: %s", err.strerror)
        raise Gone from err
    if not data:
        raise Gone  # it was cut meanwhile; what was announced cannot be sent, so the line is
    return data


def _length(asked: Asked) -> int:
    return int(asked.headers.get(b"content-length", b"0"))


async def _body(asked: Asked) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Gone when the client hung up, Transient when nothing comes any more."""
    while not asked.whole:
        try:
            async with asyncio.timeout(_SILENCE_S):
                message = await asked.receive()
        except TimeoutError as err:
            asked.whole = True  # there is nothing to drain
            raise Transient(f"nothing came for {_SILENCE_S:.0f} s; upload it again") from err
        if message["type"] == "http.disconnect":
            raise Gone
        asked.whole = not message.get("more_body")
        yield message.get("body", b"")


def _verify(form: _Form, deposit: Deposit) -> None:
    """Compare with what the sender said of the file. Raises BadRequest, DigestMismatch."""
    if form.size and not form.size.isdecimal():
        raise BadRequest(f"size is {form.size[:20]!r}; it is a number of bytes")
    if form.size and int(form.size[:20]) != deposit.size:
        raise DigestMismatch(f"{deposit.size} bytes came, size says {form.size[:20]}; upload it again")
    if form.digest and not _same(form.digest, deposit.digest()):
        raise DigestMismatch("the bytes that came have another BLAKE3 than digest says; upload it again")
    if form.sha256 and not _same(form.sha256, deposit.sha256()):
        raise DigestMismatch("the bytes that came have another SHA-256 than sha256 says; upload it again")


def _same(told: str, found: str) -> bool:
    return hmac.compare_digest(told.strip().lower().encode(), found.encode())
