"""The table of numbers in SQLite.

Owns: reading the last numbers given out, and keeping the new ones. Must not know: what they are for.
"""

from __future__ import annotations

import apsw

from everysite.index import numbers


class Numbers(numbers.Numbers):
    """The counters of one connection."""

    def __init__(self, db: apsw.Connection, writes: bool) -> None:
        super().__init__(writes)
        self._db = db

    def load(self) -> None:
        """At the start of a transaction."""
        self.begin(self._db.execute("SELECT name, value FROM number"))

    def save(self) -> None:
        """Before the commit."""
        for name, value in self.changed():
            self._db.execute("INSERT OR REPLACE INTO number VALUES (?, ?)", (name, value))
