"""Hashes of passwords, those of older trackers among them."""

from __future__ import annotations

import hashlib

import pytest

from everysite.errors import BadRequest
from everysite.tracker.passwords import Passwords, imported

pytestmark = pytest.mark.anyio


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


async def test_a_password_matches_itself_and_nothing_else() -> None:
    passwords = Passwords()
    kept = await passwords.hash("pässword")
    assert "pässword" not in kept and kept.startswith("$argon2id$") and not imported(kept)
    assert await passwords.matches(kept, "pässword")
    for wrong in ("password", "", "pässword ", "x" * 5000):
        assert not await passwords.matches(kept, wrong)
    assert not await passwords.matches(None, "pässword")


@pytest.mark.parametrize("digest", [md5, sha1, lambda text: md5(text).upper()])
async def test_the_digest_of_an_older_tracker_is_wrapped(digest: object) -> None:
    assert callable(digest)
    passwords = Passwords()
    kept = await passwords.wrap(digest("secret"))
    assert imported(kept) and digest("secret").lower() not in kept
    assert await passwords.matches(kept, "secret")
    # Who stole the digest has not stolen the password.
    assert not await passwords.matches(kept, digest("secret"))
    assert not await passwords.matches(kept, "other")


@pytest.mark.parametrize("value", ["secret", "", "0" * 31, "g" * 32, 5, None, {"$ne": 1}, "0" * 41, "$argon2id$v=19$"])
async def test_what_is_no_digest_is_refused_without_being_repeated(value: object) -> None:
    with pytest.raises(BadRequest) as raised:
        await Passwords().wrap(value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("password", ["", "x" * 1025])
async def test_passwords_that_cannot_be(password: str) -> None:
    with pytest.raises(BadRequest):
        await Passwords().hash(password)
