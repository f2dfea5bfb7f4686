"""Where plain HTTP is allowed, and certificates that are made, kept, pinned and refused."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from tests.web.stub import Stub

from everysite.client import Client
from everysite.errors import BadRequest, SiteUnreachable, Unreadable
from everysite.tracker.contract import HEALTH
from everysite.tracker.messages import Nothing
from everysite.web.app import create_app
from everysite.web.server import serve
from everysite.web.tls import fingerprint_of, self_signed, server_ssl

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_tls(tmp_path: Path, host: str) -> None:
    assert server_ssl(tmp_path, host) == (None, None)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "", "localhost.example.org"])
def test_other_addresses_get_a_certificate_of_their_own(tmp_path: Path, host: str) -> None:
    context, fingerprint = server_ssl(tmp_path, host)
    assert context is not None
    assert fingerprint == fingerprint_of(tmp_path / "tls" / "cert.pem")
    assert stat.S_IMODE((tmp_path / "tls" / "key.pem").stat().st_mode) == 0o600
    assert server_ssl(tmp_path, host)[1] == fingerprint, "the same one at the next start"
    assert server_ssl(tmp_path, host, behind_proxy=True) == (None, None)
    with pytest.raises(BadRequest, match="--behind-proxy"):
        server_ssl(tmp_path, host, plain=True)


def test_a_certificate_without_its_key_is_made_again(tmp_path: Path) -> None:
    first = server_ssl(tmp_path, "0.0.0.0")[1]
    (tmp_path / "tls" / "key.pem").unlink()
    assert server_ssl(tmp_path, "0.0.0.0")[1] not in (None, first)


def test_files_that_are_none(tmp_path: Path) -> None:
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    with pytest.raises(BadRequest, match="--tls-key"):
        server_ssl(tmp_path, "127.0.0.1", cert=str(cert))
    with pytest.raises(Unreadable, match="cannot be read"):
        server_ssl(tmp_path, "127.0.0.1", str(cert), str(key))
    cert.write_bytes(self_signed("h")[0])
    key.write_bytes(self_signed("h")[1])
    with pytest.raises(Unreadable, match="no certificate with its key"):
        server_ssl(tmp_path, "0.0.0.0", str(cert), str(key))
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "cert.pem").write_text("nonsense")
    (tmp_path / "tls" / "key.pem").write_text("nonsense")
    with pytest.raises(Unreadable):
        server_ssl(tmp_path, "0.0.0.0")


async def test_a_client_pins_the_fingerprint(tmp_path: Path) -> None:
    context, fingerprint = server_ssl(tmp_path, "0.0.0.0")
    assert fingerprint is not None
    server = await serve(create_app(Stub()), "127.0.0.1", 0, context)
    url = f"https://127.0.0.1:{server.port}"
    try:
        async with Client(url, fingerprint=fingerprint) as client:
            assert (await client.call(HEALTH, Nothing())).status == "ok"
        async with Client(url, fingerprint="00" * 32) as client:
            with pytest.raises(SiteUnreachable, match="not the one the token names"):
                await client.call(HEALTH, Nothing())
        async with Client(url) as client:
            with pytest.raises(SiteUnreachable, match="not trusted here"):
                await client.call(HEALTH, Nothing())
        async with Client(url.replace("https", "http")) as client:
            with pytest.raises(SiteUnreachable):
                await client.call(HEALTH, Nothing())
    finally:
        await server.stop()


async def test_old_protocols_are_not_spoken(tmp_path: Path) -> None:
    context, _ = server_ssl(tmp_path, "0.0.0.0")
    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
