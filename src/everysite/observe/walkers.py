"""Walker processes: subtrees read by forked children, folders sent back through pipes.

Owns: the children, how they share subtrees and what they write. Must not know: what a folder record means.

Children take the number of their next subtree from one pipe that is filled beforehand, so nobody hands out work.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import select
import signal
from collections.abc import Generator, Iterator

from everysite.observe.folder import Folder, below
from everysite.observe.reader import Reader

_BATCH = 64  # folders a message
_PIPE = 1 << 20  # bytes; the most an ordinary user may ask for
_READ = 1 << 20
_TICKETS = 4096  # subtrees that surely fit into an empty pipe of 64 KiB, 4 bytes each, with room to spare


def share(reader: Reader, subtrees: list[bytes], processes: int) -> Iterator[Folder]:
    """All folders of the subtrees. Raises RuntimeError when a child dies. Children never outlive the iteration."""
    parts = _parts(subtrees)
    tickets, fill = os.pipe()
    os.write(fill, b"".join(number.to_bytes(4, "little") for number in range(len(parts))))
    os.close(fill)
    children: dict[int, int] = {}  # pipe -> process
    try:
        for _ in range(processes):
            pipe, process = _start(reader, parts, tickets, list(children))
            children[pipe] = process
        yield from _receive(children)
    finally:
        os.close(tickets)
        for pipe, process in children.items():
            os.close(pipe)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _parts(subtrees: list[bytes]) -> list[list[bytes]]:
    """The subtrees, several a ticket when there are more than tickets."""
    count = min(len(subtrees), _TICKETS)
    return [subtrees[number::count] for number in range(count)]


def _start(reader: Reader, parts: list[list[bytes]], tickets: int, others: list[int]) -> tuple[int, int]:
    here, there = os.pipe()
    _widen(there)
    process = os.fork()
    if process:
        os.close(there)
        return here, process
    try:
        for fd in (here, *others):
            os.close(fd)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and kills us when it has to
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        gc.disable()
        _work(reader, parts, tickets, there)
        os._exit(0)
    finally:
        os._exit(1)  # whatever it was, the parent's stack must not be unwound here; it sees the missing end


def _widen(pipe: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    except (ImportError, AttributeError, OSError):
        pass  # only slower


def _work(reader: Reader, parts: list[list[bytes]], tickets: int, out: int) -> None:
    # The root may be relative, and we are about to change the folder it is relative to.
    reader.root = os.path.abspath(reader.root)
    reader.moves = True
    batch: list[tuple[object, ...]] = []
    while ticket := os.read(tickets, 4):
        stack = list(reversed(parts[int.from_bytes(ticket, "little")]))
        while stack:
            folder = reader.read(stack.pop())
            stack += below(folder)
            batch.append(tuple(folder))
            if len(batch) >= _BATCH:
                _send(out, batch)
                batch = []
    _send(out, batch)
    _send(out, [])


def _send(out: int, batch: list[tuple[object, ...]]) -> None:
    # marshal: both ends are this very interpreter, and it needs no import that costs more than the walk.
    body = marshal.dumps(batch, 2)
    rest = memoryview(len(body).to_bytes(4, "little") + body)
    while rest:
        rest = rest[os.write(out, rest) :]


def _receive(children: dict[int, int]) -> Iterator[Folder]:
    poll = select.poll()
    pending = {pipe: bytearray() for pipe in children}
    for pipe in children:
        poll.register(pipe, select.POLLIN)
    while pending:
        for pipe, _ in poll.poll():
            data = os.read(pipe, _READ)
            if not data:
                raise RuntimeError("a process that reads the folder tree died; is there enough memory?")
            pending[pipe] += data
            ended = yield from _folders(pending[pipe])
            if ended:
                poll.unregister(pipe)
                del pending[pipe]


def _folders(data: bytearray) -> Generator[Folder, None, bool]:
    """The folders of the whole messages in `data`, which are taken off; the value is whether the end came."""
    start, ended = 0, False
    while len(data) - start >= 4:
        end = start + 4 + int.from_bytes(data[start : start + 4], "little")
        if len(data) < end:
            break
        batch = marshal.loads(memoryview(data)[start + 4 : end])  # noqa: S302 - written by our own child
        ended = not batch
        for row in batch:
            yield Folder(*row)
        start = end
    del data[:start]
    return ended
