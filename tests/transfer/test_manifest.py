"""The manifest against a dict, through reopening, torn tails and compaction."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from everysite.transfer import manifest as module
from everysite.transfer.manifest import Held, Manifest

paths = st.sampled_from([b"", b"a", b"a/b", b"a/b/c", b"d", b"ab", b"caf\xe9"])
bodies = st.binary(max_size=40)
numbers = st.integers(0, (1 << 62))


def held(number: int) -> Held:
    return Held(number.to_bytes(16, "big"), number, 0o755, number, -number, (number, number, number), 3, number)


class AgainstDict(RuleBasedStateMachine):
    """Whatever is done, and however often the file is opened again, the newest record of a folder counts."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.home = tempfile.TemporaryDirectory()
        self.path = os.fsencode(self.home.name) + b"/manifest"
        self.manifest = Manifest(self.path, b"pair")
        self.model: dict[bytes, tuple[Held, bytes, bytes]] = {}

    @rule(path=paths, number=numbers, packed=bodies, digests=bodies)
    def put(self, path: bytes, number: int, packed: bytes, digests: bytes) -> None:
        self.manifest.put(path, held(number), packed, digests)
        self.model[path] = (held(number), packed, digests)

    @rule(path=paths, number=numbers)
    def stamp(self, path: bytes, number: int) -> None:
        if path in self.model:
            old, packed, digests = self.model[path]
            self.manifest.stamp(path, held(number))
            self.model[path] = (held(number)._replace(fingerprint=old.fingerprint), packed, digests)

    @rule(path=paths)
    def drop(self, path: bytes) -> None:
        self.manifest.drop(path)
        self.model.pop(path, None)

    @rule(old=paths.filter(bool))
    def move(self, old: bytes) -> None:
        if not any(path.startswith(b"moved") for path in self.model):
            self.manifest.move(old, b"moved")
            for path in [path for path in self.model if path == old or path.startswith(old + b"/")]:
                self.model[b"moved" + path[len(old) :]] = self.model.pop(path)

    @rule(compact=st.booleans())
    def open_again(self, compact: bool) -> None:
        if compact:
            self.manifest._rewrite()
        self.manifest.close()
        self.manifest = Manifest(self.path, b"pair")

    @invariant()
    def same(self) -> None:
        assert self.manifest.folders.keys() == self.model.keys()
        for path, (wanted, packed, digests) in self.model.items():
            found = self.manifest.folders[path]
            assert found._replace(offset=0, length=0) == wanted
            assert self.manifest.entries(found) == (packed, digests)

    def teardown(self) -> None:
        self.manifest.close()
        self.home.cleanup()


TestAgainstDict = AgainstDict.TestCase


@given(cut=st.integers(1, 250))
def test_a_torn_tail_is_cut_off_and_written_over(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = os.fsencode(tmp_path_factory.mktemp("torn") / "manifest")
    manifest = Manifest(path, b"pair")
    manifest.put(b"whole", held(1), b"entries", b"digests")
    whole = os.path.getsize(path)
    manifest.put(b"torn", held(2), b"entries" * 20, b"")
    manifest.close()
    os.truncate(path, max(whole, os.path.getsize(path) - cut))
    again = Manifest(path, b"pair")
    assert list(again.folders) == [b"whole"]
    assert os.path.getsize(path) == whole
    again.put(b"next", held(3), b"", b"")
    again.close()
    assert list(Manifest(path, b"pair").folders) == [b"whole", b"next"]


@given(where=st.integers(0, 10_000), byte=st.integers(1, 255))
def test_a_damaged_byte_is_never_believed(tmp_path_factory: pytest.TempPathFactory, where: int, byte: int) -> None:
    path = os.fsencode(tmp_path_factory.mktemp("damaged") / "manifest")
    manifest = Manifest(path, b"pair")
    for number in range(5):
        manifest.put(b"%d" % number, held(number), b"entries %d" % number, b"")
    manifest.close()
    data = bytearray(Path(os.fsdecode(path)).read_bytes())
    data[where % len(data)] ^= byte
    Path(os.fsdecode(path)).write_bytes(data)
    again = Manifest(path, b"pair")
    for name, found in again.folders.items():
        assert found._replace(offset=0, length=0) == held(int(name))
        assert again.entries(found) in ((b"entries " + name, b""), (b"", b""))
    again.close()


def test_another_pair_begins_anew(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "manifest")
    one = Manifest(path, b"one pair")
    one.put(b"a", held(1), b"", b"")
    one.close()
    assert not Manifest(path, b"another pair").folders


def test_garbage_is_thrown_away_when_it_is_more_than_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_GARBAGE", 1000)
    path = os.fsencode(tmp_path / "manifest")
    manifest = Manifest(path, b"pair")
    for number in range(50):
        manifest.put(b"a", held(number), b"x" * 100, b"")
    manifest.put(b"b", held(7), b"other", b"digests")
    before = os.path.getsize(path)
    manifest.close()
    assert os.path.getsize(path) < before / 10
    again = Manifest(path, b"pair")
    assert again.folders[b"a"].inode == 49
    assert again.entries(again.folders[b"b"]) == (b"other", b"digests")
    again.close()
