"""Slowing down those who guess passwords.

Owns: how many failed sign-ins an account and an address have a minute, across a restart too.
Must not know: passwords, tokens.

An address may be a whole studio behind one router, so it has more of them than an account. Who signed in to an account
from their address lately keeps a count of their own there: guessing from elsewhere does not lock them out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from everysite.errors import TooManyAttempts
from everysite.index.contract import AuditRow
from everysite.tracker.buckets import Buckets

_AN_ADDRESS = 3  # times as many as an account
_KNOWN = 10_000  # pairs of account and address
FAILED = "sign-in failed"


class Attempts:
    """One a process. `per_minute` failures of an account; 0: no limit."""

    def __init__(self, per_minute: int) -> None:
        self._accounts = Buckets(per_minute)
        self._addresses = Buckets(per_minute * _AN_ADDRESS)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def enter(self, account: str, address: str, now: int) -> None:
        """Count an attempt before it is looked at, so that many at once count too. Raises TooManyAttempts."""
        doer = self._doer(account, address)
        wait = max(self._accounts.wait(doer, now), self._addresses.wait(address, now))
        if wait:
            seconds = -(-wait // 1000)
            raise TooManyAttempts(f"too many failed sign-ins; try again in {seconds} s", seconds)
        self._accounts.take(doer, now)
        self._addresses.take(address, now)

    def succeeded(self, account: str, address: str, now: int) -> None:
        """It was no failure, and this address is known from now on."""
        self._accounts.give_back(self._doer(account, address), now)
        self._addresses.give_back(address, now)
        self._known[account.lower(), address] = None
        self._known.move_to_end((account.lower(), address))
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def remember(self, rows: Iterable[AuditRow]) -> None:
        """Failures from before this process started."""
        for row in rows:
            self._accounts.take(self._doer(row.who, row.address), row.at)
            self._addresses.take(row.address, row.at)

    def _doer(self, account: str, address: str) -> tuple[str, str]:
        account = account.strip().removeprefix("@").lower()
        return (account, address if (account, address) in self._known else "")
