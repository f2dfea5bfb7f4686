"""Accounts, scopes of tokens, and the audit, over every engine."""

from __future__ import annotations

import pytest

from everysite.errors import Conflict
from everysite.index.contract import Account, AuditRow, Index, Token

pytestmark = pytest.mark.anyio


async def test_accounts_are_found_by_name_key_address_and_class(index: Index) -> None:
    anna, bert = Account("anna", "@anna", "admin", "Anna@Studio.example"), Account("bert", "54f0", disabled=True)
    await index.run(lambda t: t.access.put_account(bert))
    await index.run(lambda t: t.access.put_account(anna))
    stored = Account("anna", "@anna", "admin", "anna@studio.example")
    assert await index.read(lambda t: t.access.account("anna")) == stored
    assert await index.read(lambda t: t.access.account("Anna")) is None
    assert await index.read(lambda t: t.access.accounts()) == [stored, bert]
    assert await index.read(lambda t: t.access.accounts(key="54f0")) == [bert]
    assert await index.read(lambda t: t.access.accounts(email="ANNA@studio.example")) == [stored]
    assert await index.read(lambda t: t.access.accounts(rank="admin")) == [stored]
    assert await index.read(lambda t: t.access.accounts(email="", rank="guest")) == [bert]


async def test_an_account_is_replaced_by_name_and_its_element_is_its_own(index: Index) -> None:
    await index.run(lambda t: t.access.put_account(Account("anna", "@anna", "user")))
    await index.run(lambda t: t.access.put_account(Account("anna", "@anna", "editor", disabled=True)))
    assert await index.read(lambda t: t.access.accounts()) == [Account("anna", "@anna", "editor", disabled=True)]
    with pytest.raises(Conflict):
        await index.run(lambda t: t.access.put_account(Account("bert", "@anna")))
    await index.run(lambda t: t.access.drop_account("anna"))
    assert await index.read(lambda t: t.access.accounts()) == []


async def test_a_token_keeps_its_scope(index: Index) -> None:
    given = Token(b"h", "anna", site="paris", rank="user", read_only=True, prefix="/shots/")
    made = await index.run(lambda t: t.access.add_token(given))
    found = await index.read(lambda t: t.access.token(b"h"))
    assert found == made
    assert found is not None and found.read_only is True


async def test_the_audit_is_read_from_both_ends(index: Index) -> None:
    rows = [AuditRow(n, f"user{n % 2}", "what" if n < 8 else "else", "/a", "text", "192.0.2.1") for n in range(10)]
    await index.run(lambda t: t.audit.add(rows[:4]))
    await index.run(lambda t: t.audit.add(rows[4:]))
    everything = await index.read(lambda t: t.audit.after(0))
    assert [row.at for row in everything] == list(range(10))
    assert len({row.seq for row in everything}) == 10
    assert await index.read(lambda t: t.audit.after(everything[3].seq, 2)) == everything[4:6]
    assert await index.read(lambda t: t.audit.latest(3)) == everything[7:]
    mine = await index.read(lambda t: t.audit.latest(2, who="user1", what="what"))
    assert [row.at for row in mine] == [5, 7]
    assert await index.read(lambda t: t.audit.after(0, who="nobody")) == []
