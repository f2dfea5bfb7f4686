"""What both engines make of values for their columns.

Owns: prefix ranges, the columns of a Content. Must not know: SQL, any table.
"""

from __future__ import annotations

from everysite.model.element import Content


def prefix_end(prefix: str) -> str | None:
    """The first text after all that start with `prefix`; None when there is no such text."""
    while prefix:
        last = ord(prefix[-1])
        prefix = prefix[:-1]
        if last < 0x10FFFF:
            return prefix + chr(0xE000 if last == 0xD7FF else last + 1)
    return None


def content_columns(content: Content | None) -> tuple[int | None, int | None, int | None, bytes | None]:
    """size, mtime_ns, mode, digest; all NULL for no content."""
    if content is None:
        return (None, None, None, None)
    return (content.size, content.mtime_ns, content.mode, content.digest)
