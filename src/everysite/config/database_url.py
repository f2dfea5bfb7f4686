"""The address of a database, which may hold a password.

Owns: what such an address looks like, and how it is shown to people. Must not know: any engine.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

_SCHEMES = ("postgresql", "postgres")
_SECRET = ("password", "sslpassword")


def problem(url: str) -> str:
    """What is wrong with it; '' when nothing is to be seen."""
    try:
        scheme = urlsplit(url).scheme
        _ = urlsplit(url).port
    except ValueError as err:
        return f"it is no address ({err})"
    return "" if scheme in _SCHEMES else "only postgresql:// is known; leave it empty for a file (index.path)"


def has_password(url: str) -> bool:
    """Whether everybody who sees it could come in."""
    parts = urlsplit(url)
    return bool(parts.password) or any(key.lower() in _SECRET for key, _ in parse_qsl(parts.query))


def shown(url: str) -> str:
    """Without what nobody needs to see: only scheme, user, host, port and database are left."""
    try:
        parts = urlsplit(url)
        place = parts.hostname or dict(parse_qsl(parts.query)).get("host") or "localhost"
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "..."
    if not parts.scheme:
        return "..."  # no address: who knows which part of it is a secret
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{place}{port}{parts.path}"
