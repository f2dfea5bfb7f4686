"""Coming in: who a token stands for, signing in and out, who was here last.

Owns: sign-in, what this process remembers of tokens, `lastActivity`. Must not know: HTTP, password hashing itself, how
users and tokens are administrated (`accounts`, `grants`).
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from everysite.decide.elements import stamped
from everysite.errors import BadRequest, NotFound, SignInNeeded
from everysite.index.contract import Account, Token, Transaction
from everysite.model.element import Body, Element
from everysite.tracker import tokens
from everysite.tracker.accounts import Accounts
from everysite.tracker.attempts import FAILED, Attempts
from everysite.tracker.audit import note
from everysite.tracker.core import Core
from everysite.tracker.grants import Grants
from everysite.tracker.mail import Mail
from everysite.tracker.messages import Nothing, SignedIn, SignIn
from everysite.tracker.operation import Caller, UserClass
from everysite.tracker.others import TOKENS
from everysite.tracker.passwords import Passwords, imported
from everysite.tracker.users import UserElements, find_account, find_user

ANONYMOUS = "anonymous"
WRONG = "wrong user name or password"
_TOUCH_MS = 60_000  # last use and activity are written at most once a minute
_MINUTE_MS = 60_000
_REMEMBERED = 10_000  # tokens looked up lately


class Access:
    """The door. `accounts` and `grants` have the verbs of users and tokens, `users` the rules of user elements."""

    def __init__(self, core: Core, mail: Mail | None = None) -> None:
        self._core = core
        self._passwords = Passwords()
        self._attempts = Attempts(core.limits.sign_in_per_minute)
        self._known: dict[bytes, tuple[Token, Caller]] = {}
        self._touched: dict[int, int] = {}  # token -> ms of its last use
        self._active: dict[str, int] = {}  # user -> ms of their last request
        core.forget_tokens = self.forget
        self.users = UserElements(self._passwords, self.forget)
        self.accounts = Accounts(core, self._passwords, self.users, mail)
        self.grants = Grants(core)

    async def start(self) -> None:
        """Failed sign-ins of the last minute count after a restart too."""
        since = self._core.clock() - _MINUTE_MS
        rows = await self._core.index.read(lambda tx: tx.audit.latest(1000, what=FAILED))
        self._attempts.remember(row for row in rows if row.at > since)

    async def close(self) -> None:
        """What is remembered only here is written down."""
        await self.accounts.close()
        await self.flush()

    async def authenticate(self, token: str, address: str) -> Caller | None:
        """The caller a token stands for, None when it is no (longer a) token."""
        hashed, now = tokens.fingerprint(token), self._core.clock()
        known = self._known.get(hashed)
        if known is None:
            known = await self._core.index.read(lambda tx: _look_up(tx, hashed))
            if known is None:
                return None
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[hashed] = known
        row, caller = known
        if tokens.expired(row, now):
            return None
        if now - row.used > _TOUCH_MS:
            self._known[hashed] = (msgspec.structs.replace(row, used=now), caller)
            self._touched[row.id] = now
            if row.kind == "user":
                self._active[row.username] = now
        return msgspec.structs.replace(caller, address=address)

    def nobody(self, address: str) -> Caller:
        """Who asks without a token: an admin where nobody signs in, a guest where nobody has to."""
        if self._core.limits.open_mode:
            return Caller(address or "local", "admin", address=address, anonymous=True)
        name = "" if self._core.limits.required else ANONYMOUS
        return Caller(name, "guest", address=address, anonymous=True)

    async def sign_in(self, caller: Caller, asked: SignIn) -> SignedIn:
        """Raises SignInNeeded with one text for every wrong credential, TooManyAttempts; NotFound in open mode.

        One path for all, whether there is such a user or not, so that neither text nor time tells.
        """
        core, now = self._core, self._core.clock()
        if core.limits.open_mode:
            raise NotFound("nobody signs in here: this tracker is open")
        account, hashed = await core.index.read(lambda tx: _credential(tx, asked.username))
        counted = account.username if account else asked.username  # an e-mail address gives no second count
        self._attempts.enter(counted, caller.address, now)
        right = await self._passwords.matches(hashed, asked.password)
        if account is None or account.disabled or not right:
            await self._refused(caller, account, now)
            raise SignInNeeded(WRONG)
        try:
            life = tokens.life_span(asked.expiresIn, core.limits.token_life_s)
        except BadRequest as err:
            raise SignInNeeded(str(err)) from err
        renewed = await self._passwords.hash(asked.password) if hashed and imported(hashed) else ""
        who = msgspec.structs.replace(caller, username=account.username)

        def unit(tx: Transaction) -> tuple[Element, str, Token]:
            if tx.access.account(account.username) != account or tx.access.credential(account.username) != hashed:
                raise SignInNeeded(WRONG)  # changed while the password was checked
            if renewed:
                tx.access.set_credential(account.username, renewed)
            return _signed_in(tx, who, account, life, now)

        user, text, row = await core.index.run(unit)
        self._attempts.succeeded(account.username, caller.address, now)
        shown = {"_id": user.key, **user.body, "address": caller.address}
        return SignedIn(user.key, shown, text, account.username, now // 1000, row.until // 1000)

    async def sign_out(self, caller: Caller, asked: Nothing) -> Nothing:
        if caller.anonymous:
            raise SignInNeeded("sign in first")
        await self._core.index.run(lambda tx: tx.access.drop_tokens([caller.token]))
        self.forget()
        return asked

    async def verify(self, caller: Caller, asked: Nothing) -> dict[str, Any]:
        """The caller's own element; an empty one in open mode."""
        if caller.anonymous and not self._core.limits.open_mode:
            raise SignInNeeded("sign in first")
        if caller.anonymous:
            return {}
        user = await self._core.index.read(lambda tx: find_user(tx, tx.access.account(caller.username)))
        return {"_id": user.key, **user.body} if user else {"_id": caller.username, "class": caller.rank}

    async def first_admin(self, name: str, password: str) -> bool:
        """Make the first admin of a new tracker; False when there is one already."""
        return await self.accounts.first_admin(name, password)

    async def flush(self) -> None:
        """Write down who was here: all at once, now and then. It is no change of an element that anybody waits for."""
        touched, self._touched = self._touched, {}
        active, self._active = self._active, {}
        if not touched:
            return

        def unit(tx: Transaction) -> None:
            tx.access.touch_tokens(list(touched.items()))
            seen = [(find_user(tx, tx.access.account(name)), at) for name, at in active.items()]
            tx.elements.put([_with(user, {"lastActivity": at}) for user, at in seen if user is not None])

        await self._core.index.run(unit, "bulk")

    def forget(self) -> None:
        """Look every token up again: something about users or tokens has changed."""
        self.look_again()
        self._core.tell([TOKENS])

    def look_again(self) -> None:
        """The same in this process alone."""
        self._known.clear()

    async def _refused(self, caller: Caller, account: Account | None, now: int) -> None:
        """A row for each failure. A name that is nobody's may be a password typed in the wrong place: it is not kept."""
        who = msgspec.structs.replace(caller, username=account.username if account else "")
        text = "unknown name" if account is None else "disabled" if account.disabled else "wrong password"
        await self._core.index.run(lambda tx: note(tx, who, now, FAILED, who.username, text))


def _credential(tx: Transaction, name: str) -> tuple[Account | None, str | None]:
    account = find_account(tx, name)
    return account, tx.access.credential(account.username) if account else None


def _signed_in(tx: Transaction, who: Caller, account: Account, life_s: int, now: int) -> tuple[Element, str, Token]:
    before = find_user(tx, account)
    if before is None:
        raise SignInNeeded(WRONG)
    text, hashed = tokens.issue(account.key, account.username, now, life_s)
    until = now + life_s * 1000 if life_s else 0
    row = tx.access.add_token(Token(hashed, account.username, until=until, created=now, used=now, label="signed in"))
    [user] = tx.elements.put([stamped(before, _with(before, {"lastlogin": now}), tx.stamp(now))])
    note(tx, who, now, "signed in", account.username)
    return user, text, row


def _with(element: Element, keys: Body) -> Element:
    return msgspec.structs.replace(element, body={**element.body, **keys})


def _look_up(tx: Transaction, hashed: bytes) -> tuple[Token, Caller] | None:
    row = tx.access.token(hashed)
    if row is None or row.kind == "reset":
        return None
    if row.kind == "agent":
        return row, Caller(row.username, "agent", row.site, token=row.id)
    account = tx.access.account(row.username)
    if account is None or account.disabled:
        return None
    scoped = bool(row.rank or row.read_only or row.site or row.prefix)
    rank = _lower(account.rank, row.rank)
    return row, Caller(
        row.username, rank, row.site, token=row.id, prefix=row.prefix, read_only=row.read_only, scoped=scoped
    )


def _lower(rank: str, limit: str) -> UserClass:
    """The lesser of a user's class and a token's."""
    found: UserClass
    for found in ("guest", "user", "editor", "admin"):
        if found in (rank, limit):
            return found
    return "guest"


def generated_password() -> str:
    """For a first start without one: 20 characters, shown once."""
    return secrets.token_urlsafe(15)
