"""A real tracker, and verbs against it, for the tests of the command line.

Owns: running one verb to its end, and a tracker as its own process.
Must not know: what any verb is expected to do.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock
from urllib.request import urlopen

from everysite.cli import main

PASSWORD = "correct horse"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """This process's environment without settings of everysite's, with its own configuration folder."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("EVERYSITE_")}
    return {**clean, "XDG_CONFIG_HOME": str(folder / "config"), "XDG_DATA_HOME": str(folder / "data"), **more}


class Everysite:
    """Runs verbs against one home."""

    def __init__(self, folder: Path, home: Path | None = None) -> None:
        self.folder = folder
        self.home = home or folder / "home"

    def __call__(
        self, *words: str, stdin: str = "", environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One verb to its end, in this process: a tenth of the time, and the tracker is a real one all the same."""
        env = environment(self.folder, EVERYSITE_HOME=str(self.home), **(environ or {}))
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, env, clear=True),
            mock.patch.object(sys, "stdin", io.StringIO(stdin)),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(words)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def process(
        self, *words: str, stdin: str = "", environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same as a process of its own."""
        env = environment(self.folder, EVERYSITE_HOME=str(self.home), **(environ or {}))
        command = [sys.executable, "-m", "everysite", *words]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=env, cwd=self.folder, timeout=60, check=False
        )

    def json(self, *words: str) -> Any:
        """The answer of a verb that has to succeed."""
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class Up:
    """`everysite up` as a process, healthy when the block begins; ended when it is left."""

    def __init__(self, folder: Path, home: Path | None = None, words: Sequence[str] = (), **environ: str) -> None:
        self.everysite = Everysite(folder, home)
        self.home = self.everysite.home
        self.log = folder / "up.log"
        self._words = words
        self._environ = environment(folder, **environ)
        self.process: subprocess.Popen[bytes]
        self.url = ""

    def start(self) -> Up:
        """Return when `/api/health` answers ok."""
        command = [sys.executable, "-m", "everysite", "up", "--home", str(self.home), "--port", "0", *self._words]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=self._environ
            )
        file = self.home / "run" / "tracker.json"
        until = time.monotonic() + 30
        while True:
            found = json.loads(file.read_bytes()) if file.exists() else {}
            if found.get("pid") == self.process.pid:
                break
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)
        self.url = found["url"]
        assert self.health()["status"] == "ok"
        return self

    def health(self) -> Any:
        context = ssl._create_unverified_context() if self.url.startswith("https:") else None
        with urlopen(f"{self.url}/api/health", timeout=10, context=context) as answer:
            return json.load(answer)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(15)

    def __enter__(self) -> Up:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()
