"""How a scan went.

Owns: Scanned, and how it is said to people. Must not know: how scans work.
"""

from __future__ import annotations

import msgspec


class Scanned(msgspec.Struct, frozen=True):
    """How a scan went. `counts` as the tracker answered; `errors` lines for a person; `unsettled`: files that were being
    written to, so another scan is worth while soon."""

    files: int
    bytes: int
    folders: int
    seconds: float
    counts: dict[str, int] = {}
    errors: list[str] = []
    unsettled: int = 0

    @property
    def exit_code(self) -> int:
        """rsync's number: 23 when something could not be read."""
        return 23 if self.errors else 0


def describe(scanned: Scanned) -> str:
    """One line for the log."""
    found = ", ".join(f"{count} {word}" for word, count in sorted(scanned.counts.items())) or "nothing new"
    return f"{scanned.files} files in {scanned.seconds:.2f} s: {found}"


def last_lines(scanned: Scanned, limit: int = 4096) -> str:
    """The errors as `stderr_scan` shows them: at most `limit` bytes of text."""
    return "\n".join(scanned.errors).encode()[:limit].decode(errors="ignore")
