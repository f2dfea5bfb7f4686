"""The verbs of users: who there is, new ones, changed ones, new passwords.

Owns: users by name, and the ways a password is replaced. Must not know: sign-in, tokens for programs, HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from everysite.decide.elements import stamped
from everysite.errors import BadRequest, Conflict, Forbidden, NotFound, NotOffered, SignInNeeded, TooManyAttempts
from everysite.index.contract import Account, Token, Transaction
from everysite.model.element import Body, Element, Tombstone
from everysite.tracker import mail as post
from everysite.tracker import tokens
from everysite.tracker.access_messages import LostPassword, NewPassword, ResetPassword
from everysite.tracker.audit import note
from everysite.tracker.buckets import Buckets
from everysite.tracker.core import Core
from everysite.tracker.mail import Mail
from everysite.tracker.messages import Named, Nothing, User, Users
from everysite.tracker.operation import Caller
from everysite.tracker.passwords import Passwords
from everysite.tracker.users import UserElements, bare, find_user, has_admin

_log = logging.getLogger(__name__)
_RESET_S = 3600
_LETTERS = 3  # an account gets a minute, and ten times as many an address asks for
_SPENT = "this way to a new password is used up or too old; ask for a new one with /api/lostPassword"


class Accounts:
    """Users and their passwords."""

    def __init__(self, core: Core, passwords: Passwords, elements: UserElements, mail: Mail | None) -> None:
        self._core, self._passwords, self._elements, self._mail = core, passwords, elements, mail
        self._asked_from, self._asked_for = Buckets(_LETTERS * 10), Buckets(_LETTERS)
        self._letters: set[asyncio.Task[None]] = set()

    async def users(self, caller: Caller, asked: Nothing) -> Users:
        return Users(await self._core.index.read(_all))

    async def put_user(self, caller: Caller, asked: User) -> dict[str, Any]:
        """Raises BadRequest (name, missing password of a new user), Conflict (the last admin)."""
        return await self._put(caller, asked)

    async def _put(self, caller: Caller, asked: User, first: bool = False) -> dict[str, Any]:
        """`first`: Conflict when there is an admin already; another process may make one at the same time."""
        name = bare(asked.username)
        kept = await self._passwords.hash(asked.password) if asked.password is not None else ""
        now = self._core.clock()

        def unit(tx: Transaction) -> Element:
            if first and has_admin(tx):
                raise Conflict("there is an admin already")
            before = find_user(tx, tx.access.account(name)) or tx.elements.get(["@" + name])[0]
            key = before.key if before else "@" + name
            body = self._elements.checked(caller, key, before, _body(caller, name, asked, before, kept, now), kept)
            made = Element(key, body, id=before.id if before else 0)
            [saved] = tx.elements.put([stamped(before, made, tx.stamp(now))])
            self._elements.stored(tx, caller, before, saved, kept, now)
            return saved

        saved = await self._core.index.run(unit)
        self._elements.settled()
        return {"_id": saved.key, **saved.body}

    async def remove_user(self, caller: Caller, asked: Named) -> Nothing:
        """Raises NotFound, Conflict (the last admin)."""
        name, now = bare(asked.name), self._core.clock()

        def unit(tx: Transaction) -> None:
            user = find_user(tx, tx.access.account(name))
            if user is None:
                raise NotFound(f"there is no user {name!r}")
            tx.elements.bury([Tombstone(user.key, tx.stamp(now))])
            self._elements.removed(tx, caller, user, now)

        await self._core.index.run(unit)
        self._elements.settled()
        return Nothing()

    async def first_admin(self, name: str, password: str) -> bool:
        """Make the first admin of a new tracker; False when there is one already."""
        if await self._core.index.read(has_admin):
            return False
        user = User(bare(name), rank="admin", password=password)
        try:
            await self._put(Caller(user.username, "admin"), user, first=True)
        except Conflict:
            return False
        return True

    # --- passwords ---

    async def change_password(self, caller: Caller, asked: NewPassword) -> Nothing:
        """One's own; all tokens end, this one too. Raises Forbidden for a token that is narrower than its user."""
        if caller.anonymous:
            raise SignInNeeded("sign in first")
        if caller.scoped or caller.rank == "agent":
            raise Forbidden("this token may not change its user's password; sign in to do that")
        await self._renew(caller, caller.username, asked.password, "password changed")
        return Nothing()

    async def lost_password(self, caller: Caller, asked: LostPassword) -> Nothing:
        """A letter goes to the address if there is such an account; the answer is the same if there is none.

        Raises NotOffered when this tracker sends no mail, TooManyAttempts.
        """
        if self._mail is None:
            raise NotOffered(
                "this tracker sends no mail (settings mail.*); an admin sets a new password with: "
                "everysite user set NAME --password"
            )
        if wait := self._asked_from.take(caller.address, self._core.clock()):
            seconds = -(-wait // 1000)
            raise TooManyAttempts(f"too many requests for new passwords; try again in {seconds} s", seconds)
        task = asyncio.create_task(self._write(self._mail, caller, asked.email.strip()), name="letter")
        self._letters.add(task)
        task.add_done_callback(self._letters.discard)
        return Nothing()

    async def reset_password(self, caller: Caller, asked: ResetPassword) -> Nothing:
        """Raises Forbidden for a word that is none (any longer), TooManyAttempts."""
        now = self._core.clock()
        if wait := self._asked_from.take(caller.address, now):
            seconds = -(-wait // 1000)
            raise TooManyAttempts(f"too many attempts; try again in {seconds} s", seconds)
        hashed = tokens.fingerprint(asked.token)
        row = await self._core.index.read(lambda tx: tx.access.token(hashed))
        if row is None or row.kind != "reset" or tokens.expired(row, now):
            raise Forbidden(_SPENT)
        who = Caller(row.username, "guest", address=caller.address)
        await self._renew(who, row.username, asked.password, "password reset", hashed)
        return Nothing()

    async def close(self) -> None:
        """Wait for letters that are on their way."""
        await asyncio.gather(*self._letters)

    async def _renew(self, caller: Caller, username: str, password: str, what: str, reset: bytes = b"") -> None:
        kept, now = await self._passwords.hash(password), self._core.clock()

        def unit(tx: Transaction) -> None:
            account = tx.access.account(username)
            if account is None or (reset and tx.access.token(reset) is None):  # two at once with one word
                raise Forbidden(_SPENT)
            tx.access.set_credential(username, kept)
            tx.access.drop_tokens([token.id for token in tx.access.tokens(username)])
            note(tx, caller, now, what, username)

        await self._core.index.run(unit)
        self._core.forget_tokens()

    async def _write(self, mail: Mail, caller: Caller, email: str) -> None:
        """Beside the answer, which must not tell by its time whether there was an account."""
        now = self._core.clock()
        found = await self._core.index.read(lambda tx: tx.access.accounts(email=email) if email else [])
        if len(found) != 1 or found[0].disabled or self._asked_for.take(found[0].username, now):
            return
        account = found[0]
        text, hashed = tokens.issue(account.key, account.username, now, _RESET_S)
        row = Token(hashed, account.username, "reset", until=now + _RESET_S * 1000, created=now, label="lost password")
        await self._core.index.run(lambda tx: _one_way(tx, caller, account, row, now))
        try:
            letter = post.reset_letter(mail, account.email, account.username, text)
            await asyncio.to_thread(post.send, mail, letter)
        except (OSError, ValueError) as err:  # the mail server's trouble is the admin's to see, not the asker's
            _log.error("no mail could be sent by %s:%d: %s", mail.host, mail.port, type(err).__name__)


def _all(tx: Transaction) -> list[Body]:
    found = tx.elements.get([account.key for account in tx.access.accounts()])
    return [{"_id": e.key, **e.body} for e in found if e is not None]


def _body(caller: Caller, name: str, asked: User, before: Element | None, kept: str, now: int) -> Body:
    if (before is None or "username" not in before.body) and not kept:
        raise BadRequest(f"the new user {name!r} needs a password")
    body: Body = (
        dict(before.body) if before else {"username": name, "class": "user", "author": caller.username, "time": now}
    )
    if asked.rank:
        body["class"] = asked.rank
    for key in ("email", "fullname", "disable"):
        if (value := getattr(asked, key)) is not None:
            body[key] = value
    return body


def _one_way(tx: Transaction, caller: Caller, account: Account, row: Token, now: int) -> None:
    """The newest letter counts, and no other."""
    old = [token.id for token in tx.access.tokens(account.username) if token.kind == "reset"]
    tx.access.drop_tokens(old)
    tx.access.add_token(row)
    note(tx, caller, now, "password lost", account.username)
