"""Mail: the one letter a tracker writes.

Owns: how mail is sent, and what a letter about a lost password says. Must not know: accounts, who asked.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

_PATIENCE = 20.0  # s for a mail server


@dataclass(frozen=True, slots=True)
class Mail:
    """Where mail is handed over. `url`: the tracker's address as people know it. No `user`: no sign-in there."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    url: str
    user: str = ""
    password: str = ""


def reset_letter(mail: Mail, to: str, username: str, token: str) -> EmailMessage:
    """How a lost password is replaced. Raises ValueError for an address with a line break in it."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = mail.sender, to, "everysite: a new password"
    letter.set_content(
        f"""Somebody, probably you, asked for a new password for {username} at {mail.url}

To choose one, type within an hour:

    everysite user reset {token} --tracker {mail.url}

or send {{"password": "..."}} to

    {mail.url}/api/resetPassword/{token}

This works once. If it was not you, do nothing: your password stays as it is.
"""
    )
    return letter


def send(mail: Mail, letter: EmailMessage) -> None:
    """Hand a letter over. Blocks. Raises OSError (smtplib's own errors are kinds of it)."""
    context = ssl.create_default_context()
    if mail.security == "tls":
        line: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=_PATIENCE, context=context)
    else:
        line = smtplib.SMTP(mail.host, mail.port, timeout=_PATIENCE)
    with line:
        if mail.security == "starttls":
            line.starttls(context=context)
        if mail.user:
            line.login(mail.user, mail.password)
        line.send_message(letter)
