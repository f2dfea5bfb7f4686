"""A whole tree read as folders.

Owns: the order of a walk, in one process or several. Must not know: how a folder is read, what was there before, sites,
what anybody does with a change.

The work is nearly all system calls, one lstat a file, so two processes take half the time (200,000 files: 0.35 s in one,
0.19 s in two). They are forked: call with `processes` above 1 only where no other thread runs.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping

from everysite.observe.folder import Folder, Skip, below
from everysite.observe.reader import Reader
from everysite.observe.walkers import share


def walk(
    root: bytes, processes: int = 1, skip: Skip | None = None, known: Mapping[bytes, bytes] | None = None
) -> Iterator[Folder]:
    """Every folder below `root`, the root included, in no particular order (a folder may come before its parent).

    `known` gives fingerprints by path; a folder that still has its own comes without entries. Raises OSError when the
    root itself cannot be read, RuntimeError when a walker process dies; whatever else fails is in `Folder.errors`.
    """
    reader = Reader(root, skip, known or {})
    first = reader.read(b"")
    if first.errors and not first.fingerprint:
        raise OSError(first.errors[0][1], os.strerror(first.errors[0][1]), root)
    yield first
    waiting = deque(below(first))
    # Breadth first until there are enough subtrees to share: which of them are large is not known beforehand.
    shared = 32 * processes if processes > 1 and hasattr(os, "fork") else 0
    while waiting and not (shared and len(waiting) >= shared):
        # Depth first where nothing is shared keeps the list short.
        folder = reader.read(waiting.popleft() if shared else waiting.pop())
        yield folder
        waiting += below(folder)
    if waiting:
        yield from share(reader, list(waiting), processes)
