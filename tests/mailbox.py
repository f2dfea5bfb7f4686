"""A mail server on loopback that keeps what it is given: SMTP as RFC 5321 has it, as far as smtplib speaks it.

Owns: Mailbox. Must not know: who writes, what the letters say.
"""

from __future__ import annotations

import asyncio
import base64
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType


class Mailbox:
    """Use as `async with`. `letters` are (recipients, letter); `signed_in` the name and password each sender showed."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], EmailMessage]] = []
        self.signed_in: list[str] = []
        self.port = 0
        self._came = asyncio.Event()

    async def __aenter__(self) -> Mailbox:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def letter(self) -> EmailMessage:
        """The newest one; waits for the first. Raises TimeoutError."""
        async with asyncio.timeout(10):
            await self._came.wait()
        return self.letters[-1][1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipients: list[str] = []
        writer.write(b"220 mailbox ESMTP\r\n")
        try:
            while line := (await reader.readline()).decode().rstrip("\r\n"):
                verb = line.upper()
                if verb.startswith("EHLO"):
                    writer.write(b"250-mailbox\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n")
                elif verb.startswith("AUTH PLAIN "):
                    _, name, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    self.signed_in.append(f"{name}:{password}")
                    writer.write(b"235 welcome\r\n")
                elif verb.startswith("RCPT TO:"):
                    recipients.append(line[8:].strip().strip("<>"))
                    writer.write(b"250 ok\r\n")
                elif verb == "DATA":
                    writer.write(b"354 go on\r\n")
                    self._keep(recipients, await reader.readuntil(b"\r\n.\r\n"))
                    writer.write(b"250 kept\r\n")
                elif verb == "QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 ok\r\n" if verb.startswith("MAIL FROM:") else b"502 unknown\r\n")
        finally:
            writer.close()

    def _keep(self, recipients: list[str], data: bytes) -> None:
        unstuffed = data.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        found = message_from_bytes(unstuffed, policy=default)
        assert isinstance(found, EmailMessage)
        self.letters.append((list(recipients), found))
        self._came.set()
