"""The same-machine bundle: guarded targets, renames instead of copies, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from tests.small_disk import mounted

from everysite.disk.landing import ANY
from everysite.disk.stages import is_stage, stage_of
from everysite.disk.system import HERE, PORTABLE, System
from everysite.errors import (
    Cancelled,
    Conflict,
    DigestMismatch,
    NotFound,
    PathRefused,
    SiteUnreachable,
    SourceChanged,
    StaleLease,
)
from everysite.model.path import Name
from everysite.transfer.local import LocalBundle, clean_stages, copy_files, sweep
from everysite.transfer.piece import Landed, Piece


class Pair:
    """A source folder and a target folder."""

    def __init__(self, path: Path, system: System) -> None:
        self.source, self.target, self.system = path / "source", path / "target", system
        self.source.mkdir()
        self.target.mkdir()

    def make(self, name: str, data: bytes, **more: object) -> Piece:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        found = path.stat()
        fields = {"mode": found.st_mode & 0o777, "digest": blake3(data).digest(), **more}
        return Piece(Name(name.encode()), len(data), found.st_mtime_ns, **fields)  # type: ignore[arg-type]

    def bundle(self, *pieces: Piece) -> LocalBundle:
        return LocalBundle(os.fsencode(self.source), os.fsencode(self.target), pieces, b"t", self.system)

    def copy(self, *pieces: Piece) -> list[object]:
        result = copy_files(os.fsencode(self.source), os.fsencode(self.target), pieces, system=self.system)
        result.check()
        return list(result.outcomes)

    def held(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.target)): p.read_bytes() for p in self.target.rglob("*") if p.is_file()}


@pytest.fixture(params=[HERE, PORTABLE], ids=["here", "portable"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    return Pair(tmp_path, request.param)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "small") as disk:
        yield disk


def test_small_and_large_files_arrive_as_they_are(pair: Pair) -> None:
    large = os.urandom(35 << 20)
    pieces = [pair.make("a/b/small", b"s", mode=0o600), pair.make("large", large), pair.make("empty", b"")]
    pieces[1] = Piece(pieces[1].name, pieces[1].size, pieces[1].mtime_ns)  # nobody knows its digest
    outcomes = pair.copy(*pieces)
    for piece, outcome in zip(pieces, outcomes, strict=True):
        found = (pair.target / os.fsdecode(piece.name)).stat()
        assert isinstance(outcome, Landed) and outcome.how == "copied"
        assert (outcome.size, outcome.mtime_ns, outcome.mode) == (piece.size, piece.mtime_ns, piece.mode)
        assert (found.st_size, found.st_mtime_ns, found.st_mode & 0o777) == (piece.size, piece.mtime_ns, piece.mode)
        assert (outcome.ctime_ns, outcome.inode) == (found.st_ctime_ns, found.st_ino)
    assert [o.digest for o in outcomes if isinstance(o, Landed)][1] == blake3(large).digest()
    assert pair.held() == {"a/b/small": b"s", "large": large, "empty": b""}


def test_one_bad_file_stops_no_other(pair: Pair) -> None:
    good, gone, folder = pair.make("good", b"g"), pair.make("gone", b"x"), pair.make("folder", b"f")
    wrong, moved = pair.make("wrong", b"w", digest=b"0" * 32), pair.make("moved", b"m")
    (pair.source / "gone").unlink()
    (pair.source / "folder").unlink()
    (pair.source / "folder").mkdir()
    os.utime(pair.source / "moved", ns=(1, 1))
    outside = Piece(Name(b"../outside"), 1, 1)
    outcomes = pair.copy(gone, folder, wrong, moved, outside, good)
    kinds = [NotFound, NotFound, DigestMismatch, SourceChanged, PathRefused, Landed]
    assert [type(o) for o in outcomes] == kinds
    assert pair.held() == {"good": b"g"}


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_target_that_is_not_as_expected_is_not_overwritten(pair: Pair, size: int) -> None:
    (pair.target / "f").write_bytes(b"a person's work")
    before = (pair.target / "f").stat()
    data = os.urandom(size)
    for expected in (None, (1, 1), (before.st_size, before.st_mtime_ns + 1)):
        (outcome,) = pair.copy(pair.make("f", data, expected=expected))
        assert isinstance(outcome, Conflict) and pair.held() == {"f": b"a person's work"}
    (outcome,) = pair.copy(pair.make("f", data, expected=(before.st_size, before.st_mtime_ns)))
    assert isinstance(outcome, Landed) and pair.held() == {"f": data}


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_content_that_is_there_already_is_success(pair: Pair, size: int) -> None:
    piece = pair.make("f", os.urandom(size), expected=None)
    pair.copy(piece)
    before = (pair.target / "f").stat()
    (outcome,) = pair.copy(piece)  # as after a crash between the rename and the settle
    assert isinstance(outcome, Landed) and outcome.how == "there"
    assert (pair.target / "f").stat().st_ino == before.st_ino == outcome.inode


def test_a_conflict_that_may_be_replaced_is(pair: Pair) -> None:
    (pair.target / "f").write_bytes(b"theirs")
    (outcome,) = pair.copy(pair.make("f", b"ours", expected=None, replaces=blake3(b"theirs").digest()))
    assert isinstance(outcome, Landed) and pair.held() == {"f": b"ours"}


def test_a_move_costs_no_bytes(pair: Pair) -> None:
    pair.copy(pair.make("old", b"same bytes"))
    os.rename(pair.source / "old", pair.source / "new")
    (pair.source / "new").unlink()  # nothing is read from the source
    found = (pair.target / "old").stat()
    piece = Piece(
        Name(b"dir/new"),
        10,
        found.st_mtime_ns,
        expected=None,
        moved_from=Name(b"old"),
        digest=blake3(b"same bytes").digest(),
    )
    (outcome,) = pair.copy(piece)
    assert isinstance(outcome, Landed) and outcome.how == "renamed" and outcome.inode == found.st_ino
    assert pair.held() == {"dir/new": b"same bytes"}


def test_a_move_with_newer_content_leaves_only_the_new_name(pair: Pair) -> None:
    pair.copy(pair.make("old", b"older"))
    state = (pair.target / "old").stat()
    piece = pair.make("new", b"newer!", moved_from=Name(b"old"), moved_state=(5, state.st_mtime_ns))
    pair.copy(piece)
    assert pair.held() == {"new": b"newer!"}
    (pair.target / "old").write_bytes(b"a person's work")
    pair.copy(pair.make("new", b"newest", moved_from=Name(b"old"), moved_state=(5, state.st_mtime_ns)))
    assert pair.held() == {"new": b"newest", "old": b"a person's work"}


def test_between_stage_and_publish_bytes_are_safe_and_invisible(pair: Pair) -> None:
    pieces = [pair.make("d/a", b"a"), pair.make("d/b", b"b")]
    bundle = pair.bundle(*pieces)
    bundle.stage()
    staged = {os.fsdecode(stage_of(b"d/a", b"t")): b"a", os.fsdecode(stage_of(b"d/b", b"t")): b"b"}
    assert pair.held() == staged and list(bundle.waiting) == [b"d/a", b"d/b"]
    bundle.publish([Name(b"d/b")])
    bundle.close()
    first, second = bundle.result.outcomes
    assert isinstance(first, StaleLease) and isinstance(second, Landed) and pair.held() == {"d/b": b"b"}


def test_stages_of_a_killed_process_are_found_and_removed(pair: Pair, tmp_path: Path) -> None:
    pair.make("d/one", b"1")
    pair.make("two", b"2")
    script = (
        "import os, sys\nfrom everysite.transfer.local import LocalBundle\nfrom everysite.transfer.piece import Piece\n"
        "root = os.fsencode(sys.argv[1])\n"
        "of = lambda n: Piece(n, 1, os.stat(root + b'/source/' + n).st_mtime_ns)\n"
        "LocalBundle(root + b'/source', root + b'/target', [of(b'd/one'), of(b'two')], b't').stage()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], env={"PYTHONPATH": "src"}, timeout=60, check=False)
    assert len(pair.held()) == 2 and all(is_stage(os.fsencode(n.rpartition("/")[2])) for n in pair.held())
    (pair.target / "d/one").write_bytes(b"mine")
    root = os.fsencode(pair.target)
    with pytest.raises(PathRefused):
        clean_stages(root, [stage_of(b"two", b"t"), b"d/one"], pair.system)
    assert clean_stages(root, [stage_of(b"two", b"t"), stage_of(b"never/there", b"t")], pair.system) == 1
    keep = stage_of(b"d/one", b"t")
    assert sweep(root, [keep], pair.system) == 0
    assert sweep(root, (), pair.system) == 1 and pair.held() == {"d/one": b"mine"}


def test_a_missing_root_is_site_trouble_and_costs_no_file_a_try(pair: Pair) -> None:
    piece = pair.make("a", b"a")
    for source, target in ((pair.source, pair.target / "no"), (pair.source / "no", pair.target)):
        result = copy_files(os.fsencode(source), os.fsencode(target), [piece], system=pair.system)
        assert isinstance(result.fault, SiteUnreachable) and result.outcomes == [None]
        with pytest.raises(SiteUnreachable):
            result.check()
    assert pair.held() == {}


def test_a_full_target_keeps_old_files_and_leaves_no_stage(small_disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.mkdir()
    (small_disk / "old").write_bytes(b"old")
    for size in (3 << 20, 900_000):
        pieces = []
        for i in range((8 << 20) // size):
            path = source / f"{size}-{i}"
            path.write_bytes(bytes(size))
            pieces.append(Piece(Name(os.fsencode(path.name)), size, path.stat().st_mtime_ns, expected=ANY))
        (source / "old").write_bytes(b"new")
        pieces.append(Piece(Name(b"old"), 3, (source / "old").stat().st_mtime_ns))
        result = copy_files(os.fsencode(source), os.fsencode(small_disk), pieces)
        assert result.fault is not None and result.fault.code == "target-full" and result.landed == []
        assert [p.name for p in small_disk.iterdir()] == ["old"] and (small_disk / "old").read_bytes() == b"old"


def test_a_stopped_copy_leaves_nothing(pair: Pair) -> None:
    bundle, stop = pair.bundle(pair.make("large", bytes(40 << 20))), threading.Event()
    heard: list[int] = []

    def progress(count: int) -> None:
        heard.append(count)
        stop.set()

    with pytest.raises(Cancelled):
        bundle.stage(stop, progress)
    bundle.close()
    assert len(heard) == 1 and pair.held() == {}


def test_a_source_that_changes_while_it_is_read_is_not_published(pair: Pair) -> None:
    piece = pair.make("large", bytes(40 << 20))
    result = pair.bundle(piece)

    def write_to_it(count: int) -> None:
        with open(pair.source / "large", "r+b") as file:
            file.write(b"changed")

    result.stage(progress=write_to_it)
    result.publish(result.waiting)
    result.close()
    assert isinstance(result.result.outcomes[0], SourceChanged) and pair.held() == {}


def test_a_reader_never_sees_a_torn_file(pair: Pair) -> None:
    pair.copy(pair.make("f", b"0" * 200_000))
    stop, torn = threading.Event(), list[int]()

    def poll() -> None:
        while not stop.is_set():
            data = (pair.target / "f").read_bytes()
            if len(data) != 200_000 or len(set(data)) != 1:
                torn.append(len(data))

    reader = threading.Thread(target=poll)
    reader.start()
    for i in range(1, 60):
        pair.copy(pair.make("f", b"%d" % (i % 10) * 200_000))
    stop.set()
    reader.join()
    assert torn == [] and pair.held() == {"f": b"9" * 200_000}


def test_the_lease_is_asked_between_the_sync_and_the_renames(pair: Pair) -> None:
    asked: list[Collection[Name]] = []

    def publish(names: Collection[Name]) -> Collection[Name]:
        asked.append(list(names))
        assert all(is_stage(os.fsencode(n)) for n in pair.held())
        return names

    pieces = [pair.make(n, b"x") for n in "abc"]
    copy_files(os.fsencode(pair.source), os.fsencode(pair.target), pieces, publish, system=pair.system).check()
    assert asked == [[b"a", b"b", b"c"]] and set(pair.held()) == {"a", "b", "c"}
