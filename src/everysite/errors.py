"""Failures we can explain to a person, sorted by what to do about them.

Owns: the exception classes every room raises. Each class answers one question: is the same call worth
repeating later (`Transient`), does the whole site have to wait (`SiteUnreachable`), or is it of no use to
repeat it (`Refused`)?
Must not know: HTTP, retries, or any one provider.

`code` is the word programs may match on. `exit_code` is what `syncError_<site>` shows: rsync's number for the
same trouble, whatever moved the bytes (23 missing or unreadable, 11 target full, 10/30/35 network,
5 credentials, 20 cancelled).
"""

from __future__ import annotations


class EverysiteError(Exception):
    """Something we can explain to a person. The message names the thing, the place and the way out."""

    code = "error"
    exit_code = 1


class Transient(EverysiteError):
    """The same call may work later; `decide.retry` says when."""

    code = "try-later"
    exit_code = 30


class SiteUnreachable(Transient):
    """The site (its disk, its network, its account) is in trouble: its work halts and costs no try."""

    code = "site-unreachable"
    exit_code = 10


class TargetFull(SiteUnreachable):
    """No space or no quota left where bytes should arrive."""

    code = "target-full"
    exit_code = 11


class SourceChanged(Transient):
    """The source was written to while it was read, so what was read is not published."""

    code = "source-changed"
    exit_code = 24


class Refused(EverysiteError):
    """The same call will fail again; show it and go on with the next task."""

    code = "refused"
    exit_code = 23


class BadRequest(Refused):
    """The input itself is wrong."""

    code = "bad-request"


class PathRefused(BadRequest):
    """A path that is malformed or leads outside its root."""

    code = "path-refused"


class TooCostly(BadRequest):
    """A question that took longer than one may take; the message says how to ask for less."""

    code = "too-costly"


class SignInNeeded(Refused):
    """No valid credentials were shown."""

    code = "sign-in-needed"
    exit_code = 5


class Forbidden(Refused):
    """The credentials shown do not allow this."""

    code = "forbidden"
    exit_code = 5


class NotFound(Refused):
    """What was named does not exist."""

    code = "not-found"


class Unreadable(Refused):
    """It exists, but may not or cannot be read or written."""

    code = "unreadable"


class Conflict(Refused):
    """The call contradicts what is there: taken, locked, or changed by somebody else."""

    code = "conflict"


class CursorLost(Refused):
    """A place in the change feed that does not exist (any longer); the message says how to start anew."""

    code = "cursor-lost"


class NotOffered(Refused):
    """This tracker is not set up to do it; the message says what an admin can do."""

    code = "not-offered"


class TooLarge(Refused):
    """A batch or a body above the stated cap."""

    code = "too-large"


class DigestMismatch(Transient):
    """The bytes that arrived are not the bytes that were announced."""

    code = "digest-mismatch"
    exit_code = 23


class StaleLease(Refused):
    """The work was given to somebody else, or is wanted differently by now."""

    code = "stale-lease"
    exit_code = 20


class TooManyAttempts(Transient):
    """Somebody tried too often; the message says when to come back, `wait_s` says it to programs."""

    code = "too-many-attempts"
    exit_code = 5

    def __init__(self, message: str, wait_s: int = 60) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Cancelled(Transient):
    """Stopped on purpose before the end; goes on where it stood."""

    code = "cancelled"
    exit_code = 20
