"""Pages of other sites: which of them may ask (CORS), and what OPTIONS answers.

Owns: the headers of allowed origins, the answer to OPTIONS.
Must not know: operations, who asks.

Nobody is allowed by default. Allowed pages show a token; our cookie is never theirs to use.
"""

from __future__ import annotations

from starlette.types import Message, Send

from everysite.errors import NotFound
from everysite.web.answer import SECURITY
from everysite.web.request import Asked

_SHOWN = b"content-range, etag, last-modified, retry-after, x-graph-truncated"
_SENT = b"authorization, content-type, accept, range, x-http-method-override"


def crossing(asked: Asked, allowed: frozenset[bytes], send: Send) -> Send:
    """`send` for this request: an allowed page may read the answer, others' browsers keep it from them."""
    if not allowed:
        return send
    origin = asked.headers.get(b"origin", b"")
    shown = [(b"vary", b"origin")]
    if origin in allowed:
        shown += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _SHOWN)]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *shown]}
        await send(message)

    return sending


async def tell_methods(asked: Asked, methods: tuple[str, ...], send: Send) -> None:
    """Answer OPTIONS. `crossing` says to whom. Raises NotFound for a path that has none."""
    if not methods:
        raise NotFound("there is nothing at this address")
    names = ", ".join([*methods, "OPTIONS"]).encode()
    headers = [(b"allow", names), *SECURITY]
    if b"access-control-request-method" in asked.headers:
        headers += [
            (b"access-control-allow-methods", names),
            (b"access-control-allow-headers", _SENT),
            (b"access-control-max-age", b"600"),
        ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
