"""Whatever is done to a source, and to a target behind our back, one run makes them equal."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.transfer.trees import Copy

names = st.sampled_from(["a", "b", "c", "d"])
places = st.lists(names, min_size=1, max_size=3).map("/".join)
bodies = st.binary(max_size=30)


class Edits(RuleBasedStateMachine):
    """Edits on both sides and copies in between."""

    def __init__(self) -> None:
        super().__init__()
        # A memory disk where there is one: every run syncs, and a busy disk takes its time for that.
        self.home = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.copy = Copy(Path(self.home.name))
        self.touched = False  # files of the target were written to in place: only --check looks there

    def room(self, root: Path, place: str) -> Path | None:
        """The path, with folders above it; None where a file or a ring of links is in the way."""
        path = root / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return None
        return path

    @rule(place=places, body=bodies, here=st.booleans())
    def write(self, place: str, body: bytes, here: bool) -> None:
        if not here and not self.copy.target.exists():
            return
        path = self.room(self.copy.source if here else self.copy.target, place)
        if path is not None and not path.is_dir() and not path.is_symlink():
            path.write_bytes(body)
            self.touched = self.touched or not here

    @rule(place=places, mode=st.sampled_from([0o600, 0o644, 0o755]))
    def chmod(self, place: str, mode: int) -> None:
        path = self.copy.source / place
        if path.exists() and not path.is_symlink():
            path.chmod(mode | 0o100 if path.is_dir() else mode)

    @rule(place=places, to=places)
    def link(self, place: str, to: str) -> None:
        path = self.room(self.copy.source, place)
        if path is not None and not os.path.lexists(path):
            path.symlink_to(to)

    @rule(old=places, new=places)
    def rename(self, old: str, new: str) -> None:
        if not os.path.lexists(self.copy.source / old) or new.startswith(old):
            return
        path = self.room(self.copy.source, new)
        if path is not None and not os.path.lexists(path):
            with contextlib.suppress(OSError):  # into itself, by way of a link
                os.rename(self.copy.source / old, path)

    @rule(place=places, here=st.booleans())
    def remove(self, place: str, here: bool) -> None:
        path = (self.copy.source if here else self.copy.target) / place
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()

    @rule(place=places)
    def folder(self, place: str) -> None:
        path = self.room(self.copy.source, place)
        if path is not None and not os.path.lexists(path):
            path.mkdir()

    @rule(check=st.booleans(), forget=st.booleans())
    def run(self, check: bool, forget: bool) -> None:
        if forget and self.copy.state.exists():
            shutil.rmtree(self.copy.state)
        summary = self.copy(check=check or self.touched)
        self.touched = False
        assert not self.copy.failed
        assert self.copy.equal()
        assert summary.files == sum(not path.is_dir() or path.is_symlink() for path in self.copy.source.rglob("*"))
        assert self.copy().copied == 0

    def teardown(self) -> None:
        self.home.cleanup()


Edits.TestCase.settings = settings(stateful_step_count=20)
TestEdits = Edits.TestCase
