"""What waits to be sent to one session of Socket.IO.

Owns: Outbox, the bounds of what may wait, and of what one poll takes. Must not know: sessions, what is told.
"""

from __future__ import annotations

import asyncio
from typing import Any

_PACKETS = 1_000
_BYTES = 8 << 20
_AT_ONCE = 16  # packets of one poll: clients refuse more


class Outbox(asyncio.Queue[Any]):
    """The queue the library keeps for a session. Packets are shared between sessions; None ends the reader."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._bytes = 0
        self._taken = 0

    def _put(self, item: Any) -> None:
        self._bytes += _weight(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= _weight(item)
        return item

    async def get(self) -> Any:
        self._taken = 0
        return await super().get()

    def get_nowait(self) -> Any:
        if self._taken >= _AT_ONCE:
            self._taken = 0
            raise asyncio.QueueEmpty
        self._taken += 1
        return super().get_nowait()

    def has_room(self, item: Any) -> bool:
        """Whether one more may wait. An empty outbox takes anything, so one large event still arrives."""
        return self.empty() or (self.qsize() < _PACKETS and self._bytes + _weight(item) <= _BYTES)

    def clear(self) -> None:
        """What waits is not sent."""
        while not self.empty():
            self._get()
            self.task_done()


def _weight(item: Any) -> int:
    data = getattr(item, "data", None)
    return len(data) if isinstance(data, str) else 0
