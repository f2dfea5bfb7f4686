"""Long questions one after another, so that one user's never keep everybody else's waiting.

Owns: whose turn it is. Must not know: what is asked, HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from everysite.errors import Transient

_MOST = 100  # of one user that wait; each is a connection somebody holds open


class Turns:
    """One at a time for each user. The index has few threads for questions that read many rows."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def of(self, user: str) -> AsyncIterator[None]:
        """Wait for this user's turn, and have it while the block runs. Raises Transient when too many wait."""
        waiting = self._waiting.get(user, 0)
        if waiting >= _MOST:
            raise Transient(
                f"{waiting} long questions of {user} wait already; ask for indexed keys, or one after another"
            )
        self._waiting[user] = waiting + 1
        try:
            async with self._locks.setdefault(user, asyncio.Lock()):
                yield
        finally:
            self._waiting[user] -= 1
            if not self._waiting[user]:
                del self._waiting[user], self._locks[user]
