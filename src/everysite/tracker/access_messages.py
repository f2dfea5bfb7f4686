"""What the verbs of passwords and the audit take and answer.

Owns: the shapes of requests and answers about lost and new passwords, and who did what.
Must not know: how a verb is carried out, or where HTTP finds it (`contract.py`).
"""

from __future__ import annotations

import msgspec

from everysite.index.contract import AuditRow


class NewPassword(msgspec.Struct, frozen=True):
    """One's own new password, as it is."""

    password: str


class LostPassword(msgspec.Struct, frozen=True):
    """The e-mail address of an account."""

    email: str


class ResetPassword(msgspec.Struct, frozen=True):
    """The word out of the mail, and a new password."""

    token: str
    password: str


class AuditAsked(msgspec.Struct, frozen=True):
    """Rows after a number; without one the newest. `who` a user name, `what` the words of a row ('' any)."""

    after: int | None = None
    limit: int = 100
    who: str = ""
    what: str = ""


class AuditLog(msgspec.Struct, frozen=True):
    """Oldest first. Ask on with the `seq` of the last one as `after`."""

    entries: list[AuditRow]
