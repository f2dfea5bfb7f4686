"""Whatever is asked of a store in whatever order, it answers as a dictionary would."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from blake3 import blake3
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.conftest import LONG
from tests.stores.adapters import ADAPTERS, ON_DISK, list_all, read_all, source_of, stream

from everysite.disk.stages import is_stage
from everysite.errors import DigestMismatch, NotFound, SiteUnreachable, StaleLease
from everysite.model.path import Name
from everysite.stores.contract import Session, Stat, Store
from everysite.stores.wrappers import Cut

T = TypeVar("T")

# No name is a folder of another: what happens then differs between disks and object stores.
NAMES = [
    Name(n) for n in (b"a", b"A", b"d/b", b"d/c", b"d/e/f", b"\xff\n", b"x" * 255, b"d-", b"d/ ", b"deep/" * 9 + b"z")
]
names = st.sampled_from(NAMES)
bodies = st.builds(lambda piece, times: piece * times, st.binary(max_size=40), st.sampled_from([1, 100, 3000]))
times = st.integers(0, 2**62)
modes = st.sampled_from([0o600, 0o644, 0o755, 0o444])
files = st.lists(st.tuples(names, bodies, times, modes, st.booleans()), max_size=8)
Held = tuple[bytes, int, int]


class StoreMachine(RuleBasedStateMachine):
    """Compares a store with `self.held`: name -> (bytes, mtime_ns, mode)."""

    make: Callable[[Path], Store]
    on_disk: bool

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="everysite-store-"))
        self.runner = asyncio.Runner()
        self.store = type(self).make(self.root)
        self.held: dict[Name, Held] = {}
        self.sessions: dict[tuple[Name, bytes, int, int], Session] = {}
        self.torn: list[bytes] = []
        self.stop = threading.Event()
        self.reader = threading.Thread(target=self.poll)
        if self.on_disk:
            self.reader.start()

    def poll(self) -> None:
        """Whoever looks at the folder sees whole files: each starts with a digest of its rest."""
        while not self.stop.wait(0.001):
            for path in [self.root / "a", self.root / "d/b"]:
                try:
                    data = path.read_bytes()
                except OSError:
                    continue
                if blake3(data[32:]).digest() != data[:32]:
                    self.torn.append(data)

    def run(self, work: Awaitable[T]) -> T:
        async def task() -> T:
            return await work

        return self.runner.run(task())

    @rule(name=names, body=bodies, mtime_ns=times, mode=modes)
    def write(self, name: Name, body: bytes, mtime_ns: int, mode: int) -> None:
        data = signed(body)
        stat = self.run(self.store.write(name, source_of(data, mtime_ns, mode)))
        assert stat == Stat(name, len(data), mtime_ns, mode, blake3(data).hexdigest())
        self.held[name] = (data, mtime_ns, mode)

    @rule(files=files, allowed=st.sets(names))
    def write_many(self, files: list[tuple[Name, bytes, int, int, bool]], allowed: set[Name]) -> None:
        async def may(asked: Collection[Name]) -> Collection[Name]:
            return [name for name in asked if name in allowed]

        sources = []
        for name, body, mtime_ns, mode, good in files:
            source = source_of(signed(body), mtime_ns, mode)
            sources.append((name, source if good else replace(source, digest="0" * 64)))
        answers = self.run(self.store.write_many(stream(sources), may))
        assert len(answers) == len(files)
        for (name, body, mtime_ns, mode, good), answer in zip(files, answers, strict=True):
            if good and name in allowed:
                assert isinstance(answer, Stat) and answer.name == name
                self.held[name] = (signed(body), mtime_ns, mode)
            else:
                assert isinstance(answer, StaleLease if good else DigestMismatch)

    @rule(name=names, body=bodies, mtime_ns=times, after=st.integers(0, 200_000))
    def write_over_a_bad_line(self, name: Name, body: bytes, mtime_ns: int, after: int) -> None:
        data = signed(body)
        key = (name, data, mtime_ns, 0o644)

        async def keep(session: Session) -> None:
            self.sessions[key] = session

        cut, source = Cut(self.store, after), source_of(data, mtime_ns, piece=7000)
        try:
            self.run(cut.write(name, source, self.sessions.get(key), keep))
        except SiteUnreachable:
            self.compare(name)
            session = self.sessions.get(key)
            stat = self.run(self.store.write(name, source, session, keep))
            assert stat.digest == source.digest
        self.sessions.pop(key, None)
        self.held[name] = (data, mtime_ns, 0o644)

    @rule(name=names, to=names)
    def move(self, name: Name, to: Name) -> None:
        if name not in self.held:
            with pytest.raises(NotFound):
                self.run(self.store.move(name, to))
            return
        moved = self.run(self.store.move(name, to))
        self.held[to] = self.held.pop(name)
        assert (moved.name, moved.mtime_ns, moved.mode) == (to, *self.held[to][1:])

    @rule(name=names, to=names)
    def copy(self, name: Name, to: Name) -> None:
        if name not in self.held:
            with pytest.raises(NotFound):
                self.run(self.store.copy(name, to))
            return
        copied = self.run(self.store.copy(name, to))
        self.held[to] = self.held[name]
        assert (copied.name, copied.mtime_ns, copied.mode) == (to, *self.held[to][1:])

    @rule(gone=st.lists(names, max_size=4))
    def delete(self, gone: list[Name]) -> None:
        self.run(self.store.delete(gone))
        for name in gone:
            self.held.pop(name, None)

    @rule(name=names, offset=st.integers(0, 130_000))
    def read_at(self, name: Name, offset: int) -> None:
        if name in self.held:
            assert self.run(read_all(self.store, name, offset)) == self.held[name][0][offset:]
        else:
            with pytest.raises(NotFound):
                self.run(read_all(self.store, name, offset))

    @rule(name=names)
    def compare(self, name: Name) -> None:
        if name not in self.held:
            with pytest.raises(NotFound):
                self.run(self.store.stat(name))
            return
        stat = self.run(self.store.stat(name))
        assert (stat.size, stat.mtime_ns, stat.mode) == (len(self.held[name][0]), *self.held[name][1:])

    @invariant()
    def lists_what_is_held(self) -> None:
        listed = [(s.name, s.size, s.mtime_ns, s.mode) for s in self.run(list_all(self.store))]
        assert listed == [(n, len(d), t, m) for n, (d, t, m) in sorted(self.held.items())]

    @invariant()
    def leaves_no_stage(self) -> None:
        assert not [p for p in self.root.rglob(".everysite-*") if is_stage(p.name.encode())]

    def teardown(self) -> None:
        self.stop.set()
        if self.on_disk:
            self.reader.join()
        self.runner.close()
        shutil.rmtree(self.root)
        assert self.torn == []


def signed(body: bytes) -> bytes:
    """A body that shows whether it is whole."""
    return blake3(body).digest() + body


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_store_is_a_dictionary(adapter: str) -> None:
    class Machine(StoreMachine):
        make = staticmethod(ADAPTERS[adapter])
        on_disk = adapter in ON_DISK

    # Two adapters differ in kind, the others wrap them: those get the most examples.
    thorough = adapter in ("folder", "folder-portable", "memory")
    examples = (300 if thorough else 100) if LONG else (25 if thorough else 6)
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples, stateful_step_count=25))
