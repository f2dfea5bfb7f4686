"""One file to one place: `everysite copy FILE TARGET`.

Owns: `copy_single`. Must not know: manifests, folders full of files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from everysite.disk.faults import explain
from everysite.disk.stages import is_stage, new_token, stage_name
from everysite.disk.system import CLOEXEC, HERE
from everysite.errors import BadRequest, SiteUnreachable
from everysite.model.path import to_text
from everysite.observe.folder import Entry
from everysite.transfer.tree import Summary
from everysite.transfer.tree_files import FileCopier, forget
from everysite.transfer.tree_job import FAILED, WOULD, Event, Options, Tell
from everysite.transfer.tree_large import digest_of
from everysite.transfer.tree_locks import share_folder


def copy_single(source: bytes, target: bytes, options: Options, tell: Tell, stopped: Callable[[], bool]) -> Summary:
    """Copy a file into the folder `target` if there is one, else to that name. Same size and mtime: nothing to do.

    Raises BadRequest (the same file), SiteUnreachable and TargetFull (target). The source's trouble is told as FAILED.
    """
    into = target.endswith(b"/") or os.path.isdir(target)
    final = os.path.join(target, os.path.basename(source)) if into else target
    if os.path.exists(final) and os.path.samefile(source, final):
        raise BadRequest(f"source and target are the same file, {to_text(final)}; name another target")
    found = os.stat(source)
    if not options.check and _equal(found, final):
        return Summary(1, found.st_size, 0, 0, 0, 0, 0, 0, False)
    if options.dry_run:
        tell((WOULD, "copy", os.path.basename(source)))
        return Summary(1, found.st_size, 0, 0, 0, 0, 0, 0, False)
    failures: list[Event] = []

    def hear(event: Event) -> None:
        if event[0] == FAILED:
            failures.append(event)
        tell(event)

    copied = _into(source, final, found, options, hear, stopped)
    return Summary(1, found.st_size, copied, found.st_size * copied, 0, 0, len(failures), 0, stopped() and not copied)


def _equal(found: os.stat_result, final: bytes) -> bool:
    try:
        there = os.lstat(final)
    except OSError:
        return False
    same = (there.st_size, there.st_mtime_ns) == (found.st_size, found.st_mtime_ns)
    return same and stat.S_ISREG(there.st_mode)


def _into(
    source: bytes,
    final: bytes,
    found: os.stat_result,
    options: Options,
    tell: Tell,
    stopped: Callable[[], bool],
) -> int:
    """Stage, sync, rename. How many files arrived."""
    folder, name = os.path.split(final)
    near = os.open(os.path.dirname(os.path.realpath(source)) or b".", os.O_RDONLY | CLOEXEC)
    try:
        try:
            far = os.open(folder or b".", os.O_RDONLY | CLOEXEC)
        except OSError as err:
            raise SiteUnreachable(
                f"the target's folder {to_text(folder)}: {err.strerror}; make it, or mount it"
            ) from err
        stage = stage_name(name, new_token())
        umask = os.umask(0)
        try:
            if share_folder(far):
                _sweep(far)
            leaf = os.path.basename(os.path.realpath(source))
            entry = Entry(
                leaf,
                found.st_mode,
                found.st_size,
                found.st_mtime_ns,
                found.st_ctime_ns,
                found.st_ino,
                found.st_uid << 32 | found.st_gid,
            )
            arrived = FileCopier(options._replace(processes=1), tell, stopped).copy(
                b"", [entry], near, far, lambda _: stage
            )
            if not arrived:
                return 0
            HERE.sync_all(far)
            if options.read_back and not _reads_back(stage, far, arrived[0][1]):
                tell((FAILED, name, "what the target holds is not what was written; check that disk"))
                return 0
            os.rename(stage, name, src_dir_fd=far, dst_dir_fd=far)
            HERE.sync_folder(far, folder)
        except OSError as err:
            raise explain(err, final, "writing") from err
        finally:
            os.umask(umask)
            forget(stage, far)
            os.close(far)
    finally:
        os.close(near)
    return 1


def _sweep(folder: int) -> None:
    """Remove stages a run that was killed left beside the target."""
    for name in map(os.fsencode, os.listdir(folder)):
        if is_stage(name):
            forget(name, folder)


def _reads_back(stage: bytes, folder: int, digest: bytes) -> bool:
    fd = os.open(stage, os.O_RDONLY | CLOEXEC, dir_fd=folder)
    try:
        HERE.forget_cached(fd)
        return digest_of(fd)[0] == digest
    finally:
        os.close(fd)
