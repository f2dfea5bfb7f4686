"""What a tree is, so that two can be compared; and a copy run in this process.

Owns: `content`, `Copy`. Must not know: what a test expects.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from everysite.model.path import to_text
from everysite.transfer.tree import Summary
from everysite.transfer.tree_job import FAILED, NOTE, WOULD, Event, Options
from everysite.transfer.tree_start import copy_tree

What = tuple[int, int, int, bytes]


def content(root: Path, stages: bool = True) -> dict[bytes, What]:
    """Relative path -> (type and mode, owner, mtime_ns, bytes or link text); stages count as what they are: wrong."""
    found: dict[bytes, What] = {}
    top = os.fsencode(root)
    for path, folders, files in os.walk(top):
        for name in [b"", *files, *(name for name in folders if os.path.islink(path + b"/" + name))]:
            full = path + b"/" + name if name else path
            st = os.lstat(full)
            body = b""
            if stat.S_ISLNK(st.st_mode):
                body = os.readlink(full)
            elif stat.S_ISREG(st.st_mode):
                with open(full, "rb") as file:
                    body = file.read()
            found[os.path.relpath(full, top)] = (st.st_mode, st.st_uid, st.st_mtime_ns, body)
    return found


class Copy:
    """A pair of folders and everything a run told."""

    def __init__(self, home: Path, processes: int = 1) -> None:
        self.source, self.target, self.state = home / "source", home / "target", home / "state"
        self.processes = processes
        self.source.mkdir()
        self.failed: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.would: list[tuple[str, str]] = []

    def __call__(self, named: Iterable[bytes] | None = None, **options: object) -> Summary:
        """One run; with `delete` unless told otherwise."""
        self.failed, self.notes, self.would = [], [], []
        chosen = Options(**{"delete": True, "processes": self.processes, **options})  # type: ignore[arg-type]
        source, target, state = (os.fsencode(path) for path in (self.source, self.target, self.state))
        return copy_tree(source, target, state, chosen, self._hear, lambda: False, named)

    def _hear(self, event: Event) -> None:
        if event[0] == FAILED:
            assert isinstance(event[1], bytes)
            self.failed.append((to_text(event[1]), str(event[2])))
        elif event[0] == NOTE:
            assert isinstance(event[1], bytes)
            self.notes.append(to_text(event[1]))
        elif event[0] == WOULD:
            assert isinstance(event[2], bytes)
            self.would.append((str(event[1]), to_text(event[2])))

    def write(self, name: str, data: str | bytes = "data", ago: float = 100.0) -> Path:
        """A source file that was last changed a while ago."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        then = int((path.stat().st_mtime - ago) * 1e9)
        os.utime(path, ns=(then, then))
        return path

    def equal(self) -> bool:
        """Whether the target is the source, modes and times included."""
        return content(self.source) == content(self.target)
