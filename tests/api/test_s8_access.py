"""Section 8 of the wire contract: signing in and out, tokens, modes, passwords; and the attacks its weaknesses invite."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import PASSWORD, Api, Run
from tests.mailbox import Mailbox
from tests.tracker.conftest import Clock
from tests.web.wire import Answer

from everysite.tracker import passwords
from everysite.tracker.mail import Mail
from everysite.tracker.operation import Caller
from everysite.web.options import Options

pytestmark = pytest.mark.anyio
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def sign_in(api: Api, **fields: Any) -> Answer:
    return await api.ask("POST", "/api/signIn/", {"username": "user", "password": PASSWORD, **fields}, as_="")


async def with_token(api: Api, token: str, method: str, path: str, body: Any = None) -> Answer:
    return await api.ask(method, path, body, as_="", headers={"Authorization": f"Bearer {token}"})


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


# --- signing in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/signIn", "/api/signIn/"])
@pytest.mark.parametrize("as_form", [True, False])
async def test_s8_sign_in_takes_forms_and_json_with_and_without_slash(api: Api, path: str, as_form: bool) -> None:
    if as_form:
        body: Any = f"username=user&password={PASSWORD}&expiresIn=2h".encode()
    else:
        body = {"username": "user", "password": PASSWORD, "expiresIn": "2h"}
    answer = await api.ask("POST", path, body, as_="", headers=FORM if as_form else {})
    assert answer.status == 200
    assert list(answer.json) == ["_id", "user", "token", "username", "token_iat", "token_exp"]
    user = answer.json["user"]
    assert (answer.json["_id"], user["_id"], user["class"], user["address"]) == ("@user", "@user", "user", "127.0.0.1")
    assert user["lastlogin"] > 1_600_000_000_000
    assert "password" not in user
    assert answer.json["token_exp"] - answer.json["token_iat"] == 7200


async def test_s8_the_shell_client_finds_the_token_by_its_text(api: Api) -> None:
    answer = await sign_in(api)
    found = re.search(r'"token":"([^"]*)"', answer.text)
    assert found and found[1] == answer.json["token"]
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", found[1])


@pytest.mark.parametrize("name", ["user", "@user", "user@studio.example", "USER@studio.example"])
async def test_s8_username_is_a_name_an_at_name_or_an_address(api: Api, name: str) -> None:
    await api.ask("PUT", "/api/users/user", {"username": "user", "email": "user@studio.example"})
    assert (await sign_in(api, username=name)).json["_id"] == "@user"


async def test_s8_class_defaults_to_guest(api: Api) -> None:
    digest = hashlib.md5(b"x").hexdigest()
    await api.create({"_id": "@plain", "password": digest})
    assert (await sign_in(api, username="plain", password="x")).json["user"]["class"] == "guest"


@pytest.mark.parametrize(
    "body",
    [
        {"username": "user", "password": "wrong"},
        {"username": "nobody", "password": PASSWORD},
        {"username": "nobody@studio.example", "password": PASSWORD},
        {"username": "locked", "password": PASSWORD},
        {"username": "user"},
        {"password": PASSWORD},
        {"username": {"$ne": ""}, "password": PASSWORD},
        {"username": {"$gt": ""}, "password": {"$gt": ""}},
        {"username": ["user"], "password": PASSWORD},
        {"username": "user", "password": None},
        {"username": "user", "password": True},
        {},
        [],
        "user",
        None,
        b"username[$ne]=x&password=" + PASSWORD.encode(),
        b"username=user&username=admin&password=" + PASSWORD.encode(),
        b"",
    ],
)
async def test_s8_every_failure_is_a_401_with_one_text(api: Api, body: Any) -> None:
    locked = {"username": "locked", "password": PASSWORD, "disable": True}
    assert (await api.ask("PUT", "/api/users/locked", locked)).status == 200
    answer = await api.ask("POST", "/api/signIn/", body, as_="", headers=FORM if isinstance(body, bytes) else {})
    assert (answer.status, answer.json) == (401, "Sign-in error: wrong user name or password")
    assert answer.headers["content-type"].startswith("application/json")


async def test_s8_malformed_json_is_a_400(api: Api) -> None:
    assert (await api.ask("POST", "/api/signIn", b"{", as_="")).status == 400


async def test_s8_failures_take_the_same_time_whatever_is_wrong(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes the time is the hash: one for every failure, a name that is nobody's and a locked one alike."""
    hashes: list[str] = []
    real = passwords._verify

    def counted(hashed: str, password: str) -> bool:
        hashes.append(hashed)
        return real(hashed, password)

    async with run() as api:
        await api.create({"_id": "@bare"})
        await api.ask("PUT", "/api/users/locked", {"username": "locked", "password": PASSWORD, "disable": True})
        monkeypatch.setattr(passwords, "_verify", counted)
        for name in ("user", "nobody", "bare", "locked", "nobody@studio.example"):
            hashes.clear()
            assert (await sign_in(api, username=name, password="wrong")).status == 401
            [one] = hashes
            assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$"), name
        for password in ("x" * 50_000, ""):
            hashes.clear()
            await sign_in(api, password=password)
            assert len(hashes) == 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, 86_400),
        ("2h", 7200),
        ("7d", 604_800),
        ("30m", 1800),
        ("1500000", 1500),
        (1500000, 1500),
        ("90 s", 90),
        ("0", None),
        (0, None),
        ("0d", None),
    ],
)
async def test_s8_expires_in_has_many_forms(api: Api, given: Any, seconds: int | None) -> None:
    answer = await sign_in(api, **({} if given is None else {"expiresIn": given}))
    said = payload(answer.json["token"])
    assert (said["_id"], said["username"]) == ("@user", "user")
    if seconds is None:
        assert said["ignoreExpiration"] is True and "exp" not in said
    else:
        assert said["exp"] - said["iat"] == seconds


@pytest.mark.parametrize("given", ["soon", "-1", "2h30", True, ["2h"], {"h": 2}, "1e400"])
async def test_s8_an_unreadable_expires_in_is_a_401(api: Api, given: Any) -> None:
    answer = await sign_in(api, expiresIn=given)
    assert answer.status == 401 and "expiresIn" in answer.json
    # Who does not know the password learns nothing more.
    wrong = await sign_in(api, expiresIn="soon", password="wrong")
    assert wrong.json == "Sign-in error: wrong user name or password"


async def test_s8_tokens_end(run: Run) -> None:
    clock = Clock()
    async with run(clock=clock) as api:
        short, ever = [(await sign_in(api, expiresIn=life)).json["token"] for life in ("2h", "0")]
        clock.now += 7_200_000
        assert (await with_token(api, short, "GET", "/api/verify/")).status == 401
        clock.now += 20 * 365 * 86_400_000
        assert (await with_token(api, ever, "GET", "/api/verify/")).status == 200


# --- showing a token --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer ", "JWT ", "anything ", ""])
async def test_s8_any_scheme_of_authorization_and_the_cookie_are_accepted(api: Api, scheme: str) -> None:
    token = api.tokens["user"]
    for head in ({"Authorization": scheme + token}, {"Cookie": f"a=b; token={token}"}):
        assert (await api.ask("GET", "/api/verify", as_="", headers=head)).json["_id"] == "@user"


async def test_s8_a_token_in_the_query_string_is_none(api: Api) -> None:
    for name in ("token", "access_token", "authorization"):
        assert (await api.ask("GET", f"/api/verify?{name}={api.tokens['admin']}", as_="")).status == 401


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_s8_forged_tokens_are_none(api: Api) -> None:
    head, body, tail = api.tokens["guest"].split(".")
    said = payload(api.tokens["guest"])
    admin = _part({**said, "_id": "@admin", "username": "admin", "class": "admin"})
    nothing = _part({"alg": "none", "typ": "JWT"})
    forged = [
        f"{head}.{admin}.{tail}",
        f"{nothing}.{admin}.",
        f"{nothing}.{body}.{tail}",
        f"{nothing}.{body}.",
        f"{head}.{_part({**said, 'exp': 9_999_999_999})}.{tail}",
        f"{head}.{body}.{tail[:-1]}",
        f"{head}.{body}.{tail}x",
        f"{head}.{body}",
        tail,
        "null",
        "undefined",
        "' OR 1=1 --",
    ]
    for token in forged:
        assert (await with_token(api, token, "GET", "/api/verify/")).status == 401, token
    assert (await with_token(api, api.tokens["guest"], "GET", "/api/verify/")).status == 200


async def test_s8_a_page_of_another_site_cannot_use_our_cookie(api: Api) -> None:
    await api.create({"_id": "s8-cookie", "n": 1})
    mine = {"Cookie": f"token={api.tokens['admin']}"}
    for head in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        answer = await api.ask("PUT", "/api/update/", {"_id": "s8-cookie", "n": 2}, as_="", headers=mine | head)
        assert answer.status == 403
    assert (await api.ask("GET", "/api/read/s8-cookie")).json["n"] == 1
    ours = mine | {"Origin": f"http://127.0.0.1:{api.port}"}
    assert (await api.ask("PUT", "/api/update/", {"_id": "s8-cookie", "n": 3}, as_="", headers=ours)).status == 200


async def test_s8_verify_answers_the_users_element(api: Api) -> None:
    for path in ("/api/verify", "/api/verify/"):
        answer = await api.ask("GET", path, as_="editor")
        assert (answer.status, answer.json["_id"], answer.json["class"]) == (200, "@editor", "editor")
        assert "password" not in answer.json
        refused = await api.ask("GET", path, as_="")
        assert refused.status == 401 and isinstance(refused.json, str)


async def test_s8_sign_out_revokes_this_token_and_no_other(api: Api) -> None:
    one, other = [(await sign_in(api)).json["token"] for _ in range(2)]
    assert (await with_token(api, one, "POST", "/api/signOut/")).status == 200
    assert (await with_token(api, one, "GET", "/api/verify/")).status == 401
    assert (await with_token(api, other, "GET", "/api/verify/")).status == 200


@pytest.mark.parametrize("path", ["/api/createToken", "/api/createToken/"])
async def test_s8_create_token_answers_a_token_alone(api: Api, path: str) -> None:
    answer = await api.ask("POST", path, {"expiresIn": "7d"}, as_="user")
    assert answer.status == 200 and isinstance(answer.json, str)
    said = payload(answer.json)
    assert said["exp"] - said["iat"] == 604_800
    assert (await with_token(api, answer.json, "GET", "/api/verify/")).json["_id"] == "@user"
    assert (await api.ask("POST", path, as_="guest")).status == 200
    assert (await api.ask("POST", path, as_="")).status == 401


@pytest.mark.parametrize("given", ["99999999999999d", "9" * 400 + "y"])
async def test_s8_no_token_lives_longer_than_a_century(api: Api, given: str) -> None:
    token = (await sign_in(api, expiresIn=given)).json["token"]
    assert payload(token)["exp"] - payload(token)["iat"] == 100 * 365 * 86_400
    assert (await api.ask("POST", "/api/tokens", {"expiresIn": given}, as_="user")).status == 200


async def test_s8_last_activity_is_written_now_and_then_and_changes_no_time(run: Run) -> None:
    clock = Clock()
    async with run(clock=clock) as api:
        [before] = await api.service._core.index.read(lambda tx: tx.elements.get(["@user"]))
        assert before is not None and "lastActivity" not in before.body
        clock.now += 61_000
        for _ in range(3):
            assert (await api.ask("GET", "/api/verify", as_="user")).status == 200
        await api.service.access.flush()
        [after] = await api.service._core.index.read(lambda tx: tx.elements.get(["@user"]))
        assert after is not None and after.body == {**before.body, "lastActivity": clock.now}
        assert (after.version, after.late) == (before.version, before.late)
        clock.now += 59_000
        await api.ask("GET", "/api/verify", as_="user")
        await api.service.access.flush()
        [same] = await api.service._core.index.read(lambda tx: tx.elements.get(["@user"]))
        assert same is not None and same.change == after.change


# --- passwords --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["create", "upsert", "update"])
@pytest.mark.parametrize("algorithm", ["md5", "sha1"])
async def test_s8_digests_that_clients_write_sign_in_and_are_replaced(api: Api, verb: str, algorithm: str) -> None:
    name = f"old-{verb}-{algorithm}"
    digest = hashlib.new(algorithm, b"secret").hexdigest()
    method = "PUT" if verb == "update" else "POST"
    if verb == "update":
        await api.create({"_id": f"@{name}", "class": "user"})
    written = await api.ask(method, f"/api/{verb}/", {"_id": f"@{name}", "password": digest, "fullname": "Old"})
    assert written.status in (200, 201), written.text
    assert "password" not in written.text and digest not in written.text
    kept = await api.service._core.index.read(lambda tx: tx.access.credential(name))
    assert kept is not None and kept.startswith(f"{algorithm}:$argon2id$") and digest not in kept
    assert (await sign_in(api, username=name, password=digest)).status == 401
    assert (await sign_in(api, username=name, password="secret")).status == 200
    kept = await api.service._core.index.read(lambda tx: tx.access.credential(name))
    assert kept is not None and kept.startswith("$argon2id$")
    assert (await sign_in(api, username=name, password="secret")).status == 200
    read = await api.ask("POST", "/api/read/", f"@{name}")
    assert read.json["fullname"] == "Old" and "password" not in read.json


async def test_s8_a_password_that_is_no_digest_is_refused_in_an_element(api: Api) -> None:
    answer = await api.ask("POST", "/api/create/", {"_id": "@clear", "password": "in the clear"})
    assert answer.status == 400 and "in the clear" not in answer.text
    assert (await api.ask("GET", "/api/read/@clear")).status == 404


async def test_s8_a_new_password_ends_all_tokens_of_its_user(api: Api) -> None:
    await api.ask("PUT", "/api/users/moved", {"username": "moved", "password": "one"})
    tokens = [(await sign_in(api, username="moved", password="one")).json["token"] for _ in range(2)]
    tokens.append((await with_token(api, tokens[0], "POST", "/api/createToken", {"expiresIn": "0"})).json)
    digest = hashlib.sha1(b"two").hexdigest()
    assert (await api.ask("PUT", "/api/update/", {"_id": "@moved", "password": digest})).status == 200
    for token in tokens:
        assert (await with_token(api, token, "GET", "/api/verify")).status == 401
    assert (await sign_in(api, username="moved", password="one")).status == 401
    token = (await sign_in(api, username="moved", password="two")).json["token"]
    assert (await with_token(api, token, "POST", "/api/changePassword/", {"password": "three"})).status == 200
    assert (await with_token(api, token, "GET", "/api/verify")).status == 401
    assert (await sign_in(api, username="moved", password="three")).status == 200


async def test_s8_lost_password_is_not_offered_without_mail(api: Api) -> None:
    for address in ("user@studio.example", "nobody@studio.example"):
        answer = await api.ask("GET", f"/api/lostPassword/{address}", as_="")
        assert answer.status == 501 and "everysite user set" in answer.text


def _mail(port: int) -> Mail:
    url = "http://127.0.0.1:8090"
    return Mail("127.0.0.1", port, "none", "everysite@studio.example", url, "postman", "mail-secret")


async def test_s8_a_lost_password_is_replaced_by_mail_once(run: Run) -> None:
    clock = Clock()
    async with Mailbox() as box, run(clock=clock, mail=_mail(box.port)) as api:
        await api.ask("PUT", "/api/users/user", {"username": "user", "email": "user@studio.example"})
        answers = [
            await api.ask("GET", f"/api/lostPassword/{name}", as_="")
            for name in ("nobody@studio.example", "@user", "user@studio.example")
        ]
        assert {(a.status, a.body) for a in answers} == {(200, b"{}")}
        letter = await box.letter()
        assert (letter["To"], box.signed_in) == ("user@studio.example", ["postman:mail-secret"])
        found = re.search(r"/api/resetPassword/(\S+)", letter.get_content())
        assert found
        word = found[1]
        assert (await with_token(api, word, "GET", "/api/verify")).status == 401  # it is no token
        path = f"/api/resetPassword/{word}"
        assert (await api.ask("POST", path, {"password": ""}, as_="")).status == 400
        assert (await api.ask("POST", path + "x", {"password": "other"}, as_="")).status == 403
        assert (await api.ask("POST", path, {"password": "other"}, as_="")).status == 200
        assert (await api.ask("POST", path, {"password": "again"}, as_="")).status == 403
        assert (await api.ask("GET", "/api/verify", as_="user")).status == 401
        assert (await sign_in(api, password="other")).status == 200
        assert len(box.letters) == 1


async def test_s8_the_word_in_a_mail_ends_after_an_hour_and_with_the_next_one(run: Run) -> None:
    clock = Clock()
    async with Mailbox() as box, run(clock=clock, mail=_mail(box.port)) as api:
        await api.ask("PUT", "/api/users/user", {"username": "user", "email": "user@studio.example"})
        words = []
        for _ in range(2):
            await api.ask("GET", "/api/lostPassword/user@studio.example", as_="")
            await api.service.access.accounts.close()
            found = re.search(r"/api/resetPassword/(\S+)", (await box.letter()).get_content())
            assert found
            words.append(found[1])
        assert (await api.ask("POST", f"/api/resetPassword/{words[0]}", {"password": "x"}, as_="")).status == 403
        clock.now += 3_600_000
        assert (await api.ask("POST", f"/api/resetPassword/{words[1]}", {"password": "x"}, as_="")).status == 403


async def test_s8_nobody_is_flooded_with_mail(run: Run) -> None:
    clock = Clock()
    async with Mailbox() as box, run(clock=clock, mail=_mail(box.port)) as api:
        await api.ask("PUT", "/api/users/user", {"username": "user", "email": "user@studio.example"})
        statuses = [(await api.ask("GET", "/api/lostPassword/user@studio.example", as_="")).status for _ in range(31)]
        await api.service.access.accounts.close()
        assert statuses == [200] * 30 + [429]
        assert len(box.letters) == 3


async def test_s8_a_mail_server_that_fails_is_nobodys_business(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async with run(mail=_mail(1)) as api:
        await api.ask("PUT", "/api/users/user", {"username": "user", "email": "user@studio.example"})
        assert (await api.ask("GET", "/api/lostPassword/user@studio.example", as_="")).status == 200
        await api.service.access.accounts.close()
    assert "no mail could be sent" in caplog.text
    assert "mail-secret" not in caplog.text and "resetPassword" not in caplog.text


# --- modes ------------------------------------------------------------------------------------------------------


async def test_s8_a_sign_in_is_required_for_all_but_signing_in(api: Api) -> None:
    for method, path in (
        ("GET", "/api/read/x"),
        ("GET", "/api/search/*"),
        ("POST", "/api/create/"),
        ("GET", "/api/sites"),
    ):
        assert (await api.ask(method, path, {} if method == "POST" else None, as_="")).status == 401
    assert (await api.ask("GET", "/api/health", as_="")).status == 200


async def test_s8_not_required_makes_everybody_a_guest(run: Run) -> None:
    async with run(required=False) as api:
        await api.create({"_id": "seen"})
        for head in ({}, {"Authorization": "Bearer not.a.token"}):
            assert (await api.ask("GET", "/api/read/seen", as_="", headers=head)).json["_id"] == "seen"
            assert (await api.ask("POST", "/api/create/", {"_id": "new"}, as_="", headers=head)).status == 403
            assert (await api.ask("PUT", "/api/update/", {"_id": "seen", "n": 1}, as_="", headers=head)).status == 403
        for method, path in (("GET", "/api/verify"), ("POST", "/api/createToken"), ("POST", "/api/signOut")):
            assert (await api.ask(method, path, as_="")).status == 401, path
        assert (await api.ask("POST", "/api/changePassword", {"password": "x"}, as_="")).status == 401
        assert (await sign_in(api)).status == 200


async def test_s8_in_open_mode_everybody_is_admin(run: Run) -> None:
    async with run(open_mode=True) as api:
        assert (await sign_in(api)).status == 404
        verified = await api.ask("GET", "/api/verify", as_="")
        assert (verified.status, verified.json) == (200, {})
        made = await api.ask("POST", "/api/create/", {"_id": "open"}, as_="")
        assert (made.status, made.json["author"]) == (201, "127.0.0.1")
        assert (await api.ask("GET", "/api/users", as_="")).status == 200


async def test_s8_an_open_tracker_does_nothing_for_pages_of_other_sites(run: Run) -> None:
    async with run(open_mode=True) as api:
        await api.ask("POST", "/api/create/", {"_id": "open"}, as_="")
        attacks = (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            # A name of theirs that leads to this machine: the browser takes it for one site.
            {"Host": f"evil.example:{api.port}", "Origin": f"http://evil.example:{api.port}"},
            {"Host": f"evil.example:{api.port}", "Sec-Fetch-Site": "same-origin"},
        )
        for head in attacks:
            answer = await api.ask("DELETE", "/api/delete/", "open", as_="", headers=head)
            assert answer.status == 403, head
        rebound = {"Host": f"evil.example:{api.port}"}
        assert (await api.ask("GET", "/api/read/open", as_="", headers=rebound)).status == 403
        for name in ("localhost", "127.0.0.1", "[::1]"):
            head = {"Host": f"{name}:{api.port}"}
            assert (await api.ask("GET", "/api/read/open", as_="", headers=head)).status == 200, name


# --- limits -----------------------------------------------------------------------------------------------------


async def test_s8_guessing_is_answered_429_with_the_time_to_wait(run: Run, tmp_path: Path) -> None:
    clock = Clock()
    async with run(clock=clock, sign_in_per_minute=5) as api:
        # This address has signed in as `user`: guesses at another account from here are counted all the same.
        statuses = [(await sign_in(api, username="editor2", password="guess")).status for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        last = await sign_in(api, username="editor2", password="guess")
        assert 1 <= int(last.headers["retry-after"]) <= 13
        assert (await sign_in(api)).status == 200
        clock.now += 60_000
        assert (await sign_in(api, username="editor2", password="guess")).status == 401


async def test_s8_failures_are_not_forgotten_by_a_restart(run: Run) -> None:
    clock = Clock()
    async with run(clock=clock, sign_in_per_minute=5) as api:
        await api.ask("PUT", "/api/users/victim", {"username": "victim", "password": PASSWORD})
        guesses = [(await sign_in(api, username="victim", password="guess")).status for _ in range(5)]
        assert guesses == [401] * 5
    clock.now += 2000
    async with run(clock=clock, sign_in_per_minute=5) as api:
        assert (await sign_in(api, username="victim", password=PASSWORD)).status == 429
        clock.now += 60_000
        assert (await sign_in(api, username="victim", password=PASSWORD)).status == 200


async def test_s8_an_address_may_be_kept_to_a_pace(run: Run) -> None:
    async with run(options=Options(requests_per_minute=20)) as api:
        statuses = [(await api.ask("GET", "/api/health")).status for _ in range(25)]
        assert statuses[0] == 200 and statuses[-1] == 429
        answer = await api.ask("GET", "/api/health")
        assert int(answer.headers["retry-after"]) >= 1


# --- secrets ----------------------------------------------------------------------------------------------------


async def test_s8_no_secret_is_in_any_answer_event_search_log_or_audit(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    digest = hashlib.md5(b"hidden").hexdigest()
    secrets = [digest, "argon2", "hidden", PASSWORD]
    shown: list[str] = []
    async with run() as api:
        api.service.events.listen(lambda told: shown.append(repr(told)))
        user = {"_id": "@secret", "class": "user", "password": digest, "note": "x"}
        for method, path, body in (
            ("POST", "/api/create/", user),
            ("POST", "/api/upsert/", user),
            ("PUT", "/api/update/", user),
            ("POST", "/api/comment/", {"#parent": "@secret", "comment": "c", "password": digest}),
            ("POST", "/api/publish/", {"_id": "/s", "comment": "", "origin": "paris", "password": digest}),
            ("POST", "/api/version//s", {"file": "/s", "password": digest}),
            ("GET", "/api/users", None),
            ("GET", "/api/search/*", None),
            ("GET", f"/api/search/password:{digest}", None),
            ("GET", "/api/search/password:/argon/", None),
            ("POST", "/api/search_mongo/", {"query": {"password": {"$exists": True}}}),
            ("POST", "/api/read/", "@secret"),
            ("GET", "/api/graph/0/@secret", None),
            ("GET", "/api/tokens", None),
            ("GET", "/api/audit?limit=1000", None),
            ("GET", "/api/changes?since=0", None),
            ("POST", "/api/create/", {"_id": "@other", "password": digest + "x"}),
            ("POST", "/api/create/", {"_id": "plain", "password": digest}),
        ):
            answer = await api.ask(method, path, body)
            assert answer.status < 500, (path, answer.text)
            if "search" in path and "*" not in path:
                assert answer.json in ([], {"count": 0, "ids": []}), path
            shown.append(answer.text if "password:" not in path else "")
        tokens = [*api.tokens.values()]
        await sign_in(api, username="hidden", password="hidden")  # a password typed as a name
        audit = (await api.ask("GET", "/api/audit?limit=1000")).text
        signed = await sign_in(api, username="secret", password="hidden")
        shown += [audit, json.dumps({**signed.json, "token": ""})]
    text = "\n".join(shown) + caplog.text
    assert not [word for word in (*secrets, *tokens, signed.json["token"]) if word in text]
    assert not re.search(r'"password"\s*:', text)


async def test_s8_a_reader_of_the_index_file_finds_no_token_and_no_password(run: Run, tmp_path: Path) -> None:
    async with run() as api:
        token = api.tokens["admin"]
        await api.create({"_id": "@kept", "password": hashlib.sha1(b"pw").hexdigest()})
        target = tmp_path / "copy.db"
        await api.service._core.index.backup(str(target))
    data = target.read_bytes()
    for secret in (token, PASSWORD, hashlib.sha1(b"pw").hexdigest()):
        assert secret.encode() not in data
    assert b"argon2id" in data


async def test_s8_an_agents_token_stands_for_no_user(api: Api) -> None:
    await api.ask("PUT", "/api/sites/s8paris", {"name": "s8paris", "create": True})
    token = (await api.ask("POST", "/api/sites/s8paris/token", {})).json["token"]
    verified = await with_token(api, token, "GET", "/api/verify")
    assert verified.json["_id"] == "agent:s8paris"
    for method, path, body in (
        ("POST", "/api/changePassword", {"password": "x"}),
        ("POST", "/api/create/", {"_id": "s8-agent"}),
        ("PUT", "/api/update/", {"_id": "@user", "class": "admin"}),
        ("GET", "/api/users", None),
        ("POST", "/api/createToken", {}),
    ):
        answer = await with_token(api, token, method, path, body)
        assert answer.status in (403, 404), (path, answer.text)


def test_s8_callers_are_not_confused_with_their_tokens() -> None:
    admin = Caller("root", "admin")
    assert admin.administers
    for narrowed in (
        Caller("root", "admin", site="paris"),
        Caller("root", "admin", prefix="/a/"),
        Caller("root", "editor"),
    ):
        assert not narrowed.administers


# --- what is misspelled -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/api/tokens", {"read_only": True}, "'read_only' here; did you mean readOnly?"),
        ("POST", "/api/createToken", {"readonly": True}, "'readonly' here; did you mean readOnly?"),
        ("POST", "/api/createToken", b"prefx=/a/", "'prefx' here; did you mean prefix?"),
        ("POST", "/api/tokens", {"rank": "guest"}, "'rank' here; the fields are label, username, expiresIn, class,"),
        ("PUT", "/api/users/spelled", {"password": "x", "clas": "guest"}, "'clas' here; did you mean class?"),
        ("PUT", "/api/sites/spelled", {"create": True, "uri": "file:///x/"}, "'uri' here; did you mean url?"),
        ("POST", "/api/sites/spelled/token", {"days": 1}, "'days' here; the fields are name"),
        ("DELETE", "/api/users/spelled", {"really": True}, "'really' here; the fields are name"),
    ],
)
async def test_s8_administration_reads_no_field_silently(
    api: Api, method: str, path: str, body: Any, said: str
) -> None:
    headers = FORM if isinstance(body, bytes) else {}
    answer = await api.ask(method, path, body, headers=headers)
    assert answer.status == 400
    assert f"there is no field {said}" in answer.text
    programs = {"Content-Type": "application/vnd.everysite+json"}
    if not headers:
        assert (await api.ask(method, path, json.dumps(body).encode(), headers=programs)).status == 400
    assert (await api.ask("GET", "/api/read/@spelled")).status == 404


async def test_s8_users_are_given_the_class_their_element_has(api: Api) -> None:
    answer = await api.ask("PUT", "/api/users/classy", {"password": PASSWORD, "class": "editor"})
    assert (answer.status, answer.json["class"]) == (200, "editor")


@pytest.mark.parametrize("path", ["/api/signIn", "/api/resetPassword/word"])
async def test_s8_strangers_send_no_large_bodies(api: Api, path: str) -> None:
    body = {"username": "user", "password": "x" * 100_000}
    assert (await api.ask("POST", path, body, as_="")).status == 413
