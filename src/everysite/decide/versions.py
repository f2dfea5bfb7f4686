"""Versions of an element: the name an old state is kept under, and the number of the next one.

Owns: both rules (tracker-api 7). Must not know: the index, verbs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from everysite.model.element import Body


def kept_name(file: str, time: Any) -> str:
    """The name of an old state: `_<time>` before the extension, before a trailing '/', or at the end."""
    mark = f"_{_number(time)}"
    if file.endswith("/"):
        return f"{file[:-1]}{mark}/"
    folder, slash, leaf = file.rpartition("/")
    stem, dot, extension = leaf.rpartition(".")
    # A leading dot begins a name and no extension.
    return f"{folder}{slash}{stem}{mark}{dot}{extension}" if stem else f"{file}{mark}"


def keeps_version(child: Body) -> bool:
    """Whether a child is an old state, and not a comment or a publish: its file bears the time it was of."""
    file = child.get("file")
    return isinstance(file, str) and "version" not in child and f"_{_number(child.get('time'))}" in file


def next_number(children: Iterable[Body]) -> int:
    """The number of the state that comes next, when these are the children so far. The first state of all is number 1."""
    return 2 + sum(map(keeps_version, children))


def _number(time: Any) -> str:
    return str(int(time)) if isinstance(time, int | float) and abs(time) < 2**63 else str(time)
