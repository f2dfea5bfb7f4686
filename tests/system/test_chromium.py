"""The JavaScript client in Chromium: a page of another site loads it as a script and as a module, and listens.

The page does what tests/clients/javascript says and tells its own server how it went.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.clients.conftest import Tracked, serving

from everysite.web.options import Options

PROGRAMS = Path(__file__).parent.parent / "clients" / "javascript"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
SECONDS = 90


class Pages(ThreadingHTTPServer):
    """A site of somebody's own: a page, and the place where it reports."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page = ""
        self.reports: queue.Queue[str] = queue.Queue()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        if self.path in ("/calls.js", "/sockets.js"):
            self._answer((PROGRAMS / self.path[1:]).read_bytes(), "text/javascript")
        else:
            self._answer(self.server.page.encode(), "text/html")

    def do_POST(self) -> None:
        self.server.reports.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._answer(b"", "text/plain")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's report is enough."""


@pytest.fixture
def pages() -> Iterator[Pages]:
    server = Pages()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["", "/sync"])
def tracked(pages: Pages, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tracked]:
    (tmp_path / "home").mkdir()
    with serving(tmp_path / "home", Options(origins=(pages.origin,), base_path=request.param)) as made:
        yield made


def shown(pages: Pages, folder: Path, body: str) -> str:
    """What a page in a browser of its own reports."""
    pages.page = f"""<!doctype html><title>test</title><script>
        const report = (text) => fetch("/report", {{ method: "POST", body: text }});
        const failed = (error) => report(String(error && error.stack || error));
        addEventListener("error", (event) => failed(event.error || event.message));
        addEventListener("unhandledrejection", (event) => failed(event.reason));
    </script><script src="/calls.js"></script>{body}"""
    words = ["chromium", *FLAGS, f"--user-data-dir={folder / 'profile'}", pages.origin + "/"]
    with (folder / "chromium.log").open("wb") as log:
        browser = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            return pages.reports.get(timeout=SECONDS)
        except queue.Empty:
            return (folder / "chromium.log").read_text(errors="replace")[-4000:]
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()


def test_as_a_script(pages: Pages, tracked: Tracked, tmp_path: Path) -> None:
    body = f"""<script src="{tracked.url}/js/damas.js"></script><script>
        checkEqual(damas.server, "{tracked.url}");
        checkCalls(damas, "/page").then(report, failed);
    </script>"""
    assert shown(pages, tmp_path, body) == "all calls"


def test_as_a_module(pages: Pages, tracked: Tracked, tmp_path: Path) -> None:
    body = f"""<script type="module">
        import damas from "{tracked.url}/js/damas.mjs";
        checkEqual(damas.server, "{tracked.url}");
        checkCalls(damas, "/module").then(report, failed);
    </script>"""
    assert shown(pages, tmp_path, body) == "all calls"


def test_events_over_socket_io_where_the_page_has_it(pages: Pages, tracked: Tracked, tmp_path: Path) -> None:
    body = f"""<script src="/sockets.js"></script><script src="{tracked.url}/js/damas.js"></script><script>
        checkEvents(damas, "/socket").then(report, failed);
    </script>"""
    assert shown(pages, tmp_path, body) == "create update remove"
