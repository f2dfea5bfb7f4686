"""Deterministic trees, edits and comparisons: the same arguments always give the same bytes.

Owns: data on disk. Must not know: who copies it.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

_OLD = 1_600_000_000  # seconds since 1970: nothing generated looks as if it were being written right now
_POOL = random.Random(1).randbytes(4 << 20)


def noise(label: str, size: int) -> bytes:
    """Bytes that do not compress and differ for every label."""
    start = random.Random(label).randrange(len(_POOL) // 2)
    body = _POOL[start : start + size]
    while len(body) < size:
        body += _POOL[: size - len(body)]
    return (label.encode() + body)[:size]


def make(root: Path, files: int, folders: int, least: int, most: int) -> None:
    """`files` files of `least` to `most` bytes in `folders` folders on two levels."""
    sizes = random.Random(2)
    places = [root / f"d{number // 50:03}" / f"s{number % 50:02}" for number in range(folders)]
    for place in places:
        place.mkdir(parents=True)
    for number in range(files):
        path = f"{places[number % folders]}/f{number:07}.bin"
        with open(path, "wb") as file:
            file.write(noise(f"{number}:", sizes.randint(least, most)))
        os.utime(path, (_OLD + number, _OLD + number))


def make_file(path: Path, size: int) -> None:
    """One large file."""
    source = random.Random(3)
    with open(path, "wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(source.randbytes(min(1 << 20, size - start)))
    os.utime(path, (_OLD, _OLD))


def names(root: Path) -> list[str]:
    """All files, relative, sorted."""
    top = len(str(root)) + 1
    return sorted(f"{path}/{name}"[top:] for path, _, files in os.walk(root) for name in files)


def edit(root: Path, picked: list[str], generation: int) -> None:
    """Rewrite files with other bytes and another size."""
    for name in picked:
        path = root / name
        size = path.stat().st_size % 15_000 + 17 + generation % 7
        path.write_bytes(noise(f"{generation}:{name}", size))


def clear(folder: Path) -> None:
    """An empty folder, whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def same(left: Path, right: Path) -> None:
    """Raises AssertionError unless both trees have the same files with the same bytes and mtimes."""
    here, there = names(left), names(right)
    assert here == there, f"{len(set(here) ^ set(there))} names differ"
    for name in here:
        one, other = f"{left}/{name}", f"{right}/{name}"
        a, b = os.stat(one), os.stat(other)
        assert (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns), name
        assert _same_bytes(one, other), name


def _same_bytes(one: str, other: str) -> bool:
    with open(one, "rb") as a, open(other, "rb") as b:
        while True:
            left, right = a.read(1 << 20), b.read(1 << 20)
            if left != right:
                return False
            if not left:
                return True
