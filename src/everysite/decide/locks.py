"""Locks: who holds one, and what locking and unlocking several elements comes to.

Owns: the answer to a lock or unlock request, and whose change of a locked file counts.
Must not know: the index, verbs, HTTP, whether locks bind at all (`enforce_locks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from everysite.errors import Conflict
from everysite.model.element import Body

KEY = "lock"


def holder(body: Body) -> str:
    """Who has locked an element; '' when nobody has."""
    found = body.get(KEY)
    return found if isinstance(found, str) else str(found) if found else ""


def to_lock(keys: Sequence[str], bodies: Sequence[Body | None], who: str) -> list[bool]:
    """Which of them get the lock now; those that are missing, or locked by `who` already, stay.

    Raises Conflict when one is somebody else's, so that nothing changes.
    """
    for key, body in zip(keys, bodies, strict=True):
        if body is not None and holder(body) not in ("", who):
            raise Conflict(f"{key} is locked by {holder(body)}; nothing was changed")
    return [body is not None and not holder(body) for body in bodies]


def to_unlock(keys: Sequence[str], bodies: Sequence[Body | None], who: str, anybodys: bool) -> list[bool]:
    """Which of them lose their lock now. `anybodys`: `who` may open the locks of others.

    Raises Conflict when one is somebody else's, or when there is nothing to unlock; nothing changes then.
    """
    held = ["" if body is None else holder(body) for body in bodies]
    for key, name in zip(keys, held, strict=True):
        if name not in ("", who) and not anybodys:
            raise Conflict(f"{key} is locked by {name}; they or an administrator can unlock it")
    if not any(held) and any(body is not None for body in bodies):
        raise Conflict(f"{keys[0]} is not locked" if len(keys) == 1 else "none of them is locked")
    return [bool(name) for name in held]


def works_at(user: Body | None, site: str) -> bool:
    """Whether a change seen at this site may be this user's own: their element names it in `site` (one, or several)."""
    named: Any = user.get("site") if user else None
    names = named if isinstance(named, list) else [named]
    return any(isinstance(name, str) and name.lower() == site.lower() for name in names)
