"""A walk in a process of its own, for processes that have other threads and must stay quick.

Owns: the child (`python -m everysite.observe.apart`), its question and its answer. Must not know: what a folder record means.

Forking beside threads is unsafe, so the child is a fresh interpreter; it may fork walkers of its own. It costs about
50 ms to start, which a large tree gives back: two processes walk it, and neither holds the lock of this interpreter.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

from everysite.observe.folder import Folder
from everysite.observe.walk import walk

_BATCH = 64  # folders a message


def walk_apart(root: bytes, processes: int, known: Mapping[bytes, bytes]) -> Iterator[Folder]:
    """`walk` without patterns, elsewhere. Raises OSError when the root cannot be read, RuntimeError when the child dies.

    The child never outlives the iteration.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "everysite.observe.apart"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        marshal.dump((os.path.abspath(root), processes, dict(known)), child.stdin)
        child.stdin.close()
        yield from _receive(child.stdout)
    except (EOFError, BrokenPipeError) as err:
        raise RuntimeError("the process that reads the folder tree died; is there enough memory?") from err
    finally:
        child.kill()
        child.stdout.close()
        child.wait()


def _receive(pipe: IO[bytes]) -> Iterator[Folder]:
    while True:
        batch = marshal.load(pipe)  # noqa: S302  both ends are this very interpreter
        if isinstance(batch, int):
            raise OSError(batch, os.strerror(batch))
        if not batch:
            return
        for row in batch:
            yield Folder(*row)


def main() -> None:
    """Answer the one question on standard input, then end."""
    root, processes, known = marshal.load(sys.stdin.buffer)  # noqa: S302  written by `walk_apart`
    batch: list[tuple[object, ...]] = []
    try:
        for folder in walk(root, processes, None, known):
            batch.append(tuple(folder))
            if len(batch) >= _BATCH:
                _send(batch)
                batch = []
    except OSError as err:
        _send(err.errno or 0)
        return
    if batch:
        _send(batch)
    _send([])


def _send(message: Any) -> None:
    marshal.dump(message, sys.stdout.buffer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
