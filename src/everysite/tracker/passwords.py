"""Passwords: hashing off the event loop, and slowing down those who guess.

Owns: argon2 parameters, how many hashes run at once, the count of failures by account and address.
Must not know: users, tokens.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from everysite.errors import TooManyAttempts

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # RFC 9106 low memory; 21 ms here
_AT_ONCE = 2  # sign-ins must not become an attack on memory and CPU
_FAILURES = 10  # within a minute, for one account from one address
_MINUTE_MS = 60_000
_REMEMBERED = 10_000


class Passwords:
    """Hashes and checks. One a process."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._failures: OrderedDict[tuple[str, str], list[int]] = OrderedDict()
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """The form to keep."""
        async with self._slots:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password. Takes as long for an account that does not exist."""
        if not self._nobody:
            self._nobody = await self.hash(secrets.token_hex(16))
        async with self._slots:
            right = await asyncio.to_thread(_verify, hashed or self._nobody, password)
        return right and hashed is not None

    def may_try(self, account: str, address: str, now: int) -> None:
        """Raise TooManyAttempts when this account was tried too often from this address."""
        failures = [t for t in self._failures.get((account, address), []) if t > now - _MINUTE_MS]
        if len(failures) >= _FAILURES:
            wait = (failures[-_FAILURES] + _MINUTE_MS - now) // 1000 + 1
            raise TooManyAttempts(f"too many failed sign-ins for {account!r}; try again in {wait} s")

    def failed(self, account: str, address: str, now: int) -> None:
        """Remember a failure."""
        failures = self._failures.pop((account, address), [])
        self._failures[account, address] = [*failures[-_FAILURES:], now]
        if len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
