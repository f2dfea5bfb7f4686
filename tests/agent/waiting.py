"""Waiting for a thing to become true, with an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Return when it is; TimeoutError when it never was."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  what is waited for happens in other processes and in files
            await asyncio.sleep(0.01)
