"""Sending an answer.

Owns: the headers every answer has, and how a whole body or a stream is sent.
Must not know: operations, errors.
"""

from __future__ import annotations

from starlette.types import Send

Headers = list[tuple[bytes, bytes]]

JSON: Headers = [(b"content-type", b"application/json; charset=utf-8")]
SECURITY: Headers = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
"""For answers that are data: nothing may keep, guess, frame or run them."""


async def answer(send: Send, status: int, body: bytes, headers: Headers = JSON) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length, *SECURITY]})
    await send({"type": "http.response.body", "body": body})


async def begin(send: Send, headers: Headers) -> None:
    """Begin a streamed answer of unknown length."""
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, *SECURITY]})


async def more(send: Send, chunk: bytes) -> None:
    """The next bytes of a streamed answer; returns when the client's line can take more."""
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def end(send: Send) -> None:
    """The streamed answer is whole."""
    await send({"type": "http.response.body", "body": b""})
