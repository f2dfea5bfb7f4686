"""WebSockets, where they differ from requests.

Owns: how a WebSocket is refused with a status and a text. Must not know: what is sent over one.
"""

from __future__ import annotations

from starlette.types import Message, Send


def refusing(send: Send) -> Send:
    """`send` of a WebSocket for which an HTTP answer, before it is accepted, is the refusal."""

    async def sending(message: Message) -> None:
        if message["type"].startswith("http.response."):
            message = {**message, "type": "websocket." + message["type"]}
        await send(message)

    return sending
