"""The engines every test of this folder runs against. A new engine adds one line to ENGINES."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from everysite.index import sqlite
from everysite.index.contract import Index

Factory = Callable[[Path], Awaitable[Index]]
"""Opens the index that lives in this folder, an empty one when there is none yet."""


async def open_sqlite(folder: Path) -> Index:
    return sqlite.open(str(folder / "index.db"))


ENGINES: dict[str, Factory] = {"sqlite": open_sqlite}
