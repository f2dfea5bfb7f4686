"""Deposits: whole or nothing, slots that come back, stages that are known by name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from blake3 import blake3

from everysite.disk.deposit import Deposits
from everysite.disk.system import HERE, PORTABLE, System
from everysite.errors import Conflict, PathRefused, SiteUnreachable, TargetFull, Transient, Unreadable


@pytest.fixture(params=[HERE, PORTABLE], ids=["here", "portable"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Deposits:
    system: System = request.param
    return Deposits(os.fsencode(tmp_path), b"me", system)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_deposit_takes_its_place_whole(home: Deposits, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    for name in (b"f", b"new/deep/f"):
        deposit = home.open(5)
        deposit.write(b"ab")
        deposit.write(b"cde")
        assert (deposit.size, deposit.digest()) == (5, blake3(b"abcde").hexdigest())
        assert deposit.sha256() == hashlib.sha256(b"abcde").hexdigest()
        assert (tmp_path / "f").read_bytes() in (b"old", b"abcde")
        assert deposit.finish().st_size == 5
        deposit.place(name)
        deposit.close()
        assert (tmp_path / os.fsdecode(name)).read_bytes() == b"abcde"
    assert names(tmp_path) == ["f", "new", "new/deep", "new/deep/f"]


def test_what_is_not_placed_is_gone(home: Deposits, tmp_path: Path) -> None:
    deposit = home.open()
    deposit.write(b"x")
    assert len(names(tmp_path)) == 1
    deposit.close()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (b"../x", PathRefused),
        (b"/x", PathRefused),
        (b"a/../../x", PathRefused),
        (b"link/x", PathRefused),
        (b"file/x", Conflict),
        (b"folder", Unreadable),
        (b"", PathRefused),
        (b"x" * 256, PathRefused),
    ],
)
def test_a_place_outside_or_taken_is_refused(
    home: Deposits, tmp_path: Path, name: bytes, error: type[Exception]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path.parent)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    before = names(tmp_path)
    deposit = home.open()
    with pytest.raises(error):
        deposit.place(name)
    deposit.close()
    assert names(tmp_path) == before


def test_slots_come_back(home: Deposits) -> None:
    for _ in range(3):
        held = [home.open() for _ in range(64)]
        with pytest.raises(Transient, match="under way"):
            home.open()
        for deposit in held:
            deposit.close()


def test_no_room_and_no_root_are_said_and_cost_no_slot(home: Deposits, tmp_path: Path) -> None:
    gone = Deposits(os.fsencode(tmp_path / "none"), b"me")
    for _ in range(65):
        with pytest.raises(TargetFull, match="MiB are free"):
            home.open(1 << 60)
        with pytest.raises(SiteUnreachable):
            gone.open()
    assert names(tmp_path) == []


def test_only_our_own_leftovers_are_swept(home: Deposits, tmp_path: Path) -> None:
    other = Deposits(home.root, b"you")
    home.open()
    kept = other.open()
    again = Deposits(home.root, b"me")
    again.sweep()
    assert len(names(tmp_path)) == 1
    again.open().close()
    kept.close()
    assert names(tmp_path) == []
