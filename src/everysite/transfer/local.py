"""A bundle of files between two folders of this machine, in thread-sized steps.

Owns: LocalBundle (stage, publish, close), copy_files, and the removal of stages left by a crash.
Must not know: stores, leases, the event loop.

Everything here blocks. Between `stage` and `publish` the bytes are durable and invisible; a crash anywhere leaves old
files, new files and stages, and nothing else.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Collection, Iterable, Sequence

from everysite.disk.copying import SMALL, Progress, copy_into, ignore
from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import ANY, Landing, check_target
from everysite.disk.reading import hash_file, peek
from everysite.disk.stages import is_stage
from everysite.disk.system import HERE, System
from everysite.disk.walk import files_below
from everysite.errors import (
    Conflict,
    DigestMismatch,
    EverysiteError,
    NotFound,
    PathRefused,
    SiteUnreachable,
    StaleLease,
)
from everysite.model.path import Name, to_text
from everysite.transfer.piece import How, Landed, Outcome, Piece, Result

Publish = Callable[[Collection[Name]], Collection[Name]]


def allow_all(names: Collection[Name]) -> Collection[Name]:
    """The default for `publish`: every staged name may take its place."""
    return names


def copy_files(
    source_root: bytes,
    target_root: bytes,
    pieces: Sequence[Piece],
    publish: Publish = allow_all,
    token: bytes | None = None,
    system: System = HERE,
) -> Result:
    """Copy a batch and make it durable. `publish` is asked once, between the sync and the renames.

    `token` makes stage names known beforehand (`disk.stages.stage_of`). Site trouble is in the result, not raised.
    """
    bundle = LocalBundle(source_root, target_root, pieces, token, system)
    try:
        bundle.stage()
        if bundle.waiting:
            bundle.publish(publish(bundle.waiting))
    finally:
        bundle.close()
    return bundle.result


class LocalBundle:
    """`stage`, then `publish` with the names still allowed, then `close` in any case. One thread at a time."""

    def __init__(
        self,
        source_root: bytes,
        target_root: bytes,
        pieces: Sequence[Piece],
        token: bytes | None = None,
        system: System = HERE,
    ) -> None:
        self._source_root, self._target_root = source_root, target_root
        self._token, self._system = token, system
        self._pieces = {piece.name: piece for piece in pieces}
        self._names = [piece.name for piece in pieces]
        self._outcomes: dict[Name, Outcome] = {}
        self._fault: SiteUnreachable | None = None
        self._landing: Landing | None = None
        self._digests: dict[Name, bytes] = {}  # staged
        self._renames: set[Name] = set()

    @property
    def waiting(self) -> Collection[Name]:
        """The names whose bytes are ready to take their place; none after site trouble."""
        return [] if self._fault else [n for n in self._pieces if n in self._digests or n in self._renames]

    @property
    def result(self) -> Result:
        """One outcome a piece, so far."""
        return Result([self._outcomes.get(name) for name in self._names], self._fault)

    def stage(self, stop: threading.Event | None = None, progress: Progress = ignore) -> None:
        """Bring all bytes beside their targets and make them durable. Raises Cancelled when `stop` was set."""
        try:
            self._landing = Landing(Root(self._target_root, self._system), self._token)
            with Root(self._source_root, self._system) as source:
                for name, piece in self._pieces.items():
                    try:
                        self._stage_one(self._landing, source, piece, stop, progress)
                    except SiteUnreachable:
                        raise
                    except EverysiteError as err:
                        if stop is not None and stop.is_set():
                            raise
                        self._outcomes[name] = err
            self._landing.sync()
        except SiteUnreachable as err:
            self._fault = err

    def _stage_one(
        self, landing: Landing, source: Root, piece: Piece, stop: threading.Event | None, progress: Progress
    ) -> None:
        if piece.moved_from is not None and _is(landing.root, piece.moved_from, (piece.size, piece.mtime_ns)):
            self._renames.add(piece.name)
            return
        if piece.size > SMALL and piece.expected is not ANY:
            try:  # not after gigabytes: small files meet the same check at their rename
                check_target(*landing.root.split(piece.name, make=True), piece.expected)
            except Conflict as err:
                if (there := self._reconsider(landing, piece, err)) is not None:
                    self._outcomes[piece.name] = there
                    return
        wanted = (piece.size, piece.mtime_ns, piece.mode)
        digest, _ = copy_into(landing, piece.name, source, piece.origin, wanted, stop, progress)
        if piece.digest is not None and digest != piece.digest:
            landing.drop(piece.name)
            raise DigestMismatch(f"{to_text(piece.name)}: the bytes at the source have another digest than announced")
        self._digests[piece.name] = digest

    def publish(self, allowed: Collection[Name]) -> None:
        """Put the allowed names in their places and make the names durable."""
        assert self._landing is not None, "stage() comes first"
        allowed = frozenset(allowed)
        for name in self.waiting:
            if name not in allowed:
                self._outcomes[name] = StaleLease(f"{to_text(name)}: somebody else does this by now")
                continue
            try:
                self._outcomes[name] = self._publish_one(self._landing, self._pieces[name])
            except SiteUnreachable as err:
                self._fault = err
                break
            except EverysiteError as err:
                self._outcomes[name] = err
        self._settle(self._landing)

    def _settle(self, landing: Landing) -> None:
        try:
            landing.settle()
        except SiteUnreachable as err:
            # In place, but perhaps not after a power cut: not told as landed, found "there" by the next try.
            self._fault = self._fault or err
            self._outcomes = {n: o for n, o in self._outcomes.items() if not isinstance(o, Landed)}

    def _publish_one(self, landing: Landing, piece: Piece) -> Outcome:
        try:
            found = self._place(landing, piece, piece.expected is ANY)
        except Conflict as err:
            if (there := self._reconsider(landing, piece, err)) is not None:
                return there
            found = self._place(landing, piece, True)
        digest = self._digests.get(piece.name, piece.digest or b"")
        if piece.name not in self._renames:
            _remove_moved(landing.root, piece)
            return _landed(piece.name, found, digest, "copied")
        return _landed(piece.name, found, digest or hash_file(landing.root, piece.name)[0], "renamed")

    def _place(self, landing: Landing, piece: Piece, anything: bool) -> os.stat_result:
        expected = ANY if anything else piece.expected
        if piece.name in self._renames:
            assert piece.moved_from is not None
            return landing.rename(piece.moved_from, piece.name, expected)
        return landing.publish(piece.name, expected)

    def _reconsider(self, landing: Landing, piece: Piece, refusal: Conflict) -> Landed | None:
        """The target is not as expected. The content itself is there already (a crash before the settle): say so. What
        is there may be replaced: None. Else raises the refusal."""
        try:
            digest, found = hash_file(landing.root, piece.name)
        except NotFound:
            raise refusal from None
        if digest == piece.digest and (found.st_size, found.st_mtime_ns) == (piece.size, piece.mtime_ns):
            return _landed(piece.name, found, digest, "there")
        if piece.replaces and digest == piece.replaces:
            return None
        raise refusal

    def close(self) -> None:
        """Remove what did not take its place. Never raises."""
        if self._landing is not None:
            self._landing.close()


def _is(root: Root, name: bytes, state: tuple[int, int]) -> bool:
    try:
        found = peek(*root.split(name))
    except (NotFound, Conflict):
        return False
    return found is not None and stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == state


def _remove_moved(root: Root, piece: Piece) -> None:
    """The older state under the old name goes when it is exactly the one the caller knows of."""
    if (
        piece.moved_from is not None
        and piece.moved_state is not None
        and _is(root, piece.moved_from, piece.moved_state)
    ):
        folder, leaf = root.split(piece.moved_from)
        folder.unlink(leaf)
        root.touched.add(piece.moved_from.rpartition(b"/")[0])


def _landed(name: Name, found: os.stat_result, digest: bytes, how: How) -> Landed:
    mode = stat.S_IMODE(found.st_mode)
    return Landed(name, found.st_size, found.st_mtime_ns, mode, digest, how, found.st_ctime_ns, found.st_ino)


def clean_stages(root: bytes, stages: Iterable[bytes], system: System = HERE) -> int:
    """Remove stages by name below a root, as a crashed bundle left them. Returns how many were there.

    Names that are no stages are refused (PathRefused) before anything is removed.
    """
    stages = list(stages)
    wrong = [name for name in stages if not is_stage(name.rpartition(b"/")[2])]
    if wrong:
        raise PathRefused(f"{to_text(wrong[0])!r} is no stage of everysite; it is not removed")
    with Root(root, system) as opened:
        return sum(_remove_stage(opened, name) for name in stages)


def sweep(root: bytes, keep: Collection[bytes] = (), system: System = HERE) -> int:
    """Remove every stage below a root but those in `keep`. Only for a root no other program is writing to just now."""
    with Root(root, system) as opened:
        left = [name for name, _ in files_below(opened, stages=True) if name not in keep]
        return sum(_remove_stage(opened, name) for name in left)


def _remove_stage(root: Root, name: bytes) -> bool:
    above, _, leaf = name.rpartition(b"/")
    try:
        return root.folder(above).unlink(leaf)
    except (NotFound, Conflict):
        return False
    except OSError as err:
        raise explain(err, root.path + b"/" + name, "removing the stage") from err
