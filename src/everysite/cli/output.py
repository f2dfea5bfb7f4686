"""How answers look: a table on a terminal, aligned plain lines in a pipe, JSON for programs.

Owns: the two forms of a table, sizes and times for people.
Must not know: what is shown. rich is imported only when a terminal is there to see it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any


def show_json(value: Any) -> None:
    """A value (structs of the contract included) as indented JSON."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_table(headers: Sequence[str], rows: Sequence[Sequence[object]], empty: str = "") -> None:
    """Rows under headers; numbers are aligned to the right. `empty` is said when there are no rows."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(headers))]
    if not rows and empty:
        print(empty)
    elif sys.stdout.isatty():
        _rich_table(headers, cells, right)
    else:
        _plain_table(headers, cells, right)


class Size:
    """A number of bytes, shown to a person in a unit that fits."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __str__(self) -> str:
        return size(self.count)


def size(count: float) -> str:
    """Bytes in powers of 1000, like `ls -h --si`: 512 B, 1.5 MB."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"


def moment(ms: int) -> str:
    """A time (ms since 1970) as local date and time; '-' for never."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000)) if ms else "-"


def duration(seconds: float) -> str:
    """0:07, 12:30, 2:05:09."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def printable(text: str) -> str:
    """A name or message on one line: whatever could steer a terminal is spelled out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Size) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) and sys.stdout.isatty() else printable(str(value))


def _plain_table(headers: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for row in (headers, *cells):
        padded = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ]
        print("  ".join(padded).rstrip())


def _rich_table(headers: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for header, to_right in zip(headers, right, strict=True):
        table.add_column(header, justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
