"""The audit: who changed which setting, user, token or destination, and who signed in.

Owns: which changes of elements are worth a row, and how they are told without telling a secret.
Must not know: HTTP, verbs.

Plain documents make no rows, and neither does what agents write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from everysite.decide.elements import changed_keys
from everysite.index.contract import AuditRow, Transaction
from everysite.model.element import Body, Element
from everysite.tracker.access_messages import AuditAsked, AuditLog
from everysite.tracker.core import Core
from everysite.tracker.operation import Caller
from everysite.tracker.settings import GLOBALS_KEY

_SECRET = re.compile(r"pass|secret|token|credential|rsync_env", re.IGNORECASE)
_USERINFO = re.compile(r"//[^/@\s]+@")
_VALUE = 80  # characters of a value that are told
_TEXT = 2000
_SILENT = frozenset({"time", "lastlogin", "lastActivity"})


class AuditVerbs:
    """Reading the audit."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def audit(self, caller: Caller, asked: AuditAsked) -> AuditLog:
        """The newest rows, or those after a number; oldest first."""
        limit = max(0, min(asked.limit, self._core.limits.batch))

        def unit(tx: Transaction) -> list[AuditRow]:
            if asked.after is None:
                return tx.audit.latest(limit, asked.who, asked.what)
            return tx.audit.after(asked.after, limit, asked.who, asked.what)

        return AuditLog(await self._core.index.read(unit, scan=True))


def note(tx: Transaction, caller: Caller, now: int, what: str, subject: str = "", text: str = "") -> None:
    """One row, inside the unit that does it."""
    tx.audit.add([AuditRow(now, caller.username, what, subject, text[:_TEXT], caller.address)])


def note_changes(
    tx: Transaction, caller: Caller, now: int, changes: Iterable[tuple[Element | None, Element | None]]
) -> None:
    """Rows for elements before and after a write (None: not there) that are sites or global parameters, or whose
    destinations changed. Users have their own rows (`users`)."""
    if caller.rank == "agent":
        return
    rows = [row for before, after in changes if (row := _row(caller, now, before, after)) is not None]
    if rows:
        tx.audit.add(rows)


def _row(caller: Caller, now: int, before: Element | None, after: Element | None) -> AuditRow | None:
    element = after or before
    assert element is not None
    old, new = before.body if before else {}, after.body if after else {}
    kind = _kind(element.key, old, new)
    if kind == "destination":
        old, new = _destinations(old), _destinations(new)
    if not kind or (old == new and before is not None):
        return None
    verb = "added" if before is None else "removed" if after is None else "changed"
    if kind == "destination" and before is None and not new:
        return None
    text = "" if after is None else told(old, new)
    return AuditRow(
        now, caller.username, f"{kind} {verb if kind == 'site' else 'changed'}", element.key, text, caller.address
    )


def _kind(key: str, old: Body, new: Body) -> str:
    if key == GLOBALS_KEY:
        return "global parameters"
    if "volume" in (old.get("class"), new.get("class")):
        return "site"
    return "destination" if key.startswith("/") else ""


def _destinations(body: Body) -> Body:
    return {key: value for key, value in body.items() if key == "syncEverywhere" or key.startswith("sync_")}


def told(old: Body, new: Body) -> str:
    """What changed, as `key: before -> after`; of a key that may hold a secret only that it did."""
    changed = [key for key in changed_keys(old, new) if key not in _SILENT]
    return ", ".join(f"{key}: {_shown(old, key)} -> {_shown(new, key)}" for key in changed)[:_TEXT]


def _shown(body: Body, key: str) -> str:
    if key not in body:
        return "none"
    if _SECRET.search(key):
        return "(hidden)"
    return _USERINFO.sub("//(hidden)@", _text(body[key]))[:_VALUE]


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
