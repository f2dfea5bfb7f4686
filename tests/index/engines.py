"""The engines every test of this folder runs against. A new engine adds one line to ENGINES."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

from tests.postgres import Server

from everysite.index import postgres, sqlite
from everysite.index.contract import Index

Factory = Callable[[Path], Awaitable[Index]]
"""Opens the index that lives in this folder, an empty one when there is none yet."""


async def open_sqlite(folder: Path) -> Index:
    return sqlite.open(str(folder / "index.db"))


@cache
def server() -> Server:
    """The only one of this process, ended with it."""
    return Server()


@cache
def _template() -> str:
    """A database with our tables in it; a copy of it is faster than making them."""
    name = server().database()
    postgres.migrated(server().url(name))
    return name


def database_url(folder: Path) -> str:
    """The database that belongs to this folder."""
    note = folder / "postgres.url"
    if not note.exists():
        note.write_text(server().url(server().database(_template())))
    return note.read_text()


async def open_postgres(folder: Path) -> Index:
    return postgres.open(database_url(folder))


ENGINES: dict[str, Factory] = {"sqlite": open_sqlite, "postgres": open_postgres}
