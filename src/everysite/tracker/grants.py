"""The verbs of tokens for programs: making them, narrower than their user if wanted, listing, revoking.

Owns: what a token may be narrowed to, and by whom. Must not know: HTTP, passwords, what a token looks like.
"""

from __future__ import annotations

from everysite.errors import BadRequest, Forbidden, NotFound, SignInNeeded
from everysite.index.contract import Token, Transaction
from everysite.model.path import is_path
from everysite.tracker import tokens
from everysite.tracker.audit import note
from everysite.tracker.core import Core, site_named
from everysite.tracker.messages import IssuedToken, NewToken, Nothing, TokenId, TokenInfo, Tokens
from everysite.tracker.operation import Caller
from everysite.tracker.settings import check_prefix
from everysite.tracker.users import CLASSES, bare, find_account


class Grants:
    """Tokens of users and of agents."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def tokens(self, caller: Caller, asked: Nothing) -> Tokens:
        mine = None if caller.administers else caller.username
        rows = await self._core.index.read(lambda tx: tx.access.tokens(mine))
        return Tokens([_info(row) for row in rows if row.kind != "reset"])

    async def create_token(self, caller: Caller, asked: NewToken) -> IssuedToken:
        """Raises Forbidden for another user's token without being admin, or for more than the caller may; NotFound for an
        unknown user or site, BadRequest for a scope that is none."""
        if caller.anonymous:
            raise SignInNeeded("sign in first")
        name = bare(asked.username) if asked.username else caller.username
        if name != caller.username and not caller.administers:
            raise Forbidden(f"only an admin makes tokens for others; {caller.username} may make their own")
        life, now = tokens.life_span(asked.expiresIn, self._core.limits.token_life_s), self._core.clock()

        def unit(tx: Transaction) -> IssuedToken:
            account = find_account(tx, name)
            if account is None:
                raise NotFound(f"there is no user {name!r}")
            scope = _scope(tx, caller, asked, account.rank)
            text, hashed = tokens.issue(account.key, name, now, life)
            until = now + life * 1000 if life else 0
            row = Token(
                hashed, name, site=scope.site, until=until, created=now, used=now, label=asked.label,
                rank=scope.rank, read_only=scope.read_only, prefix=scope.prefix,
            )  # fmt: skip
            row = tx.access.add_token(row)
            note(tx, caller, now, "token made", name, _told(row))
            return IssuedToken(row.id, text)

        return await self._core.index.run(unit)

    async def make_token(self, caller: Caller, asked: NewToken) -> str:
        """The same for clients that want the token alone."""
        return (await self.create_token(caller, asked)).token

    async def agent_token(self, site: str, label: str, caller: Caller | None = None) -> str:
        """A token that acts for one site ('*': all sites of this machine) and nothing else. `caller`: who wants it."""
        now = self._core.clock()
        text, hashed = tokens.issue("agent", f"agent of {site}", now, 0)
        row = Token(hashed, f"agent:{site}", "agent", site, created=now, label=label)

        def unit(tx: Transaction) -> None:
            tx.access.add_token(row)
            if caller is not None:
                note(tx, caller, now, "token made", row.username, _told(row))

        await self._core.index.run(unit)
        return text

    async def remove_token(self, caller: Caller, asked: TokenId) -> Nothing:
        """Raises NotFound for one that is not the caller's, Forbidden for a token that is narrower than its user."""
        if caller.scoped:
            raise Forbidden("this token revokes no others; sign in to do that")
        now = self._core.clock()

        def unit(tx: Transaction) -> None:
            rows = tx.access.tokens(None if caller.administers else caller.username)
            mine = next((row for row in rows if row.id == asked.id), None)
            if mine is None:
                raise NotFound(f"there is no token {asked.id} of yours; see: everysite token list")
            tx.access.drop_tokens([mine.id])
            note(tx, caller, now, "token revoked", mine.username, _told(mine))

        await self._core.index.run(unit)
        self._core.forget_tokens()
        return Nothing()


def _scope(tx: Transaction, caller: Caller, asked: NewToken, rank: str) -> NewToken:
    """What is asked for, within what the caller and the user may. Raises BadRequest, Forbidden, NotFound."""
    if asked.rank and asked.rank not in CLASSES:
        raise BadRequest(f"class is {asked.rank!r}; it is one of {', '.join(CLASSES)}")
    limit = caller.rank if caller.scoped else rank
    if asked.rank and CLASSES.index(asked.rank) > CLASSES.index(limit):
        raise Forbidden(f"class {asked.rank} is more than {limit}; a token is never above its user")
    site = site_named(tx, asked.site).name if asked.site else caller.site
    if caller.site and site != caller.site:
        raise Forbidden(f"this token is for the site {caller.site} and makes others for it only")
    prefix = _prefix(asked.prefix) or caller.prefix
    if not prefix.startswith(caller.prefix):
        raise Forbidden(f"this token is for {caller.prefix} and makes others for what lies below it only")
    rank = asked.rank or (caller.rank if caller.scoped else "")
    return NewToken(rank=rank, site=site, prefix=prefix, read_only=asked.read_only or caller.read_only)


def _prefix(text: str) -> str:
    if text in ("", "/"):
        return ""
    if not is_path(text):
        raise BadRequest(f"prefix is {text!r}; it is a folder of the namespace like /shots/")
    return check_prefix(text)


def _info(row: Token) -> TokenInfo:
    return TokenInfo(
        row.id, row.username, row.kind, row.site, row.label, row.created, row.used, row.until,
        row.rank, row.read_only, row.prefix,
    )  # fmt: skip


def _told(row: Token) -> str:
    """A token without what makes it one."""
    words = [row.label, f"class {row.rank}" if row.rank else "", "read-only" if row.read_only else ""]
    words += [f"site {row.site}" if row.site else "", f"prefix {row.prefix}" if row.prefix else ""]
    return ", ".join(word for word in words if word)
