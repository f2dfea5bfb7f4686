"""Join tokens: one word that tells a machine where its tracker is, who it is there, and how to know the tracker.

Owns: Join and its text form. Must not know: HTTP.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from everysite.errors import BadRequest

_PREFIX = "es1."


class Join(msgspec.Struct, frozen=True):
    """What a join token says: where the tracker is ('' unknown), the token, its certificate's SHA-256 in hex ('' none)."""

    url: str
    token: str
    fingerprint: str = ""


def encode_join(url: str, token: str, fingerprint: str | None = None) -> str:
    """One word for `everysite join`."""
    data = msgspec.json.encode({"u": url, "t": token, "f": fingerprint or ""})
    return _PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode_join(text: str) -> Join:
    """Read a join token; a plain token is one without an address. Raises BadRequest."""
    text = text.strip()
    if not text.startswith(_PREFIX):
        if not text or not text.isascii() or any(c.isspace() for c in text):
            raise BadRequest("this is no join token; make one with: everysite site token NAME")
        return Join("", text)
    try:
        raw = text[len(_PREFIX) :]
        found = msgspec.json.decode(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)), type=dict[str, str])
        return Join(found["u"], found["t"], found["f"])
    except (binascii.Error, msgspec.DecodeError, UnicodeError, KeyError) as err:
        raise BadRequest("the join token is cut or mistyped; copy it whole, it is one word") from err
