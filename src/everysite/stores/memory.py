"""A store in memory: what the contract says and nothing more.

Owns: MemoryStore. Must not know: disks. It is the oracle other adapters are compared with, and a store for tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from blake3 import blake3

from everysite.disk.stages import is_stage
from everysite.errors import (
    DigestMismatch,
    EverysiteError,
    NotFound,
    PathRefused,
    SourceChanged,
    StaleLease,
    TargetFull,
    Transient,
)
from everysite.model.path import Name, to_text
from everysite.model.path import name as check_name
from everysite.stores.contract import MayPublish, Session, Source, Stat, Traits, allow, forget

_PIECE = 1 << 20
_PAGE = 1000
_FINAL = (DigestMismatch, SourceChanged, TargetFull)


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    mtime_ns: int
    mode: int

    def stat(self, name: Name, digest: str | None = None) -> Stat:
        return Stat(name, len(self.data), self.mtime_ns, self.mode, digest)


class MemoryStore:
    """Holds at most `capacity` bytes of files and unfinished writes; None: as much as there is memory."""

    def __init__(self, capacity: int | None = None) -> None:
        self.traits = Traits(resumes=True, renames=True, bundles=True)
        self._capacity = capacity
        self._files: dict[bytes, _File] = {}
        self._unfinished: dict[Session, tuple[Source, bytearray]] = {}
        self._sessions = 0

    async def probe(self) -> None:
        if self._capacity is not None and self._used() >= self._capacity:
            raise TargetFull(f"memory: all {self._capacity} bytes are in use")

    async def stat(self, name: Name) -> Stat:
        return self._at(name).stat(name)

    async def list(self, prefix: Name | None = None) -> AsyncIterator[Sequence[Stat]]:
        below = check_name(prefix) + b"/" if prefix else b""
        names = sorted(name for name in self._files if name.startswith(below))
        for start in range(0, len(names), _PAGE):
            page = [self._files[n].stat(Name(n)) for n in names[start : start + _PAGE] if n in self._files]
            if page:
                yield page

    async def read(self, name: Name, offset: int = 0) -> AsyncIterator[bytes]:
        data = self._at(name).data
        for start in range(offset, len(data), _PIECE):
            yield data[start : start + _PIECE]

    async def write(
        self,
        name: Name,
        source: Source,
        session: Session | None = None,
        on_session: Callable[[Session], Awaitable[None]] = forget,
        may_publish: MayPublish = allow,
    ) -> Stat:
        _check(name)
        key, data = self._resume(source, session)
        try:
            await self._pour(source, data)
            digest = _checked(name, source, data)
            if name not in await may_publish([name]):
                raise StaleLease(f"{to_text(name)}: somebody else does this by now; nothing was changed")
        except (Transient, asyncio.CancelledError) as err:
            if on_session is forget or isinstance(err, _FINAL) or not data:
                del self._unfinished[key]
            else:
                await on_session(key)
            raise
        except BaseException:  # refused for good: nothing to come back for
            del self._unfinished[key]
            raise
        del self._unfinished[key]
        self._files[name] = _File(bytes(data), source.mtime_ns, source.mode & 0o777)
        return self._files[name].stat(name, digest)

    def _resume(self, source: Source, session: Session | None) -> tuple[Session, bytearray]:
        found = self._unfinished.get(session) if session is not None else None
        if found is not None and session is not None:
            old, data = found
            if (old.size, old.mtime_ns, old.digest) == (source.size, source.mtime_ns, source.digest):
                return session, data
            del self._unfinished[session]
        self._sessions += 1
        key = b"%d" % self._sessions
        self._unfinished[key] = (source, bytearray())
        return key, self._unfinished[key][1]

    async def _pour(self, source: Source, data: bytearray) -> None:
        async for piece in source.open(len(data)):
            if self._capacity is not None and self._used() + len(piece) > self._capacity:
                raise TargetFull(f"memory: no room for {len(piece)} bytes more of {self._capacity}")
            data += piece

    async def write_many(
        self, files: AsyncIterable[tuple[Name, Source]], may_publish: MayPublish = allow
    ) -> Sequence[Stat | Exception]:
        answers: list[Stat | Exception] = []
        async for name, source in files:
            try:
                answers.append(await self.write(name, source, may_publish=may_publish))
            except TargetFull:
                if not any(isinstance(a, Stat) for a in answers):
                    raise
                answers.append(TargetFull("memory: no room left"))
            except EverysiteError as err:
                answers.append(err)
        return answers

    async def copy(self, name: Name, to: Name) -> Stat:
        _check(to)
        self._files[to] = self._at(name)
        return self._files[to].stat(to)

    async def move(self, name: Name, to: Name) -> Stat:
        stat = await self.copy(name, to)
        if name != to:
            del self._files[name]
        return stat

    async def delete(self, names: Sequence[Name]) -> None:
        for name in names:
            _check(name)
            self._files.pop(name, None)

    def _at(self, name: Name) -> _File:
        _check(name)
        try:
            return self._files[name]
        except KeyError as err:
            raise NotFound(f"memory: {to_text(name)} does not exist") from err

    def _used(self) -> int:
        unfinished = sum(len(data) for _, data in self._unfinished.values())
        return unfinished + sum(len(file.data) for file in self._files.values())


def _check(name: Name) -> None:
    if is_stage(check_name(name).rpartition(b"/")[2]):
        raise PathRefused(f"{to_text(name)!r} is a name everysite keeps for unfinished files; rename it")


def _checked(name: Name, source: Source, data: bytearray) -> str:
    digest = blake3(data).hexdigest()
    if len(data) != source.size or source.digest not in (None, digest):
        raise DigestMismatch(f"{to_text(name)}: the bytes that arrived are not those announced")
    return digest
