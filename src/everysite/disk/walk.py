"""The regular files below a folder, in the order of their name bytes.

Owns: `files_below`, and finding stages that were left behind.
Must not know: what a scan compares them with.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from everysite.disk.faults import explain
from everysite.disk.folders import Folder, Root
from everysite.disk.stages import is_stage
from everysite.errors import Conflict, NotFound

Found = tuple[bytes, os.stat_result]


def files_below(root: Root, folder: bytes = b"", stages: bool = False) -> Iterator[Found]:
    """(name, stat) of every regular file below `folder`; links are not followed, stages are left out.

    With `stages` it is the other way round: the stages and nothing else. A folder that cannot be read raises
    Unreadable: its files must not look deleted. One that vanishes meanwhile is left out.
    """
    pending = [_entries(root, folder, stages)]
    while pending:
        step = next(pending[-1], None)
        if step is None:
            pending.pop()
        elif step[1] is not None:
            yield step[0], step[1]
        else:
            pending.append(_entries(root, step[0], stages))


def _entries(root: Root, name: bytes, stages: bool) -> Iterator[tuple[bytes, os.stat_result | None]]:
    """A folder's own files (with stat) and folders (None). A folder sorts as if its name ended with '/'."""
    try:
        folder = root.folder(name)
    except (NotFound, Conflict):
        return iter(())
    prefix = name + b"/" if name else b""
    try:
        found = [_entry(folder, prefix, entry, stages) for entry in _scan(folder)]
    except OSError as err:
        raise explain(err, folder.path, "reading the folder") from err
    return iter([(n, s) for _, n, s in sorted((e for e in found if e is not None), key=lambda e: e[0])])


def _scan(folder: Folder) -> list[os.DirEntry[str]]:
    with os.scandir(folder.fd if folder.fd is not None else os.fsdecode(folder.path)) as entries:
        return list(entries)


def _entry(
    folder: Folder, prefix: bytes, entry: os.DirEntry[str], stages: bool
) -> tuple[bytes, bytes, os.stat_result | None] | None:
    leaf = os.fsencode(entry.name)
    if entry.is_dir(follow_symlinks=False):
        return leaf + b"/", prefix + leaf, None
    if is_stage(leaf) != stages or not entry.is_file(follow_symlinks=False):
        return None
    try:
        found = folder.stat(leaf)
    except FileNotFoundError:
        return None
    return (leaf, prefix + leaf, found) if stat.S_ISREG(found.st_mode) else None
