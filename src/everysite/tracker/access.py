"""Who may come in: users, signing in and out, tokens.

Owns: the user elements and what happens to their credentials and tokens. Must not know: HTTP, password hashing itself.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from everysite.decide.elements import stamped
from everysite.errors import BadRequest, Conflict, Forbidden, NotFound, SignInNeeded
from everysite.index.contract import Token, Transaction
from everysite.model.element import Body, Element, Tombstone
from everysite.tracker import tokens
from everysite.tracker.core import Core
from everysite.tracker.messages import (
    IssuedToken,
    Named,
    NewToken,
    Nothing,
    SignedIn,
    SignIn,
    TokenId,
    TokenInfo,
    Tokens,
    User,
    Users,
)
from everysite.tracker.operation import Caller, UserClass
from everysite.tracker.passwords import Passwords

_RESERVED = frozenset({"support", "agent"})
_WRONG = "wrong user name or password"
_TOUCH_MS = 60_000  # last use of a token is written at most once a minute


class Access:
    """The verbs of users and tokens, with this process's memory of tokens."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._passwords = Passwords()
        self._known: dict[bytes, tuple[Token, Caller]] = {}

    # --- coming in ---

    async def authenticate(self, token: str, address: str) -> Caller | None:
        """The caller a token stands for, None when it is no (longer a) token."""
        hashed, now = tokens.fingerprint(token), self._core.clock()
        known = self._known.get(hashed)
        if known is None:
            known = await self._core.index.read(lambda tx: _look_up(tx, hashed))
            if known is None:
                return None
            self._known[hashed] = known
        row, caller = known
        if tokens.expired(row, now):
            return None
        if now - row.used > _TOUCH_MS:
            self._known[hashed] = (msgspec.structs.replace(row, used=now), caller)
            await self._core.index.run(lambda tx: tx.access.touch_tokens([(row.id, now)]), "bulk")
        return msgspec.structs.replace(caller, address=address)

    async def sign_in(self, caller: Caller, asked: SignIn) -> SignedIn:
        """Raises SignInNeeded with one text for every wrong credential, TooManyAttempts after ten in a minute."""
        core, now = self._core, self._core.clock()
        account = asked.username.strip()
        self._passwords.may_try(account.lower(), caller.address, now)
        user = await core.index.read(lambda tx: find_user(tx, account))
        name = user.body["username"] if user else ""
        hashed = await core.index.read(lambda tx: tx.access.credential(name)) if user else None
        right = await self._passwords.matches(hashed, asked.password)
        if user is None or not right or user.body.get("disable"):
            self._passwords.failed(account.lower(), caller.address, now)
            raise SignInNeeded(_WRONG)
        life = tokens.life_span(asked.expiresIn, core.limits.token_life_s)
        body = {**user.body, "lastlogin": now}
        issued, row = _new_token(user.key, name, now, life, "signed in")
        await core.index.run(lambda tx: (tx.access.add_token(row), _save(tx, user, body, now)))
        shown = {"_id": user.key, **body, "address": caller.address}
        return SignedIn(user.key, shown, issued, name, now // 1000, row.until // 1000)

    async def sign_out(self, caller: Caller, asked: Nothing) -> Nothing:
        await self._core.index.run(lambda tx: tx.access.drop_tokens([caller.token]))
        self.forget()
        return asked

    async def verify(self, caller: Caller, asked: Nothing) -> dict[str, Any]:
        """The caller's own element."""
        user = await self._core.index.read(lambda tx: find_user(tx, caller.username))
        return {"_id": user.key, **user.body} if user else {"_id": caller.username, "class": caller.rank}

    # --- users ---

    async def users(self, caller: Caller, asked: Nothing) -> Users:
        found = await self._core.index.read(lambda tx: tx.elements.under("@", limit=10_000))
        return Users([{"_id": e.key, **e.body} for e in found if "username" in e.body])

    async def put_user(self, caller: Caller, asked: User) -> dict[str, Any]:
        """Raises BadRequest (name, missing password of a new user), Conflict (the last admin)."""
        name = bare(asked.username)
        hashed = await self._passwords.hash(_password(asked.password)) if asked.password is not None else None
        now = self._core.clock()
        user = await self._core.index.run(lambda tx: _put_user(tx, caller, name, asked, hashed, now))
        self.forget()
        return {"_id": user.key, **user.body}

    async def remove_user(self, caller: Caller, asked: Named) -> Nothing:
        name, now = bare(asked.name), self._core.clock()
        await self._core.index.run(lambda tx: _remove_user(tx, name, now))
        self.forget()
        return Nothing()

    async def first_admin(self, name: str, password: str) -> bool:
        """Make the first admin of a new tracker; False when there is one already."""
        if await self._core.index.read(_has_admin):
            return False
        user = User(bare(name), rank="admin", password=password)
        await self.put_user(Caller(user.username, "admin"), user)
        return True

    # --- tokens ---

    async def tokens(self, caller: Caller, asked: Nothing) -> Tokens:
        mine = None if caller.rank == "admin" else caller.username
        rows = await self._core.index.read(lambda tx: tx.access.tokens(mine))
        return Tokens([TokenInfo(t.id, t.username, t.kind, t.site, t.label, t.created, t.used, t.until) for t in rows])

    async def create_token(self, caller: Caller, asked: NewToken) -> IssuedToken:
        """Raises Forbidden for another user's token without being admin, NotFound for an unknown user."""
        name = bare(asked.username) if asked.username else caller.username
        if name != caller.username and caller.rank != "admin":
            raise Forbidden(f"only an admin makes tokens for others; {caller.username} may make their own")
        life, now = tokens.life_span(asked.expiresIn, self._core.limits.token_life_s), self._core.clock()
        user = await self._core.index.read(lambda tx: find_user(tx, name))
        if user is None:
            raise NotFound(f"there is no user {name!r}")
        text, row = _new_token(user.key, name, now, life, asked.label)
        row = await self._core.index.run(lambda tx: tx.access.add_token(row))
        return IssuedToken(row.id, text)

    async def agent_token(self, site: str, label: str) -> str:
        """A token that acts for one site ('*': all sites of this machine) and nothing else."""
        text, hashed = tokens.issue("agent", f"agent of {site}", self._core.clock(), 0)
        row = Token(hashed, f"agent:{site}", "agent", site, created=self._core.clock(), label=label)
        await self._core.index.run(lambda tx: tx.access.add_token(row))
        return text

    async def remove_token(self, caller: Caller, asked: TokenId) -> Nothing:
        rows = await self._core.index.read(lambda tx: tx.access.tokens(None))
        mine = [t for t in rows if t.id == asked.id and (caller.rank == "admin" or t.username == caller.username)]
        if not mine:
            raise NotFound(f"there is no token {asked.id} of yours; see: everysite token list")
        await self._core.index.run(lambda tx: tx.access.drop_tokens([asked.id]))
        self.forget()
        return Nothing()

    def forget(self) -> None:
        """Look every token up again: something about users or tokens has changed."""
        self._known.clear()


def bare(name: str) -> str:
    """A user name as it is stored (decisions A 2). Raises BadRequest."""
    name = name.strip().removeprefix("@")
    if not name or len(name) > 64 or any(c.isspace() or c in "/,@" or not c.isprintable() for c in name):
        raise BadRequest(
            f"{name!r} is no user name; use up to 64 letters, digits and marks, no spaces, '/', ',' or '@'"
        )
    if name.lower() in _RESERVED:
        raise BadRequest(f"the user name {name!r} is reserved; choose another one")
    return name


def find_user(tx: Transaction, account: str) -> Element | None:
    """A user by bare name, '@name' or e-mail address."""
    name = account.strip().removeprefix("@")
    [user] = tx.elements.get(["@" + name])
    if user is None and "@" in name:
        found = [e for e in tx.elements.where([("email", name)], 2) if "username" in e.body]
        user = found[0] if len(found) == 1 else None
    return user if user is not None and "username" in user.body else None


def _password(text: str) -> str:
    if not text:
        raise BadRequest("an empty password lets everybody in; give one")
    return text


def _look_up(tx: Transaction, hashed: bytes) -> tuple[Token, Caller] | None:
    row = tx.access.token(hashed)
    if row is None:
        return None
    if row.kind == "agent":
        return row, Caller(row.username, "agent", row.site, token=row.id)
    user = find_user(tx, row.username)
    if user is None or user.body.get("disable"):
        return None
    rank: UserClass = user.body.get("class", "guest")
    return row, Caller(row.username, rank, token=row.id)


def _new_token(user_id: str, name: str, now: int, life_s: int, label: str) -> tuple[str, Token]:
    text, hashed = tokens.issue(user_id, name, now, life_s)
    return text, Token(hashed, name, until=now + life_s * 1000 if life_s else 0, created=now, used=now, label=label)


def _save(tx: Transaction, user: Element | None, body: Body, now: int) -> Element:
    key = user.key if user else "@" + body["username"]
    made = Element(key, body, id=user.id if user else 0)
    return tx.elements.put([stamped(user, made, tx.stamp(now))])[0]


def _put_user(tx: Transaction, caller: Caller, name: str, asked: User, hashed: str | None, now: int) -> Element:
    [user] = tx.elements.get(["@" + name])
    if user is None and hashed is None:
        raise BadRequest(f"the new user {name!r} needs a password")
    body: Body = (
        dict(user.body) if user else {"username": name, "class": "user", "author": caller.username, "time": now}
    )
    if asked.rank:
        body["class"] = asked.rank
    for key in ("email", "fullname", "disable"):
        if (value := getattr(asked, key)) is not None:
            body[key] = value
    saved = _save(tx, user, body, now)
    if user is not None and user.body.get("class") == "admin" and not _has_admin(tx):
        raise Conflict(f"{name} is the last admin; make another one first")
    if hashed is not None:
        tx.access.set_credential(name, hashed)
    if hashed is not None or body.get("disable"):
        tx.access.drop_tokens([t.id for t in tx.access.tokens(name)])
    return saved


def _remove_user(tx: Transaction, name: str, now: int) -> None:
    [user] = tx.elements.get(["@" + name])
    if user is None:
        raise NotFound(f"there is no user {name!r}")
    tx.elements.bury([Tombstone(user.key, tx.stamp(now))])
    tx.access.drop_credential(name)
    tx.access.drop_tokens([t.id for t in tx.access.tokens(name)])
    if not _has_admin(tx):
        raise Conflict(f"{name} is the last admin; make another one first")


def _has_admin(tx: Transaction) -> bool:
    admins = tx.elements.where([("class", "admin")])
    return any("username" in e.body and not e.body.get("disable") for e in admins)


def generated_password() -> str:
    """For a first start without one: 20 characters, shown once."""
    return secrets.token_urlsafe(15)
