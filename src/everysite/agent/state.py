"""The state folder of an agent: its lasting identity, and the lock that keeps a second process out.

Owns: StateFolder. Must not know: what else is kept there (the index of `held` is opened by assemble).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import TracebackType

from everysite.errors import Conflict

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]


class StateFolder:
    """An agent's own folder (0700), locked for as long as this object is open.

    `holder` is the agent's lasting id: made once, the same after every restart, so that the tracker lets the agent
    take its mappings over from its former self.
    """

    def __init__(self, path: Path) -> None:
        """Raises Conflict when another process has it, OSError when it cannot be made."""
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            self._take()
            self.holder = self._identity()
        except BaseException:  # whatever it was: the lock must not stay taken
            os.close(self._lock)
            raise

    def _take(self) -> None:
        if fcntl is None:
            return  # Windows: SQLite's own exclusive lock on the index below keeps the second process out
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise Conflict(
                f"{self.path}: an agent is running with this state folder already; stop it, or give this one its own"
            ) from err

    def _identity(self) -> str:
        file = self.path / "agent-id"
        try:
            known = file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            known = ""
        if known:
            return known
        made = secrets.token_hex(16)
        fresh = self.path / "agent-id.new"
        with fresh.open("w", encoding="ascii") as out:
            out.write(made)
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, file)
        return made

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def __enter__(self) -> StateFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
