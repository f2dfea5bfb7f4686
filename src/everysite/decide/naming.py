"""Names that not every system can hold.

Owns: the path rules of Windows and macOS as pure functions, and case twins.
Must not know: any file system, or what is done about a problem.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Literal

System = Literal["linux", "darwin", "windows"]

_FORBIDDEN = frozenset(':*?"<>|\\')
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{port}{number}" for port in ("COM", "LPT") for number in "123456789¹²³"]
)


def problem(key: str, system: System) -> str | None:
    """Why a file of this path cannot lie on a site with this system, as a clause naming the part; None: it can."""
    for part in key.strip("/").split("/"):
        wrong = _problem_of(part, system)
        if wrong:
            return f"the name {part!r} {wrong}"
    return None


def _problem_of(part: str, system: System) -> str | None:
    if system == "linux":
        return None
    if any("\uef80" <= char <= "\uefff" for char in part):
        return f"is not UTF-8, which {_title(system)} needs"
    if len(part.encode("utf-16-le", "surrogatepass")) // 2 > 255:
        return f"is longer than the 255 characters {_title(system)} allows"
    return _windows(part) if system == "windows" else None


def _windows(part: str) -> str | None:
    bad = next((char for char in part if char in _FORBIDDEN or char < " "), None)
    if bad is not None:
        return f"contains {bad!r}, which Windows does not allow"
    if part.endswith((".", " ")):
        return "ends with a dot or a space, which Windows drops"
    if part.split(".", maxsplit=1)[0].rstrip(" ").upper() in _DEVICES:
        return "is a device on Windows"
    return None


def _title(system: System) -> str:
    return {"linux": "Linux", "darwin": "macOS", "windows": "Windows"}[system]


def folded(key: str) -> str:
    """Equal for two paths exactly when a system that ignores case and Unicode form takes them for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", key).casefold())


def case_twins(keys: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different paths that are one on a system that ignores case; in the order they were first seen."""
    groups: dict[str, dict[str, None]] = {}
    for key in keys:
        groups.setdefault(folded(key), {})[key] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]
