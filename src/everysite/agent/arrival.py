"""One file on its way into this site: what is wished, what is there, what came of it.

Owns: Arrival, the look at the target before anything is fetched, and the last rename.
Must not know: where bytes come from, the tracker. Everything here blocks and runs in threads.

Nothing is overwritten but a copy we know: the one `held` remembers, or the one a person gave up (`replaces`).
"""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass, field

from everysite.disk.faults import explain
from everysite.disk.folders import Root
from everysite.disk.landing import Expected, Landing
from everysite.disk.reading import hash_fd, peek
from everysite.errors import Conflict, DigestMismatch, EverysiteError, NotFound, SiteUnreachable, Transient
from everysite.index.contract import HeldFile
from everysite.model.element import Content
from everysite.model.path import Name, to_text
from everysite.observe.hashing import Failed, held_file, look, matches
from everysite.tracker.agent_messages import Job, Result

_MODE = 0o777


@dataclass(frozen=True, slots=True)
class Supply:
    """Where the bytes may come from: a file below a folder of this machine, or a site by way of the tracker."""

    site: str  # "": this site itself has them under another name
    root: bytes = b""  # b"": not on this machine
    name: bytes = b""


@dataclass(slots=True)
class Arrival:
    """`there`: the content is in place already. `moves`: the copy under `old` is to be renamed to `name` first.
    `expected`: what the target must be when it is replaced. `landing`: where its bytes wait."""

    job: Job
    name: Name
    content: Content
    held: HeldFile | None = None
    old: Name | None = None
    held_old: HeldFile | None = None
    supplies: list[Supply] = field(default_factory=list)
    there: bool = False
    moves: bool = False
    leftover: bool = False  # the copy under `old` is of no use any more
    expected: Expected = None
    landing: Landing | None = None
    file: HeldFile | None = None  # what to hold, once it is in place
    error: EverysiteError | None = None
    conflict: bytes = b""

    @property
    def open(self) -> bool:
        """Whether it may still arrive."""
        return self.error is None and not self.conflict and self.file is None

    @property
    def needs_bytes(self) -> bool:
        """Whether its content has to be brought from somewhere."""
        same = self.moves and self.held_old is not None and self.held_old.digest == self.content.digest
        return self.open and not self.there and not same and self.landing is None

    def fail(self, error: EverysiteError) -> None:
        """It does not arrive this time."""
        self.error = error

    @property
    def result(self) -> Result:
        """What the tracker is told."""
        if self.conflict:
            return Result(self.job.path, self.job.gen, True, conflict=self.conflict)
        if self.file is not None:
            file = self.file
            content = Content(file.size, file.mtime_ns, file.mode & _MODE, file.digest)
            return Result(self.job.path, self.job.gen, True, content)
        return failure(self.job, self.error or Conflict(f"{self.job.path}: nothing came of it"))


def failure(job: Job, error: EverysiteError) -> Result:
    """The result of a task that failed."""
    return Result(job.path, job.gen, False, code=error.code, exit_code=error.exit_code, text=str(error))


def theirs(err: EverysiteError) -> EverysiteError:
    """The fault of a source: no reason to halt this site, and a file that is gone there is worth another try soon, since
    the next scan tells what became of it. It keeps its number."""
    if not isinstance(err, NotFound | SiteUnreachable):
        return err
    fault = Transient(f"the source cannot be read: {err}" if isinstance(err, SiteUnreachable) else str(err))
    fault.exit_code = err.exit_code
    return fault


def survey(root: Root, arrivals: list[Arrival], stop: threading.Event) -> None:
    """Look what is at the targets. Raises SiteUnreachable when it is the folder itself that fails."""
    for arrival in arrivals:
        try:
            _survey(root, arrival, stop)
        except SiteUnreachable:
            raise
        except EverysiteError as err:
            arrival.fail(err)


def _survey(root: Root, arrival: Arrival, stop: threading.Event) -> None:
    found = _there(root, arrival.name)
    old = _old(root, arrival, stop)
    if found is None:
        arrival.expected = None
        arrival.moves = old
        return
    arrival.leftover = old
    digest = _digest(root, arrival.name, found, arrival.held, stop)
    if digest == arrival.content.digest and found.st_size == arrival.content.size:
        arrival.there = True
    elif digest == arrival.job.replaces or (arrival.held is not None and digest == arrival.held.digest):
        arrival.expected = (found.st_size, found.st_mtime_ns)
    else:
        arrival.conflict = digest


def _there(root: Root, name: Name) -> os.stat_result | None:
    try:
        folder, leaf = root.split(name)
    except NotFound:
        return None
    found = peek(folder, leaf)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise Conflict(
            f"{to_text(folder.full(leaf))}: a folder, link or special file is in its place; rename one of them"
        )
    return found


def _old(root: Root, arrival: Arrival, stop: threading.Event) -> bool:
    """Whether the copy to be renamed is there and is the one we know."""
    if arrival.old is None:
        return False
    try:
        found = _there(root, arrival.old)
    except Conflict:
        return False
    if found is None:
        return False
    digest = _digest(root, arrival.old, found, arrival.held_old, stop)
    known = arrival.held_old is not None and digest == arrival.held_old.digest
    if not known and digest != arrival.content.digest:
        return False  # somebody else's work lies there by now; it stays
    arrival.held_old = held_file(arrival.old, found, digest)
    return True


def _digest(root: Root, name: Name, found: os.stat_result, held: HeldFile | None, stop: threading.Event) -> bytes:
    if held is not None and matches(held, found):
        return held.digest
    looked = look(root, name, stop)
    if isinstance(looked, Failed):
        raise looked.error
    return looked.file.digest


def put_in_place(landing: Landing, arrivals: list[Arrival]) -> None:
    """The last renames, then the folders made durable. Raises SiteUnreachable; single files carry their errors."""
    for arrival in arrivals:
        try:
            _put_in_place(landing, arrival)
        except SiteUnreachable:
            raise
        except Conflict as err:
            _say_conflict(landing.root, arrival, err)
        except EverysiteError as err:
            arrival.fail(err)
    for used in {
        id(a.landing): a.landing for a in arrivals if a.landing is not None and a.landing is not landing
    }.values():
        used.settle()
    landing.settle()


def _put_in_place(landing: Landing, arrival: Arrival) -> None:
    if arrival.there:
        found = _dress(landing.root, arrival.name, arrival.content)
    else:
        expected = arrival.expected
        if arrival.moves and arrival.old is not None:
            moved = landing.rename(arrival.old, arrival.name, None)
            expected = (moved.st_size, moved.st_mtime_ns)
        if arrival.landing is not None:
            found = arrival.landing.publish(arrival.name, expected)
        else:
            found = _dress(landing.root, arrival.name, arrival.content)
    arrival.file = held_file(arrival.name, found, arrival.content.digest)


def _dress(root: Root, name: Name, content: Content) -> os.stat_result:
    """Give a file that has the right bytes the right times and mode."""
    folder, leaf = root.split(name)
    try:
        found = folder.stat(leaf)
        if found.st_mtime_ns != content.mtime_ns:
            os.utime(folder.prefix + leaf, ns=(content.mtime_ns, content.mtime_ns), dir_fd=folder.fd)
        if found.st_mode & _MODE != content.mode & _MODE:
            os.chmod(folder.prefix + leaf, content.mode & _MODE, dir_fd=folder.fd)
        return folder.stat(leaf)
    except OSError as err:
        raise explain(err, folder.full(leaf), "setting its time and mode") from err


def _say_conflict(root: Root, arrival: Arrival, err: Conflict) -> None:
    """Something came between the look and the rename: say what it is."""
    looked = look(root, arrival.name, threading.Event())
    if isinstance(looked, Failed):
        arrival.fail(err)
    else:
        arrival.conflict = looked.file.digest


def read_back(arrivals: list[Arrival]) -> None:
    """Read every stage again, from the disk itself where the system can; what differs fails."""
    for arrival in arrivals:
        if arrival.landing is None or not arrival.open:
            continue
        folder, leaf = arrival.landing.staged(arrival.name)
        try:
            fd = folder.open(leaf, os.O_RDONLY)
            try:
                arrival.landing.root.system.forget_cached(fd)
                digest = hash_fd(fd)[0].digest()
            finally:
                os.close(fd)
        except OSError as err:
            raise explain(err, folder.full(leaf), "reading it back") from err
        if digest != arrival.content.digest:
            arrival.fail(DigestMismatch(f"{arrival.job.path}: the disk gave back other bytes than were written"))
