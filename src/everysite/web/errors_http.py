"""Errors on the wire: which status, which words.

Owns: class -> status, the text and JSON forms of an error, the reference of an unexpected one.
Must not know: single operations.

Clients of existing trackers show the text and nothing else, so text is the default; programs ask for JSON and get
`{"error": reason, "code": word}`, from which `everysite.client` raises the same class again.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

import msgspec

from everysite.errors import (
    BadRequest,
    Conflict,
    CursorLost,
    DigestMismatch,
    EverysiteError,
    Forbidden,
    NotFound,
    NotOffered,
    Refused,
    SignInNeeded,
    SiteUnreachable,
    StaleLease,
    TargetFull,
    TooLarge,
    TooManyAttempts,
    Transient,
)

_log = logging.getLogger("everysite.web")


class UnsupportedMedia(BadRequest):
    """A body in a form we do not read."""


class WrongMethod(NotFound):
    """The path exists, but not with this method. `allowed` are those it has."""

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


_STATUS: dict[type[BaseException], int] = {
    UnsupportedMedia: 415,
    WrongMethod: 405,
    BadRequest: 400,
    SignInNeeded: 401,
    Forbidden: 403,
    NotFound: 404,
    NotOffered: 501,
    Conflict: 409,
    StaleLease: 409,
    CursorLost: 410,
    TooLarge: 413,
    Refused: 422,
    TooManyAttempts: 429,
    Transient: 503,
    DigestMismatch: 422,
    TargetFull: 507,
    EverysiteError: 500,
}
_STATED = {
    400: "Bad request (empty or not well-formed)",
    403: "Forbidden (permission required)",
    404: "Not found",
    409: "Conflict",
    501: "Not implemented (contact an administrator)",
}
"""What existing trackers say for a status; ours stands on the line below it."""
_REASON = _STATED | {
    401: "Unauthorized (sign in first)",
    413: "Too large",
    501: "Not implemented (contact an administrator)",
    503: "Try again later",
}
STATUSES = tuple(sorted({*_STATUS.values()} | {500}))
"""Every status an error can have."""

_VERB = {"delete": "Remove", "signIn": "Sign-in"}
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way out."""

    status: int
    reason: str
    code: str
    headers: Headers


def status_of(error: EverysiteError) -> int:
    """The status of the nearest class that has one."""
    return next(_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)


def failure(error: Exception, what: str) -> Failure:
    """How to say an error. An unexpected one is logged under a reference; its details stay in the log."""
    if not isinstance(error, EverysiteError):
        return _unexpected(error, what)
    status = status_of(error)
    # Names on disk may hold bytes that are no text; an error about one still has to reach its reader.
    reason = str(error).encode("utf-8", "replace").decode() or _REASON.get(status, "Refused")
    return Failure(status, reason, error.code, _headers(error, status))


def _headers(error: EverysiteError, status: int) -> Headers:
    if isinstance(error, SiteUnreachable):
        return [(b"retry-after", b"5")]
    if isinstance(error, TooManyAttempts):
        return [(b"retry-after", b"%d" % error.wait_s)]
    if status == 503:
        return [(b"retry-after", b"1")]
    if status == 401:
        return [(b"www-authenticate", b'Bearer realm="everysite"')]
    if isinstance(error, WrongMethod):
        return [(b"allow", ", ".join(error.allowed).encode())]
    return []


def _unexpected(error: Exception, what: str) -> Failure:
    reference = secrets.token_hex(4)
    _log.error("reference %s: %s failed", reference, what, exc_info=error)
    text = f"internal error; the tracker's log has it under the reference {reference}"
    return Failure(500, text, EverysiteError.code, [])


def verb(operation: str, path: str, status: int) -> str:
    """How an operation is called in texts (tracker-api 2)."""
    return f"Access {path}" if status == 403 else _VERB.get(operation) or operation[:1].upper() + operation[1:]


def form(failed: Failure, verb: str, as_json: bool) -> tuple[Headers, bytes]:
    """Headers and body of a failure: text, or JSON for those who asked for it; a 401 is always JSON."""
    stated = _STATED.get(failed.status, failed.reason)
    text = f"{verb} error: {stated}" + (f"\n{failed.reason}" if failed.reason != stated else "")
    if as_json:
        body = msgspec.json.encode({"error": failed.reason, "code": failed.code})
    elif failed.status == 401:
        body = msgspec.json.encode(text)
    else:
        return [(b"content-type", b"text/plain; charset=utf-8"), *failed.headers], text.encode()
    return [(b"content-type", b"application/json; charset=utf-8"), *failed.headers], body
