"""Who may be talked to without TLS, and the certificate for everybody else (decisions A 6).

Owns: the choice between plain HTTP, a given certificate and a self-signed one; its key and fingerprint.
Must not know: settings files, what is served.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from everysite.errors import BadRequest, Unreadable

if TYPE_CHECKING:
    from cryptography import x509

_YEARS = 10  # the fingerprint in the join tokens is what is trusted; an end soon would only stop every agent at once


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def server_ssl(
    home: Path, host: str, cert: str = "", key: str = "", behind_proxy: bool = False, plain: bool = False
) -> tuple[ssl.SSLContext | None, str | None]:
    """How to listen on `host`: (None, None) for plain HTTP, else a context and the fingerprint for join tokens.

    The fingerprint (SHA-256 of the certificate in hex) is None for a given certificate: that one is trusted the usual
    way. Without one, a self-signed pair is made below `home` when it is not there yet. `plain` insists on no TLS.
    Raises BadRequest when that is asked for on other than loopback, or half a pair is given; Unreadable for files.
    """
    if bool(cert) != bool(key):
        raise BadRequest("a certificate needs its key and a key its certificate; give both --tls-cert and --tls-key")
    if cert:
        return _context(Path(cert), Path(key)), None
    if behind_proxy or is_loopback(host):
        return None, None
    if plain:
        raise BadRequest(
            f"plain HTTP on {host} would show passwords and tokens to the network; listen on 127.0.0.1, use TLS "
            "(--tls-cert and --tls-key, or nothing for a certificate of its own), or say --behind-proxy"
        )
    return _own(home, host)


def fingerprint_of(cert: Path) -> str:
    """SHA-256 of a PEM certificate, in hex. Raises Unreadable."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        return x509.load_pem_x509_certificate(cert.read_bytes()).fingerprint(hashes.SHA256()).hex()
    except OSError as err:
        raise Unreadable(f"{cert}: {err.strerror}; it has to be the PEM file of a certificate") from err
    except ValueError as err:
        raise Unreadable(f"{cert}: no PEM certificate; delete it and its key to have new ones made") from err


def _own(home: Path, host: str) -> tuple[ssl.SSLContext, str]:
    folder = home / "tls"
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not (cert.exists() and key.exists()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        cert_pem, key_pem = self_signed(host)
        # The key first: a crash in between leaves no certificate, so the next start makes both again.
        _write(key, key_pem)
        _write(cert, cert_pem)
    return _context(cert, key), fingerprint_of(cert)


def self_signed(host: str) -> tuple[bytes, bytes]:
    """PEM of a new certificate for this machine and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "everysite tracker")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks of other machines may be behind
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return built.public_bytes(serialization.Encoding.PEM), pem


def _names(host: str) -> list[x509.GeneralName]:
    from cryptography import x509

    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    own = socket.gethostname()
    if own.isascii() and own != "localhost":
        names.append(x509.DNSName(own))
    with contextlib.suppress(ValueError):
        names.append(x509.IPAddress(ipaddress.ip_address(host)))
    return names


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, for its owner's eyes only."""
    stage = path.with_suffix(".part")
    stage.unlink(missing_ok=True)
    fd = os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(stage, path)


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (cert, key):
        if not os.access(path, os.R_OK):
            raise Unreadable(f"{path}: cannot be read; give the PEM file of the certificate and of its key")
    try:
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (ssl.SSLError, ValueError) as err:
        raise Unreadable(
            f"{cert} and {key} are no certificate with its key in PEM form (keys with a password are not read)"
        ) from err
    return context
