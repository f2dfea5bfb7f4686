"""Users, sign-in, tokens: who may come in, and who may not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.tracker.conftest import ADMIN, Clock

from everysite.errors import BadRequest, Conflict, Forbidden, NotFound, SignInNeeded, TooManyAttempts
from everysite.tracker.contract import (
    CREATE_TOKEN,
    DELETE,
    JOIN_TOKEN,
    PUT_SITE,
    PUT_USER,
    READ,
    REMOVE_TOKEN,
    REMOVE_USER,
    SEARCH,
    SIGN_IN,
    SIGN_OUT,
    SITES,
    TOKENS,
    UPDATE,
    USERS,
    VERIFY,
)
from everysite.tracker.messages import (
    Ids,
    Items,
    Named,
    NewToken,
    Nothing,
    Query,
    SignedIn,
    SignIn,
    SiteChange,
    TokenId,
    User,
)
from everysite.tracker.operation import Caller, Operation
from everysite.tracker.service import Service

pytestmark = pytest.mark.anyio
NOBODY = Caller("", "guest", address="192.0.2.1")


async def sign_in(service: Service, username: str, password: str, expires: str | None = None) -> SignedIn:
    return await service.call(NOBODY, SIGN_IN, SignIn(username, password, expires))


@pytest.fixture
async def anna(service: Service) -> str:
    await service.access.first_admin("admin", "root")
    user = User("@anna", rank="user", password="secret", email="anna@studio.example")
    await service.call(ADMIN, PUT_USER, user)
    return "anna"


@pytest.mark.parametrize("spelling", ["anna", "@anna", "anna@studio.example"])
async def test_every_spelling_of_a_user_signs_in(service: Service, anna: str, spelling: str) -> None:
    signed = await sign_in(service, spelling, "secret")
    assert (signed.id, signed.user["class"], signed.username) == ("@anna", "user", "anna")
    caller = await service.authenticate(signed.token, "")
    assert caller is not None and (caller.username, caller.rank) == ("anna", "user")
    assert (await service.call(caller, VERIFY, Nothing()))["_id"] == "@anna"


async def test_the_payload_of_a_token_is_true(service: Service, anna: str, clock: Clock) -> None:
    signed = await sign_in(service, "anna", "secret", "2h")
    part = signed.token.split(".")[1]
    payload = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert payload == {"_id": "@anna", "username": "anna", "iat": clock.now // 1000, "exp": clock.now // 1000 + 7200}
    clock.now += 7_200_000
    assert await service.authenticate(signed.token, "") is None


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong"), ("nobody", "secret"), ("", ""), ("admin", "")])
async def test_wrong_credentials_have_one_text(service: Service, anna: str, name: str, password: str) -> None:
    with pytest.raises(SignInNeeded, match=r"^wrong user name or password$"):
        await sign_in(service, name, password)


async def test_guessing_is_slowed_down(service: Service, anna: str, clock: Clock) -> None:
    for spelling in ["anna", "@anna", "anna@studio.example", "Anna@Studio.example"] * 5:
        with pytest.raises(SignInNeeded):
            await sign_in(service, spelling, "guess")
    with pytest.raises(TooManyAttempts, match="try again in"):
        await sign_in(service, "anna", "secret")
    clock.now += 61_000
    assert (await sign_in(service, "anna", "secret")).username == "anna"


async def test_sign_out_and_new_passwords_revoke(service: Service, anna: str) -> None:
    first, second = await sign_in(service, "anna", "secret"), await sign_in(service, "anna", "secret")
    caller = await service.authenticate(first.token, "")
    assert caller is not None
    await service.call(caller, SIGN_OUT, Nothing())
    assert await service.authenticate(first.token, "") is None
    assert await service.authenticate(second.token, "") is not None
    await service.call(ADMIN, PUT_USER, User("anna", password="other"))
    assert await service.authenticate(second.token, "") is None
    assert (await sign_in(service, "anna", "other")).username == "anna"


async def test_disabled_users_are_out_at_once(service: Service, anna: str) -> None:
    signed = await sign_in(service, "anna", "secret")
    await service.call(ADMIN, PUT_USER, User("anna", disable=True))
    assert await service.authenticate(signed.token, "") is None
    with pytest.raises(SignInNeeded):
        await sign_in(service, "anna", "secret")


async def test_tokens_for_programs(service: Service, anna: str) -> None:
    caller = Caller("anna", "user")
    made = await service.call(caller, CREATE_TOKEN, NewToken("render farm", expiresIn="0"))
    [listed] = (await service.call(caller, TOKENS, Nothing())).tokens
    assert (listed.label, listed.until) == ("render farm", 0)
    with pytest.raises(Forbidden):
        await service.call(caller, CREATE_TOKEN, NewToken(username="admin"))
    with pytest.raises(NotFound):
        await service.call(Caller("bert", "user"), REMOVE_TOKEN, TokenId(made.id))
    await service.call(caller, REMOVE_TOKEN, TokenId(made.id))
    assert await service.authenticate(made.token, "") is None


async def test_a_join_token_is_for_one_site(service: Service) -> None:
    await service.call(ADMIN, PUT_SITE, SiteChange("paris", create=True))
    made = await service.call(ADMIN, JOIN_TOKEN, Named("paris"))
    caller = await service.authenticate(made.token, "")
    assert caller is not None and (caller.rank, caller.site) == ("agent", "paris")
    with pytest.raises(Forbidden):
        await service.call(caller, USERS, Nothing())
    assert len((await service.call(caller, SITES, Nothing())).sites) == 1


async def test_the_last_admin_stays(service: Service, anna: str) -> None:
    for change in (User("admin", rank="user"), User("admin", disable=True)):
        with pytest.raises(Conflict, match="last admin"):
            await service.call(ADMIN, PUT_USER, change)
    with pytest.raises(Conflict, match="last admin"):
        await service.call(ADMIN, REMOVE_USER, Named("admin"))
    assert not await service.access.first_admin("admin", "again")
    assert (await sign_in(service, "admin", "root")).user["class"] == "admin"


@pytest.mark.parametrize("name", ["", "support", "agent", "a b", "a/b", "a,b", "x" * 65])
async def test_names_that_are_none(service: Service, name: str) -> None:
    with pytest.raises(BadRequest):
        await service.call(ADMIN, PUT_USER, User(name, password="x"))


async def test_classes_bind(service: Service, anna: str) -> None:
    user, guest, editor = Caller("anna", "user"), Caller("g", "guest"), Caller("e", "editor")
    refused: tuple[tuple[Caller, Operation[Any, Any], Any], ...] = (
        (NOBODY, READ, Ids(["/a"])),
        (guest, TOKENS, Nothing()),
        (user, UPDATE, Items([{"_id": "/a", "x": 1}])),
        (user, DELETE, Ids(["/a"])),
        (editor, USERS, Nothing()),
        (editor, UPDATE, Items([{"_id": "@anna", "class": "admin"}])),
        (editor, UPDATE, Items([{"_id": "rsyncGlobalParameters", "syncEverywhere": False}])),
        (editor, DELETE, Ids(["@anna"])),
    )
    for caller, operation, request in refused:
        with pytest.raises((Forbidden, SignInNeeded)):
            await service.call(caller, operation, request)


async def test_no_hash_is_ever_shown(service: Service, anna: str) -> None:
    signed = await sign_in(service, "anna", "secret")
    asks: list[tuple[Operation[Any, Any], Any]] = [
        (USERS, Nothing()),
        (READ, Ids(["@anna"])),
        (SEARCH, Query("*")),
        (TOKENS, Nothing()),
    ]
    shown = [str(await service.call(ADMIN, operation, request)) for operation, request in asks]
    shown.append(str(signed.user))
    assert not any(word in text for text in shown for word in ("argon2", "password", signed.token))
