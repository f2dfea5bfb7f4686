"""The processes that carry out the jobs of a copy, and the way their events come back.

Owns: forking, handing out jobs, framing events, stopping, noticing a worker that died or lost its parent.
Must not know: what a job does.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import select
import signal
from collections.abc import Callable, Sequence
from typing import Any

from everysite import errors
from everysite.disk.stages import new_token
from everysite.errors import Cancelled, EverysiteError, SiteUnreachable
from everysite.transfer.manifest import Manifest
from everysite.transfer.tree_job import END, FATAL, PROGRESS, Event, Job, Options, Tell
from everysite.transfer.tree_write import Writer

_FEW = 8  # jobs; forking costs as much as they do
_TICKETS = 8_192  # numbers of 4 bytes that fit into an empty pipe with room to spare
_HOLD = 64 << 10  # bytes of events kept before they are sent
_TURN_MS = 200  # how often the parent looks whether it shall stop


def carry_out(
    jobs: Sequence[Job],
    roots: tuple[bytes, bytes],
    manifest: Manifest | None,
    options: Options,
    tell: Tell,
    stopped: Callable[[], bool],
) -> None:
    """Do all jobs; events are told in this process. Returns early when `stopped()`, with nothing left half done.

    Raises SiteUnreachable (TargetFull) when the target fails, RuntimeError when a worker process dies.
    """
    if options.processes < 2 or len(jobs) <= _FEW or not hasattr(os, "fork"):
        _here(jobs, roots, manifest, options, tell, stopped)
        return
    pool = _Pool(jobs, roots, manifest, options)
    try:
        pool.run(tell, stopped)
    finally:
        pool.end()


def _here(
    jobs: Sequence[Job],
    roots: tuple[bytes, bytes],
    manifest: Manifest | None,
    options: Options,
    tell: Tell,
    stopped: Callable[[], bool],
) -> None:
    writer = Writer(roots, manifest, options, tell, stopped, new_token())
    try:
        with contextlib.suppress(Cancelled):
            for job in jobs:
                if stopped():
                    break
                writer.folder(job)
        writer.finish()
    finally:
        writer.close()


class _Pool:
    """Forked workers that take numbers of jobs from one pipe that is filled beforehand."""

    def __init__(
        self, jobs: Sequence[Job], roots: tuple[bytes, bytes], manifest: Manifest | None, options: Options
    ) -> None:
        count = min(len(jobs), _TICKETS)
        self._parts = [jobs[number::count] for number in range(count)]
        self._setting = (roots, manifest, options)
        self._children: dict[int, int] = {}  # pipe -> process
        self._tickets, fill = os.pipe()
        os.write(fill, b"".join(number.to_bytes(4, "little") for number in range(count)))
        os.close(fill)
        self._token = new_token()
        parent = os.getpid()
        for _ in range(options.processes):
            here, there = os.pipe()
            process = os.fork()
            if not process:
                self._child(here, there, parent)
            os.close(there)
            self._children[here] = process

    def run(self, tell: Tell, stopped: Callable[[], bool]) -> None:
        """Tell events until all workers have ended."""
        poll = select.poll()
        pending = {pipe: bytearray() for pipe in self._children}
        for pipe in pending:
            poll.register(pipe, select.POLLIN)
        fatal: EverysiteError | None = None
        told_to_stop = False
        while pending:
            for pipe, _ in poll.poll(_TURN_MS):
                data = os.read(pipe, 1 << 20)
                pending[pipe] += data
                ended = False
                for event in _events(pending[pipe]):
                    if event[0] == FATAL:
                        fatal = fatal or _error(event)
                    elif event[0] == END:
                        ended = True
                    else:
                        tell(event)
                if ended or not data:
                    poll.unregister(pipe)
                    del pending[pipe]
                if not ended and not data:
                    fatal = fatal or SiteUnreachable(
                        "a worker process died; is there enough memory? Run the copy again"
                    )
            if (fatal is not None or stopped()) and not told_to_stop:
                told_to_stop = True
                for process in self._children.values():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGTERM)
        if fatal is not None:
            raise fatal

    def end(self) -> None:
        """Wait for the workers; those still busy are asked to stop first and undo what they staged."""
        os.close(self._tickets)
        for pipe, process in self._children.items():
            os.close(pipe)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)

    def _child(self, here: int, there: int, parent: int) -> None:
        """A worker's whole life; never returns."""
        code = 1
        try:
            for fd in (here, *self._children):
                os.close(fd)
            asked = [False]
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
            signal.signal(signal.SIGTERM, lambda number, frame: asked.__setitem__(0, True))
            gc.disable()
            out = _Out(there)
            # A parent that was killed cannot ask; its place as our parent is taken by another.
            self._work(out, lambda: asked[0] or os.getppid() != parent)
            out.tell((END,))
            out.flush()
            code = 0
        except BrokenPipeError:
            pass  # nobody listens any more
        finally:
            os._exit(code)  # whatever it was, the parent's stack must not be unwound here; it sees the missing end

    def _work(self, out: _Out, stopped: Callable[[], bool]) -> None:
        roots, manifest, options = self._setting
        writer = Writer(roots, manifest, options, out.tell, stopped, self._token)
        try:
            with contextlib.suppress(Cancelled):
                while not stopped() and (ticket := os.read(self._tickets, 4)):
                    for job in self._parts[int.from_bytes(ticket, "little")]:
                        writer.folder(job)
            writer.finish()
        except EverysiteError as err:
            out.tell((FATAL, type(err).__name__, str(err)))
        finally:
            writer.close()


class _Out:
    """A worker's end of its pipe. Progress may wait, everything else is sent soon."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._held = bytearray()

    def tell(self, event: Event) -> None:
        # marshal: both ends are this very interpreter, and it needs no import that costs more than the copy.
        body = marshal.dumps(event, 2)  # type: ignore[arg-type]
        self._held += len(body).to_bytes(4, "little") + body
        if len(self._held) > _HOLD or event[0] != PROGRESS:
            self.flush()

    def flush(self) -> None:
        rest = memoryview(bytes(self._held))
        self._held.clear()
        while rest:
            rest = rest[os.write(self._pipe, rest) :]


def _events(data: bytearray) -> list[Any]:
    """The whole events in `data`, which are taken off."""
    found, start = [], 0
    while len(data) - start >= 4:
        end = start + 4 + int.from_bytes(data[start : start + 4], "little")
        if len(data) < end:
            break
        found.append(marshal.loads(memoryview(data)[start + 4 : end]))  # noqa: S302 - written by our own child
        start = end
    del data[:start]
    return found


def _error(event: Event) -> EverysiteError:
    kind = getattr(errors, str(event[1]))
    assert isinstance(kind, type) and issubclass(kind, EverysiteError)
    return kind(str(event[2]))
