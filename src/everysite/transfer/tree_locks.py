"""Who may write into a target folder, and whose stages may be swept there.

Owns: the locks on target folders. Must not know: what is copied.

The locks belong to open folders, which workers inherit: one outlives a killed parent until its last worker has undone
its stages and ended.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from everysite.disk.faults import explain
from everysite.disk.system import CLOEXEC
from everysite.errors import Conflict
from everysite.model.path import to_text

try:
    import fcntl
except ImportError:  # not a Unix: nothing keeps two runs apart there
    fcntl = None  # type: ignore[assignment]

_PATIENCE = 10.0  # seconds; workers of a run that was killed end well before


@contextlib.contextmanager
def locked(target: bytes) -> Iterator[None]:
    """Alone at a folder for as long as the block lasts. Raises Conflict when another run stays there."""
    try:
        fd = os.open(target, os.O_RDONLY | CLOEXEC)
    except OSError as err:
        raise explain(err, target, "opening the folder") from err
    try:
        _wait(fd, target)
        yield
    finally:
        os.close(fd)


def _wait(fd: int, target: bytes) -> None:
    end = time.monotonic() + _PATIENCE
    while fcntl is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise Conflict(f"another copy into {to_text(target)} is running; wait for its end") from None
            time.sleep(0.05)
        except OSError:
            return  # a file system without locks
        else:
            return


def share_folder(fd: int) -> bool:
    """Join those who copy single files into an open folder; True when nobody else is there, so old stages are nobody's."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except OSError:
        alone = False
    with contextlib.suppress(OSError):  # without locks, or with a whole tree on its way here: only sweeping has to wait
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return alone
