"""What the demo does to a tree while it is being copied: the work of a busy day, in a second.

Owns: adding, changing, renaming and deleting files, and renaming a folder. Must not know: trackers, sites, processes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

ADDED = "everysite-demo"
"""The folder that new files go to."""


def add(root: Path, folder: str, count: int) -> int:
    """New files of up to 16 KB with bytes nobody has seen, in a folder below ADDED."""
    place = root / ADDED / folder
    place.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        _save(root, os.fsencode(place / f"new-{number:03}.bin"), secrets.token_bytes(1 + number * 331 % 16_384))
    return count


def change(root: Path, count: int) -> int:
    """Append to files spread over the tree; how many were changed."""
    chosen = _spread(root, count, 0)
    for path in chosen:
        with open(path, "rb") as file:
            old = file.read()
        _save(root, path, old + b"\nchanged by everysite demo\n")
    return len(chosen)


def rename(root: Path, count: int) -> int:
    """Give files spread over the tree another name in their folder; how many were renamed."""
    renamed = 0
    for path in _spread(root, count, 1):
        folder, leaf = os.path.split(path)
        with contextlib.suppress(OSError):  # the longer name may not fit
            os.rename(path, os.path.join(folder, b"renamed-" + leaf))
            renamed += 1
    return renamed


def rename_folder(root: Path) -> tuple[str, int] | None:
    """Rename the folder directly below the root that holds most files (ours only if there is no other).

    Its new name ends with '-moved'; (new name, files in it), or None when there is no folder with files.
    """
    counts = {
        entry.name: sum(len(names) for _, _, names in os.walk(entry.path))
        for entry in os.scandir(root)
        if entry.is_dir(follow_symlinks=False) and not entry.name.endswith("-moved")
    }
    counts = {name: count for name, count in counts.items() if count and name != ADDED} or counts
    if not counts or not (most := max(counts.values())):
        return None
    name = min(name for name, count in counts.items() if count == most)
    os.rename(root / name, root / f"{name}-moved")
    return f"{name}-moved", most


def remove(root: Path, count: int) -> int:
    """Delete files spread over the tree; how many."""
    chosen = _spread(root, count, 2)
    for path in chosen:
        os.unlink(path)
    return len(chosen)


def _spread(root: Path, count: int, phase: int) -> list[bytes]:
    """Every n-th regular file in name order; another `phase` gives other files."""
    base = os.fsencode(root)
    found = sorted(os.path.join(folder, name) for folder, _, names in os.walk(base) for name in names)
    found = [path for path in found if stat.S_ISREG(os.lstat(path).st_mode) and b"/.everysite" not in path]
    step = max(3, len(found) // max(count, 1))
    return found[phase::step][:count]


def _save(root: Path, path: bytes, data: bytes) -> None:
    """As a careful program saves: whole or not at all, so that a reader never meets half a file."""
    beside = os.fsencode(root.with_name(f".{root.name}.saving"))  # outside of the tree: it is no file of the site
    with open(beside, "wb") as file:
        file.write(data)
    with contextlib.suppress(FileNotFoundError):
        os.chmod(beside, stat.S_IMODE(os.stat(path).st_mode))
    os.replace(beside, path)
