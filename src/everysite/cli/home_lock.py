"""One process owns a home.

Owns: the lock file of a home and who is named when it is taken. Must not know: what lies in the home.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from everysite.errors import Conflict, Unreadable

try:
    import fcntl
except ImportError:  # not a Unix: the index's own lock keeps a second process out
    fcntl = None  # type: ignore[assignment]


class HomeLock:
    """Held while the block is open. The kernel frees it when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file: int | None = None

    def __enter__(self) -> HomeLock:
        """Raises Conflict naming the process that has the home, Unreadable when the home cannot be made or written."""
        path = self._home / "run" / "lock"
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds password hashes
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as err:
            raise Unreadable(
                f"the home {self._home} cannot be used ({err.strerror}); give --home a folder you own"
            ) from err
        try:
            self._take(self._file)
        except BaseException:  # whatever it was: the lock must not stay taken
            os.close(self._file)
            raise
        return self

    def _take(self, file: int) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as err:
                owner = os.read(file, 32).decode("ascii", "replace").strip() or "unknown"
                raise Conflict(
                    f"process {owner} is running with the home {self._home} already; stop it, or give --home another folder"
                ) from err
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
