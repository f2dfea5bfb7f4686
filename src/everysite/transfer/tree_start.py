"""From two paths to a run: what may be copied where, one run at a time, and where the manifest lies.

Owns: `copy_tree`, checks of the two paths.
Must not know: how anything is copied or shown.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from blake3 import blake3

from everysite.disk.faults import explain
from everysite.disk.system import HERE
from everysite.errors import BadRequest, SiteUnreachable, Unreadable
from everysite.model.path import to_text
from everysite.transfer.manifest import Manifest
from everysite.transfer.tree import Run, Summary
from everysite.transfer.tree_job import Options, Tell, join
from everysite.transfer.tree_locks import locked


def copy_tree(
    source: bytes,
    target: bytes,
    state: bytes,
    options: Options,
    tell: Tell,
    stopped: Callable[[], bool],
    named: Iterable[bytes] | None = None,
    rules: bytes = b"",
) -> Summary:
    """Make the folder `target` equal to the folder `source`, or only the paths `named` below it.

    `state` is the folder of manifests; `rules` stands for `options.skip`, so that other rules have another manifest.
    Raises BadRequest (paths that cannot be meant), Unreadable (source), SiteUnreachable and TargetFull (target),
    Conflict (another run is at it). Trouble with single files is told as FAILED events.
    """
    source, target, state = (os.path.abspath(path) for path in (source, target, state))
    check_pair(source, target, options.delete)
    options = options._replace(skip=_without_state(options, source, target, state))
    if not os.path.isdir(target):
        if options.dry_run:
            return _run(Run(source, target, None, options, tell, stopped), named)
        _make_target(target)
    with locked(target), _opened(state, source, target, rules, options.dry_run) as manifest:
        run = Run(source, target, manifest, options, tell, stopped)
        try:
            return _run(run, named)
        finally:
            if run.changed:
                _sync(target, manifest)


def check_pair(source: bytes, target: bytes, delete: bool) -> None:
    """Raises BadRequest when a copy from one to the other cannot be meant."""
    if not os.path.isdir(source):
        what = "is no folder" if os.path.exists(source) else "does not exist"
        raise BadRequest(f"the source {to_text(source)} {what}; check its name, or mount it")
    near, far = os.path.realpath(source), os.path.realpath(target)
    if near == far or (os.path.exists(far) and os.path.samefile(near, far)):
        raise BadRequest(f"source and target are the same folder, {to_text(near)}; name another target")
    if far.startswith(near.rstrip(b"/") + b"/"):
        raise BadRequest(f"the target {to_text(far)} lies inside the source; it would be copied into itself")
    if delete and near.startswith(far.rstrip(b"/") + b"/"):
        raise BadRequest(
            f"the source {to_text(near)} lies inside the target and --delete would remove it; leave one out"
        )


def _run(run: Run, named: Iterable[bytes] | None) -> Summary:
    try:
        if named is None:
            run.copy()
        else:
            from everysite.transfer.tree_named import copy_named

            copy_named(run, named)
    except OSError as err:  # the target's errors are explained where they happen
        raise Unreadable(f"the source {to_text(run.source)} cannot be read: {err.strerror or err}") from err
    return run.summary()


def _make_target(target: bytes) -> None:
    above = os.path.dirname(target)
    if os.path.lexists(target):
        raise SiteUnreachable(f"the target {to_text(target)} is no folder; remove it or name another")
    if not os.path.isdir(above):
        raise SiteUnreachable(f"the target's folder {to_text(above)} does not exist; make it, or mount it")
    try:
        os.mkdir(target)
    except OSError as err:
        raise explain(err, target, "making the folder") from err


def _without_state(
    options: Options, source: bytes, target: bytes, state: bytes
) -> Callable[[bytes, bool], bool] | None:
    """The manifests are no part of either side, even where they lie inside."""
    inside = [state[len(root) + 1 :] for root in (source, target) if state.startswith(root.rstrip(b"/") + b"/")]
    if not inside:
        return options.skip
    asked = options.skip

    def skip(path: bytes, folder: bool) -> bool:
        return path in inside or (asked is not None and asked(path, folder))

    return skip


@contextlib.contextmanager
def _opened(state: bytes, source: bytes, target: bytes, rules: bytes, dry_run: bool) -> Iterator[Manifest]:
    pair = b"\0".join((source, target, rules))
    path = join(state, blake3(pair).hexdigest(16).encode() + b".manifest")
    try:
        os.makedirs(state, 0o700, exist_ok=True)
        manifest = Manifest(path, pair)
    except OSError as err:
        raise explain(err, path, "opening the manifest") from err
    try:
        yield manifest
    finally:
        manifest.close(compact=not dry_run)


def _sync(target: bytes, manifest: Manifest) -> None:
    """The last renames and deletions reach the disk before anybody is told that all is done."""
    try:
        fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            HERE.sync_all(fd)
        finally:
            os.close(fd)
        manifest.sync()
    except OSError as err:
        raise explain(err, target, "syncing") from err


def is_file(path: bytes) -> bool:
    """Whether a path is something `copy_single` copies: a regular file, seen through links."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
