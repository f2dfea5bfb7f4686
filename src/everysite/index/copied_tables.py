"""What a copy of an index from engine to engine needs to know of its tables, and the sum it is verified by.

Owns: keys and what else is unique of each table, what grows with each change, digests of rows. Must not know: engines, SQL.

A row is the values of TABLES' columns: numbers, texts, bytes or None; a body is its JSON text. That is the same in both engines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from everysite.index.tables import TABLES

Row = tuple[Any, ...]

_KEYS = {
    "number": "name", "meta": "key", "element": "id; key; change", "tombstone": "key; change",
    "replica": "site, element; change", "site": "id; folded", "mapping": "id", "holding": "mapping",
    "task": "mapping, path", "lease": "id", "held_folder": "id; mapping, parent, name", "held_file": "folder, name",
    "held_stage": "mapping, name", "event": "seq", "credential": "username", "token": "id; hash",
    "account": "username; key", "audit": "seq",
}  # fmt: skip
_GROWS = {"element": "change", "tombstone": "change", "replica": "change", "event": "seq", "audit": "seq"}
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Table:
    """`unique`: sets of columns that no two rows share, the key first. `grows`: the column that every write of a row gives
    a number above all before it, '' where there is none."""

    name: str
    columns: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    grows: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return self.unique[0]

    def at(self, row: Row, columns: Sequence[str]) -> Row:
        """The values of these columns."""
        return tuple(row[self.columns.index(column)] for column in columns)


def _table(name: str, columns: str) -> Table:
    unique = tuple(_split(words) for words in _KEYS[name].split(";"))
    return Table(name, _split(columns), unique, _GROWS.get(name, ""))


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip(' "') for name in names.split(","))


COPIED = tuple(_table(name, columns) for name, columns in TABLES.items())
"""All of them, in an order in which they can be written."""


class Sum:
    """Count and digest of rows, whatever their order: the digests of the rows added up, so no two rows cancel out."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._sum += int.from_bytes(hashlib.blake2b(_encode(row), digest_size=16).digest())
            self.count += 1

    @property
    def digest(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._sum % (1 << 128):032x}"
