"""Tokens: what they look like, how long they live, how they are found again.

Owns: the JWT-shaped form (decisions A 7), life spans, and the memory of tokens seen lately.
Must not know: passwords, HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

import msgspec

from everysite.errors import BadRequest
from everysite.index.contract import Token

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|y)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}
_HEADER = {"alg": "HS256", "typ": "JWT"}  # old clients split at the dots and read the second part
_LONGEST_S = 100 * 365 * 86_400  # a life like 9999999y would not fit into the numbers of the index


def life_span(text: str | int | float | None, default_s: int) -> int:
    """Seconds a token lives; 0 for ever. `2h`, `7d`, `30m`; a bare number is ms. Raises BadRequest."""
    if text is None or text == "":
        return default_s
    found = _SPAN.fullmatch(str(text).strip())
    if not found:
        raise BadRequest(f"expiresIn is {text!r}; write it like 30m, 2h, 7d, a number of ms, or 0 for no end")
    seconds = min(float(found[1]) * _UNITS[found[2] or "ms"], _LONGEST_S)
    return max(1, round(seconds)) if seconds else 0


def issue(user_id: str, username: str, now_ms: int, life_s: int) -> tuple[str, bytes]:
    """A new token string and the hash it is kept under. The third part is random and nothing else counts."""
    payload: dict[str, object] = {"_id": user_id, "username": username, "iat": now_ms // 1000}
    if life_s:
        payload["exp"] = now_ms // 1000 + life_s
    else:
        payload["ignoreExpiration"] = True
    text = ".".join((_part(_HEADER), _part(payload), secrets.token_urlsafe(32)))
    return text, fingerprint(text)


def fingerprint(token: str) -> bytes:
    """SHA-256 of the whole token: all that is kept of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def expired(token: Token, now_ms: int) -> bool:
    return bool(token.until) and token.until <= now_ms


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()
