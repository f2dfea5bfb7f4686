"""Clients and a tracker that made its own certificate: refused without a word of ours, taken when it is named."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.clients.test_downloads import module_of
from tests.web.stub import Stub

import everysite
from everysite.errors import SiteUnreachable
from everysite.web.app import create_app
from everysite.web.server import serve
from everysite.web.tls import server_ssl

pytestmark = pytest.mark.anyio
CLIENTS = Path(everysite.__file__).parent / "web" / "assets" / "clients"


@dataclass(frozen=True)
class Secured:
    """A tracker behind TLS: its address, its certificate as a file and as a fingerprint."""

    url: str
    file: Path
    fingerprint: str


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    context, fingerprint = server_ssl(tmp_path, "0.0.0.0")
    assert fingerprint is not None
    server = await serve(create_app(Stub()), "127.0.0.1", 0, context)
    yield Secured(f"https://localhost:{server.port}", tmp_path / "tls" / "cert.pem", fingerprint)
    await server.stop()


async def test_python(secured: Secured) -> None:
    def work() -> None:
        with everysite.connect(secured.url) as project, pytest.raises(SiteUnreachable, match="not trusted here"):
            project.signIn("ada", "right")
        with everysite.connect(secured.url, fingerprint=secured.fingerprint) as project:
            assert project.signIn("ada", "right")

    await asyncio.to_thread(work)


async def test_the_one_file(secured: Secured, tmp_path: Path) -> None:
    damas = module_of(CLIENTS / "damas_client.py", "damas")

    def work() -> None:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            damas.connect(secured.url).signIn("ada", "right")
        trusting = ssl.create_default_context(cafile=str(secured.file))
        assert damas.connect(secured.url, trusting).signIn("ada", "right") is True

    await asyncio.to_thread(work)


async def test_shell(secured: Secured, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DAMAS_SERVER": secured.url}

    def sign_in(**more: str) -> int:
        words = ["sh", str(CLIENTS / "damas.sh"), "-q", "signin"]
        return subprocess.run(words, input=b"ada\nright\n", env=environ | more, check=False, timeout=60).returncode

    assert await asyncio.to_thread(sign_in) == 3
    assert await asyncio.to_thread(lambda: sign_in(DAMAS_CACERT=str(secured.file))) == 0


async def test_node(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / "damas.js").write_bytes((CLIENTS / "damas.js").read_bytes())
    program = """
        const damas = require("./damas.js").connect(process.argv[1]);
        try { console.log(damas.signIn("ada", "right").username); } catch (error) { console.log(damas.refusal.code); }
    """

    def said(**more: str) -> str:
        words = ["node", "-e", program, secured.url]
        environ = {"PATH": os.environ["PATH"], **more}
        done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    assert await asyncio.to_thread(said) == "site-unreachable\n"
    assert await asyncio.to_thread(lambda: said(NODE_EXTRA_CA_CERTS=str(secured.file))) == "ada\n"
