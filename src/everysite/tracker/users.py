"""Users as elements: what writing one means, whichever verb writes it.

Owns: which elements are users, their names and classes, the passwords clients write into them, and what follows for
accounts, credentials and tokens; that one admin is always left. Must not know: HTTP, sign-in, other elements.

A verb that writes elements takes the passwords out before its unit of work, asks `checked` before each put and tells
`stored` or `removed` after it, all inside the unit, and calls `settled` when the unit is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from everysite.errors import BadRequest, Conflict, Forbidden
from everysite.index.contract import Account, Transaction
from everysite.model.element import Body, Element
from everysite.tracker.audit import note, told
from everysite.tracker.operation import Caller
from everysite.tracker.passwords import Passwords

CLASSES = ("guest", "user", "editor", "admin")
_RESERVED = frozenset({"support", "agent", "anonymous"})


class UserElements:
    """The rules of user elements. `forget`: look every token up again."""

    def __init__(self, passwords: Passwords, forget: Callable[[], None]) -> None:
        self._passwords = passwords
        self._forget = forget
        self._changed = False

    async def take_passwords(
        self, caller: Caller, items: Sequence[tuple[str, Body]]
    ) -> tuple[list[tuple[str, Body]], dict[str, str]]:
        """(key, body) pairs without `password`, and by key what `stored` keeps of it.

        From those who may not write it, it is dropped like every restricted key. Raises BadRequest for what is no digest.
        """
        if not any("password" in body for _, body in items):
            return list(items), {}
        kept: dict[str, str] = {}
        for key, body in items:
            # One after the other: people who sign in meanwhile wait for one of these, not for all.
            if caller.administers and body.get("password") is not None:
                kept[key] = await self._passwords.wrap(body["password"])
        return [(key, {k: v for k, v in body.items() if k != "password"}) for key, body in items], kept

    def checked(self, caller: Caller, key: str, before: Element | None, body: Body, kept: str = "") -> Body:
        """The body to put under a key. Raises Forbidden when it is or becomes a user and the caller may not write users,
        BadRequest for a name, class or password that cannot be."""
        was = is_user(before.key, before.body) if before is not None else False
        if not was and not is_user(key, body):
            if kept:
                raise BadRequest(f"{key}: only a user has a password; a user's _id is @NAME, or they have a username")
            return body
        if not caller.administers:
            raise Forbidden(f"{key}: only an admin may change users")
        return _complete(key, before if was else None, body)

    def stored(
        self, tx: Transaction, caller: Caller, before: Element | None, saved: Element, kept: str, now: int
    ) -> None:
        """What follows from a put. Raises Conflict (name taken, the last admin); the unit is undone then."""
        if not is_user(saved.key, saved.body):
            return
        account = _account(saved)
        known = tx.access.account(account.username)
        if known is not None and known.key != saved.key:
            raise Conflict(f"{saved.key}: the user name {account.username!r} is taken by {known.key}")
        tx.access.put_account(account)
        if kept:
            tx.access.set_credential(account.username, kept)
        if kept or account.disabled:
            _end_tokens(tx, account.username)
        if known is not None and known.rank == "admin":
            _one_admin_left(tx, account.username)
        text = told(before.body if before else {}, saved.body) if known else f"class: {account.rank}"
        text = f"{text}{', ' if text else ''}new password" if kept and known else text
        if text:
            note(tx, caller, now, "user changed" if known else "user added", account.username, text)
        self._changed = True

    def removed(self, tx: Transaction, caller: Caller, element: Element, now: int) -> None:
        """What follows from a delete; nothing when it was no user. Raises Forbidden, Conflict (the last admin)."""
        if not is_user(element.key, element.body):
            return
        if not caller.administers:
            raise Forbidden(f"{element.key}: only an admin may remove users")
        for account in tx.access.accounts(key=element.key):
            tx.access.drop_account(account.username)
            tx.access.drop_credential(account.username)
            _end_tokens(tx, account.username)
            if account.rank == "admin":
                _one_admin_left(tx, account.username)
            note(tx, caller, now, "user removed", account.username)
        self._changed = True

    def settled(self) -> None:
        """The unit is durable: whoever's rights changed is looked up again."""
        if self._changed:
            self._changed = False
            self._forget()


def is_user(key: str, body: Body) -> bool:
    """Whether an element is a user."""
    return key.startswith("@") or "username" in body


def bare(name: object) -> str:
    """A user name as it is stored (decisions A 2). Raises BadRequest."""
    if not isinstance(name, str):
        raise BadRequest(f"{name!r} is no user name; it is a text")
    name = name.strip().removeprefix("@")
    if not name or len(name) > 64 or any(c.isspace() or c in "/,@" or not c.isprintable() for c in name):
        raise BadRequest(
            f"{name!r} is no user name; use up to 64 letters, digits and marks, no spaces, '/', ',' or '@'"
        )
    if name.lower() in _RESERVED:
        raise BadRequest(f"the user name {name!r} is reserved; choose another one")
    return name


def find_account(tx: Transaction, name: str) -> Account | None:
    """Who is meant by a bare name, '@name' or an e-mail address."""
    name = name.strip()
    account = tx.access.account(name.removeprefix("@"))
    if account is None and "@" in name[1:]:
        found = tx.access.accounts(email=name)
        account = found[0] if len(found) == 1 else None
    return account


def find_user(tx: Transaction, account: Account | None) -> Element | None:
    """The element of an account."""
    return tx.elements.get([account.key])[0] if account else None


def has_admin(tx: Transaction) -> bool:
    """Whether somebody is left who may administrate."""
    return any(not account.disabled for account in tx.access.accounts(rank="admin"))


def class_of(body: Body) -> str:
    """A user's class; guest when there is none, or none that is known."""
    found = body.get("class")
    return found if isinstance(found, str) and found in CLASSES else "guest"


def _complete(key: str, before: Element | None, body: Body) -> Body:
    """The body of a user with everything a user has. Raises BadRequest."""
    name = bare(body.get("username", before.body.get("username", key) if before else key))
    if before is not None and name != before.body.get("username", name):
        raise BadRequest(f"{key}: the name of a user stays; add a new user and remove this one")
    if key.startswith("@") and key != f"@{name}":
        raise BadRequest(f"{key}: username is {name!r}; it has to be what follows the '@' of _id")
    rank = body.get("class", "guest")
    if rank not in CLASSES:
        raise BadRequest(f"{key}: class is {rank!r}; a user is one of {', '.join(CLASSES)}")
    _check(key, body, "email", str, "a text")
    _check(key, body, "disable", bool, "true or false")
    return {**body, "username": name, "class": rank}


def _check(key: str, body: Body, name: str, kind: type[Any], spelled: str) -> None:
    if body.get(name) is not None and not isinstance(body[name], kind):
        raise BadRequest(f"{key}: {name} is {body[name]!r}; it is {spelled}")


def _account(element: Element) -> Account:
    body = element.body
    return Account(
        body["username"], element.key, class_of(body), body.get("email") or "", disabled=bool(body.get("disable"))
    )


def _end_tokens(tx: Transaction, username: str) -> None:
    tx.access.drop_tokens([token.id for token in tx.access.tokens(username)])


def _one_admin_left(tx: Transaction, username: str) -> None:
    if not has_admin(tx):
        raise Conflict(f"{username} is the last admin; make another one first")
