"""Passwords: hashing off the event loop, the hashes of older trackers among them.

Owns: argon2 parameters, how many hashes run at once, how an imported hash is kept until its user signs in.
Must not know: users, tokens, who guesses how often (`attempts`).

Clients of older trackers write a user's password as the hexadecimal digest of it, MD5 or SHA-1, without salt. Such a digest
is as good as the password to whoever cracks it, so only argon2 of it is kept (`md5:$argon2...`), and at the next
sign-in argon2 of the password itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from everysite.errors import BadRequest

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # RFC 9106 low memory; 21 ms here
_AT_ONCE = 2  # sign-ins must not become an attack on memory and CPU
_LONGEST = 1024  # characters
_HEX = re.compile(r"[0-9a-fA-F]+")
_DIGESTS = {32: "md5", 40: "sha1"}  # hexadecimal digits -> how it was made


class Passwords:
    """Hashes and checks. One a process."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """The form to keep. Raises BadRequest for an empty or endless one."""
        if not password:
            raise BadRequest("an empty password lets everybody in; give one")
        if len(password) > _LONGEST:
            raise BadRequest(f"the password has {len(password)} characters; use at most {_LONGEST}")
        return await self._hashed(password)

    async def wrap(self, digest: object) -> str:
        """The form to keep of a digest an older client writes. Raises BadRequest, without repeating what it is."""
        if not isinstance(digest, str) or not _HEX.fullmatch(digest) or len(digest) not in _DIGESTS:
            raise BadRequest(
                "password is no MD5 or SHA-1 digest in hexadecimal, which is how it is written into an element; "
                "give a password as it is with PUT /api/users/NAME or: everysite user set NAME --password"
            )
        return f"{_DIGESTS[len(digest)]}:{await self._hashed(digest.lower())}"

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password. Takes as long for an account that does not exist."""
        if not self._nobody:
            self._nobody = await self.hash(secrets.token_hex(16))
        tried = password if len(password) <= _LONGEST else ""
        async with self._slots:
            right = await asyncio.to_thread(_verify, hashed or self._nobody, tried)
        return right and hashed is not None

    async def _hashed(self, text: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(_HASHER.hash, text)


def imported(hashed: str) -> bool:
    """Whether it is the wrapped digest of an older tracker, to be replaced when the password is seen."""
    return not hashed.startswith("$")


def _verify(hashed: str, password: str) -> bool:
    kind, mark, rest = hashed.partition(":")
    if mark:
        password = hashlib.new(kind, password.encode(), usedforsecurity=False).hexdigest()
    try:
        return _HASHER.verify(rest if mark else hashed, password)
    except (VerificationError, InvalidHashError):
        return False
