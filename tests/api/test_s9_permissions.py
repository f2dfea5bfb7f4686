"""Section 9 of the wire contract: users, classes, permissions, the scope of tokens; and the attacks on them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import PASSWORD, Api, Run, running
from tests.web.wire import Answer

from everysite.errors import Forbidden, SignInNeeded
from everysite.tracker.contract import OPERATIONS
from everysite.tracker.core import allow
from everysite.tracker.operation import Caller, Operation, UserClass
from everysite.tracker.uploads import MAY_READ, MAY_UPLOAD
from everysite.web.options import Options

pytestmark = pytest.mark.anyio
DIGEST = hashlib.sha1(b"taken").hexdigest()
CLASSES: tuple[UserClass, ...] = ("guest", "user", "editor", "admin")
BOUNDARY = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


def upload(path: str, comment: str = "") -> bytes:
    parts = [(b"path", b"", path.encode()), (b"comment", b"", comment.encode()), (b"file", b'; filename="f"', b"bytes")]
    return b"".join(BOUNDARY % part for part in parts) + b"--b--\r\n"


@pytest.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """With a folder for files."""
    files = tmp_path_factory.mktemp("files")
    async with running(tmp_path_factory.mktemp("home"), Options(file_root=str(files))) as made:
        yield made


async def with_token(api: Api, token: str, method: str, path: str, body: Any = None) -> Answer:
    return await api.ask(method, path, body, as_="", headers={"Authorization": f"Bearer {token}"})


async def token(api: Api, as_: str = "admin", **scope: Any) -> str:
    answer = await api.ask("POST", "/api/createToken/", scope, as_)
    assert answer.status == 200, answer.text
    made: str = answer.json
    return made


# --- the table --------------------------------------------------------------------------------------------------

Rows = tuple[tuple[str, str, Any], ...]
READS: Rows = (
    ("GET", "/api/read/{}", None),
    ("POST", "/api/read/", "{}"),
    ("GET", "/api/search/*", None),
    ("GET", "/api/search_one/_id:{}", None),
    ("POST", "/api/search_mongo/", {"query": {}}),
    ("GET", "/api/graph/0/{}", None),
    ("POST", "/api/graph/0/", ["{}"]),
    ("GET", "/api/graph_backwards/0/{}", None),
    ("GET", "/api/graph_forwards/0/{}", None),
    ("GET", "/api/verify/", None),
)
USERS_WRITE: Rows = (
    ("POST", "/api/create/", {"_id": "{}-new"}),
    ("POST", "/api/publish/", {"_id": "/{}-new", "comment": "", "origin": "paris"}),
    ("POST", "/api/comment/", {"#parent": "{}", "comment": "c"}),
    ("PUT", "/api/lock/", "{}"),
    ("PUT", "/api/unlock/", "{}"),
    ("POST", "/api/version/{}", {"file": "/f"}),
)
EDITORS_WRITE: Rows = (
    ("PUT", "/api/update/", {"_id": "{}", "n": 1}),
    ("POST", "/api/upsert/", {"_id": "{}", "n": 1}),
    ("POST", "/api/upsert/", {"_id": "{}-upserted", "n": 1}),
    ("DELETE", "/api/delete/", "{}"),
    ("DELETE", "/api/graphDelete/", ["{}"]),
)


def named(thing: Any, key: str) -> Any:
    if isinstance(thing, str):
        return thing.replace("{}", key)
    if isinstance(thing, list):
        return [named(each, key) for each in thing]
    return {name: named(value, key) for name, value in thing.items()} if isinstance(thing, dict) else thing


@pytest.mark.parametrize("rank", [*CLASSES, ""])
@pytest.mark.parametrize(
    ("least", "row"),
    [("guest", row) for row in READS]
    + [("user", row) for row in USERS_WRITE]
    + [("editor", row) for row in EDITORS_WRITE],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
async def test_s9_the_table(api: Api, rank: str, least: UserClass, row: tuple[str, str, Any]) -> None:
    method, path, body = row
    key = f"t-{rank or 'nobody'}-{abs(hash(repr(row)))}"
    await api.create({"_id": key})
    if path == "/api/unlock/" and rank in CLASSES:
        await api.ask("PUT", "/api/lock/", key, as_=rank)
    answer = await api.ask(method, named(path, key), named(body, key), as_=rank)
    if not rank:
        assert answer.status == 401
    elif CLASSES.index(rank) < CLASSES.index(least):
        assert answer.status == 403, answer.text
        assert answer.text.startswith(f"Access {named(path, key)} error:")
    else:
        assert answer.status in (200, 201), answer.text


@pytest.mark.parametrize(("least", "row"), [("user", r) for r in USERS_WRITE] + [("editor", r) for r in EDITORS_WRITE])
async def test_s9_the_class_comes_before_existence_and_before_the_body(
    api: Api, least: str, row: tuple[str, str, Any]
) -> None:
    below = CLASSES[CLASSES.index(least) - 1]
    method, path, body = row
    await api.create({"_id": f"o-{abs(hash(repr(row)))}"})
    bodies: list[Any] = [{}, [], b"{", 5]
    seen = {
        (answer.status, answer.text.splitlines()[-1].rpartition("error: ")[2])
        for key in (f"o-{abs(hash(repr(row)))}", "not-there")
        for sent in (named(body, key), *bodies)
        for answer in [await api.ask(method, named(path, key), sent, as_=below)]
    }
    assert seen == {(403, f"{below} is {below}; this needs {least}")}


async def test_s9_files_are_read_and_uploaded_by_users(api: Api) -> None:
    for rank, status in (("", 401), ("guest", 403), ("user", 201), ("editor", 201), ("admin", 201)):
        for method in ("POST", "PUT"):
            path = f"/up/{rank or 'nobody'}-{method}"
            answer = await api.ask(method, "/api/upload", upload(path), as_=rank, headers=MULTIPART)
            assert answer.status == status, (rank, answer.text)
    assert (await api.ask("GET", "/api/file//up/user-PUT", as_="user")).body == b"bytes"
    assert (await api.ask("GET", "/api/file//up/user-PUT", as_="guest")).status == 403
    assert (await api.ask("GET", "/api/file//up/user-PUT", as_="")).status == 401
    assert (await api.ask("GET", "/api/file//up/guest-PUT", as_="admin")).status == 404


@pytest.mark.parametrize("operation", [*OPERATIONS, MAY_READ, MAY_UPLOAD], ids=lambda operation: operation.name)
def test_s9_every_operation_asks_for_its_class(operation: Operation[Any, Any]) -> None:
    """Those of the table and all others: nothing is open that does not say so."""
    order = {"anyone": -1, "guest": 0, "user": 1, "editor": 2, "admin": 3, "agent": 3}
    for number, rank in enumerate(CLASSES):
        caller = Caller("me", rank)
        if number >= order[operation.right]:
            allow(caller, operation)
        else:
            with pytest.raises(Forbidden):
                allow(caller, operation)
    if operation.right == "anyone":
        allow(Caller("", "guest"), operation)
    else:
        with pytest.raises(SignInNeeded):
            allow(Caller("", "guest"), operation)
    assert not operation.writes or operation.right not in ("anyone", "guest")


# --- restricted keys --------------------------------------------------------------------------------------------

EVIL = {
    "author": "somebody",
    "time": 5,
    "class": "admin",
    "username": "evil",
    "password": DIGEST,
    "disable": True,
    "class.x": "admin",
    "password.x": "p",
    "active": True,
    "kept": 1,
}


@pytest.mark.parametrize("rank", ["user", "editor"])
async def test_s9_restricted_keys_are_dropped_by_every_verb(api: Api, rank: str) -> None:
    key = f"restricted-{rank}"
    await api.create({"_id": key, "n": 1})
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/api/create/", {"_id": f"{key}-new", **EVIL}),
        ("POST", "/api/create/", {**EVIL}),
        ("POST", "/api/publish/", {"_id": f"/{key}", "comment": "", "origin": "paris", **EVIL}),
        ("POST", "/api/comment/", {"#parent": key, "comment": "c", **EVIL}),
        ("POST", f"/api/version/{key}", {"file": "/f", **EVIL}),
    ]
    if rank == "editor":
        writes += [
            ("PUT", "/api/update/", {"_id": key, **EVIL}),
            ("POST", "/api/upsert/", {"_id": key, **EVIL}),
            ("POST", "/api/upsert/", {"_id": f"{key}-upserted", **EVIL}),
        ]
    for method, path, body in writes:
        answer = await api.ask(method, path, body, as_=rank)
        assert answer.status in (200, 201), (path, answer.text)
        found = answer.json if isinstance(answer.json, list) else [answer.json]
        for element in found:
            assert element["author"] in (rank, "admin") and element["time"] > 5, path
            assert not element.keys() & {"class", "username", "password", "disable", "class.x", "password.x"}, path
            assert element.get("active", False) is False
            assert element["kept"] == 1 or path == "/api/version/" + key
    signed = await api.ask("POST", "/api/signIn/", {"username": "evil", "password": "taken"}, as_="")
    assert signed.status == 401


@pytest.mark.parametrize("rank", ["user", "editor"])
async def test_s9_nobody_below_admin_makes_or_touches_users_sites_and_globals(api: Api, rank: str) -> None:
    await api.ask("PUT", "/api/sites/s9paris", {"name": "s9paris", "create": True})
    hexed = hashlib.md5(rank.encode()).hexdigest()[:24]
    await api.create({"_id": hexed, "username": f"hexed-{rank}"})
    kept = ["@admin", "@guest", f"@{rank}", "sites/s9paris", "rsyncGlobalParameters", hexed]
    before = (await api.ask("POST", "/api/read/", kept)).json
    attacks: list[tuple[str, str, Any]] = [
        ("POST", "/api/create/", {"_id": "@evil", "class": "admin", "password": DIGEST})
    ]
    for key in kept:
        for extra in (
            {"password": DIGEST},
            {"class": "admin"},
            {"email": "e@evil.example"},
            {"x.y": 1},
            {"url": "file:///"},
        ):
            attacks += [
                ("PUT", "/api/update/", {"_id": key, **extra}),
                ("POST", "/api/upsert/", {"_id": key, **extra}),
                ("POST", "/api/upsert/", {"_id": [key], **extra}),
            ]
        attacks += [
            ("POST", f"/api/version/{key}", {"file": "/f"}),
            ("DELETE", "/api/delete/", key),
            ("DELETE", "/api/graphDelete/", [key]),
            ("PUT", "/api/lock/", key),
        ]
    for method, path, body in attacks:
        answer = await api.ask(method, path, body, as_=rank)
        assert answer.status == 403, (method, path, body, answer.text)
    now = (await api.ask("POST", "/api/read/", kept)).json
    drop = ("lastlogin", "lastActivity")
    assert [{k: v for k, v in e.items() if k not in drop} for e in now] == [
        {k: v for k, v in e.items() if k not in drop} for e in before
    ]
    assert (await api.ask("POST", "/api/signIn/", {"username": "admin", "password": PASSWORD}, as_="")).status == 200
    for method, path in (
        ("GET", "/api/users"),
        ("DELETE", "/api/users/admin"),
        ("PUT", "/api/users/admin"),
        ("GET", "/api/audit"),
    ):
        body = {"username": "admin", "password": "x"} if method == "PUT" else None
        assert (await api.ask(method, path, body, as_=rank)).status == 403


# --- users as elements ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["create", "upsert"])
async def test_s9_an_admin_makes_users_by_the_verbs_of_elements(api: Api, verb: str) -> None:
    made = await api.ask("POST", f"/api/{verb}/", {"_id": f"@by-{verb}", "email": f"{verb}@studio.example"})
    assert made.status in (200, 201)
    assert (made.json["username"], made.json["class"]) == (f"by-{verb}", "guest")
    named_only = await api.ask(
        "POST", f"/api/{verb}/", {"username": f"named-{verb}", "class": "editor", "password": DIGEST}
    )
    assert named_only.json["_id"] == f"@named-{verb}"
    signed = await api.ask("POST", "/api/signIn/", {"username": f"named-{verb}", "password": "taken"}, as_="")
    assert signed.json["user"]["class"] == "editor"
    assert f"by-{verb}" in [user["username"] for user in (await api.ask("GET", "/api/users")).json["users"]]
    assert (await api.ask("DELETE", "/api/delete/", f"@named-{verb}")).status == 200
    assert (await with_token(api, signed.json["token"], "GET", "/api/verify")).status == 401
    assert (
        await api.ask("POST", "/api/signIn/", {"username": f"named-{verb}", "password": "taken"}, as_="")
    ).status == 401


@pytest.mark.parametrize(
    "body",
    [
        {"_id": "@one", "username": "other"},
        {"_id": "@two", "class": "root"},
        {"_id": "@three", "class": None, "disable": "yes"},
        {"_id": "@four", "email": ["x"]},
        {"_id": "@support"},
        {"_id": "@a b"},
        {"_id": "@"},
        {"_id": "x1", "username": ""},
        {"_id": "x2", "username": "a/b"},
        {"_id": "x3", "username": {"$ne": 1}},
        {"_id": "x4", "username": "anonymous"},
    ],
)
async def test_s9_users_that_cannot_be(api: Api, body: dict[str, Any]) -> None:
    assert (await api.ask("POST", "/api/create/", body)).status == 400
    assert (await api.ask("GET", f"/api/read/{body['_id'].replace(' ', '%20')}")).status in (404, 400)


async def test_s9_a_user_name_is_one_persons(api: Api) -> None:
    assert (
        await api.ask("POST", "/api/create/", {"_id": "other-admin", "username": "admin", "password": DIGEST})
    ).status == 409
    assert (await api.ask("GET", "/api/read/other-admin")).status == 404
    assert (await api.ask("POST", "/api/signIn/", {"username": "admin", "password": "taken"}, as_="")).status == 401
    assert (await api.ask("PUT", "/api/update/", {"_id": "@guest", "username": "admin"})).status == 400


async def test_s9_the_last_admin_stays_whichever_way_they_are_removed(run: Run) -> None:
    async with run() as api:
        ways: list[tuple[str, str, Any]] = [
            ("PUT", "/api/update/", {"_id": "@admin", "class": "guest"}),
            ("PUT", "/api/update/", {"_id": "@admin", "class": None}),
            ("PUT", "/api/update/", {"_id": "@admin", "disable": True}),
            ("POST", "/api/upsert/", {"_id": "@admin", "class": "editor"}),
            (
                "PUT",
                "/api/update/",
                [{"_id": "@guest", "class": "admin"}, {"_id": ["@guest", "@admin"], "disable": True}],
            ),
            ("DELETE", "/api/delete/", "@admin"),
            ("DELETE", "/api/delete/", ["@guest", "@admin", "@user"]),
            ("DELETE", "/api/graphDelete/", ["@admin"]),
            ("DELETE", "/api/users/admin", None),
            ("PUT", "/api/users/admin", {"username": "admin", "class": "user"}),
            ("PUT", "/api/users/admin", {"username": "admin", "disable": True}),
        ]
        for method, path, body in ways:
            answer = await api.ask(method, path, body)
            assert answer.status == 409 and "last admin" in answer.text, (path, body, answer.text)
        assert (await api.ask("GET", "/api/verify/")).json["class"] == "admin"
        assert (await api.ask("POST", "/api/read/", ["@guest", "@user"])).status == 200
        await api.ask("PUT", "/api/update/", {"_id": "@editor", "class": "admin"})
        assert (await api.ask("DELETE", "/api/delete/", "@admin", as_="editor")).status == 200
        assert (await api.ask("GET", "/api/verify/")).status == 401


async def test_s9_a_class_counts_at_once(api: Api) -> None:
    await api.create({"_id": "@riser", "password": DIGEST})
    mine = (await api.ask("POST", "/api/signIn/", {"username": "riser", "password": "taken"}, as_="")).json["token"]
    for rank, status in (("guest", 403), ("user", 201), ("guest", 403)):
        await api.ask("PUT", "/api/update/", {"_id": "@riser", "class": rank})
        answer = await with_token(api, mine, "POST", "/api/create/", {"n": 1})
        assert answer.status == status
    await api.ask("PUT", "/api/update/", {"_id": "@riser", "disable": True})
    assert (await with_token(api, mine, "GET", "/api/verify")).status == 401


# --- author mode ------------------------------------------------------------------------------------------------


async def test_s9_in_author_mode_users_change_their_own_and_see_nothing_else(run: Run, tmp_path: Path) -> None:
    async with run(author_mode=True) as api:
        await api.create({"_id": "admins", "n": 1})
        await api.create({"_id": "shared", "author": ["bert", "user"]})
        await api.create({"_id": "mine"}, as_="user")
        await api.create({"_id": "editors"}, as_="editor")
        await api.create({"_id": "link", "src_id": "admins", "tgt_id": "mine"}, as_="user")
        await api.ask("POST", "/api/publish/", {"_id": "/admins", "comment": "", "origin": "paris"})
        for key, status in (("mine", 200), ("shared", 200), ("admins", 404), ("editors", 404), ("nothing", 404)):
            assert (await api.ask("GET", f"/api/read/{key}", as_="user")).status == status
            assert (await api.ask("PUT", "/api/update/", {"_id": key, "n": 2}, as_="user")).status == status
            assert (await api.ask("GET", f"/api/graph/0/{key}", as_="user")).status in (
                status,
                207 if status == 200 else 404,
            )
        foreign = (
            ("DELETE", "/api/delete/", "admins"),
            ("DELETE", "/api/graphDelete/", ["admins"]),
            ("PUT", "/api/lock/", "admins"),
            ("POST", "/api/comment/", {"#parent": "admins", "comment": "c"}),
            ("POST", "/api/version/admins", {"file": "/f"}),
            ("GET", "/api/log?path=/admins", None),
            ("GET", "/api/why?path=/admins&site=paris", None),
        )
        for rank in ("user", "editor"):
            for method, path, body in foreign:
                assert (await api.ask(method, path, body, as_=rank)).status == 404, (rank, path)
            upserted = await api.ask("POST", "/api/upsert/", {"_id": "admins", "n": 3}, as_=rank)
            assert upserted.status in (403, 404, 409), upserted.text
        assert sorted((await api.ask("GET", "/api/search/*", as_="user")).json) == ["link", "mine", "shared"]
        found = (await api.ask("POST", "/api/search_mongo/", {"query": {"n": 1}}, as_="user")).json
        assert found == {"count": 0, "ids": []}
        assert (await api.ask("GET", "/api/search_one/n:1", as_="user")).json is None
        assert (await api.ask("GET", "/api/read/admins")).json["n"] == 1
        assert (await api.ask("DELETE", "/api/delete/", "mine", as_="user")).status == 200
        assert (await api.ask("PUT", "/api/update/", {"_id": "admins", "n": 2}, as_="guest")).status == 403


# --- the scope of tokens ----------------------------------------------------------------------------------------


async def test_s9_a_read_only_token_changes_nothing(api: Api) -> None:
    mine = await token(api, readOnly=True)
    await api.create({"_id": "/ro"})
    assert (await with_token(api, mine, "GET", "/api/read//ro")).status == 200
    assert (await with_token(api, mine, "GET", "/api/users")).status == 200
    for method, path, body in (*USERS_WRITE, *EDITORS_WRITE):
        assert (await with_token(api, mine, method, named(path, "/ro"), named(body, "/ro"))).status == 403, path
    others: tuple[tuple[str, str, Any], ...] = (
        ("PUT", "/api/users/user", {"username": "user", "password": "x"}),
        ("DELETE", "/api/users/user", None),
        ("PUT", "/api/sites/ro", {"name": "ro", "create": True}),
        ("POST", "/api/tokens", {}),
        ("DELETE", "/api/tokens/1", None),
        ("POST", "/api/changePassword", {"password": "x"}),
        ("POST", "/api/agent/hello", {"site": "s9paris", "host": "h", "version": "1"}),
    )
    for method, path, body in others:
        assert (await with_token(api, mine, method, path, body)).status == 403, path
    child = (await with_token(api, mine, "POST", "/api/createToken", {"readOnly": False})).json
    assert (await with_token(api, child, "POST", "/api/create/", {"n": 1})).status == 403


async def test_s9_a_token_is_never_above_its_user(api: Api) -> None:
    assert (await api.ask("POST", "/api/createToken/", {"class": "admin"}, as_="user")).status == 403
    assert (await api.ask("POST", "/api/createToken/", {"class": "root"}, as_="admin")).status == 400
    assert (await api.ask("POST", "/api/tokens", {"username": "user", "class": "editor"})).status == 403
    mine = await token(api, "editor", **{"class": "user"})
    assert (await with_token(api, mine, "POST", "/api/create/", {"_id": "by-class"})).status == 201
    assert (await with_token(api, mine, "PUT", "/api/update/", {"_id": "by-class", "n": 1})).status == 403
    assert (await with_token(api, mine, "POST", "/api/createToken", {"class": "editor"})).status == 403
    child = (await with_token(api, mine, "POST", "/api/createToken", {})).json
    assert (await with_token(api, child, "PUT", "/api/update/", {"_id": "by-class", "n": 1})).status == 403
    assert (await with_token(api, mine, "POST", "/api/changePassword", {"password": "x"})).status == 403
    await api.create({"_id": "@falls", "class": "editor", "password": DIGEST})
    made = (await api.ask("POST", "/api/tokens", {"username": "falls", "class": "editor"})).json["token"]
    await api.ask("PUT", "/api/update/", {"_id": "@falls", "class": "guest"})
    assert (await with_token(api, made, "POST", "/api/create/", {"n": 1})).status == 403


async def test_s9_a_prefix_is_all_there_is_for_its_token(api: Api) -> None:
    mine = await token(api, prefix="/shots/")
    await api.create({"_id": "/shots/a", "n": 7}, {"_id": "/shots2/b", "n": 7}, {"_id": "elsewhere", "n": 7})
    await api.create(
        {"_id": "in", "src_id": "/shots/a", "tgt_id": "/shots/a"},
        {"_id": "out", "src_id": "elsewhere", "tgt_id": "/shots/a"},
    )
    read = await with_token(api, mine, "POST", "/api/read/", ["/shots/a", "/shots2/b", "elsewhere", "@admin"])
    assert (read.status, [found and found["_id"] for found in read.json]) == (207, ["/shots/a", None, None, None])
    assert (await with_token(api, mine, "GET", "/api/search/n:7")).json == ["/shots/a"]
    assert (await with_token(api, mine, "GET", "/api/search/_id:/.*/")).json == ["/shots/a", "in"]
    mongo = await with_token(
        api, mine, "POST", "/api/search_mongo/", {"query": {"$or": [{"n": 7}, {"username": "admin"}]}}
    )
    assert mongo.json == {"count": 1, "ids": ["/shots/a"]}
    graph = await with_token(api, mine, "GET", "/api/graph/0//shots/a")
    assert [found["_id"] for found in graph.json if found] == ["/shots/a", "in"]
    assert (await with_token(api, mine, "GET", "/api/search_one/n:7")).json["_id"] == "/shots/a"
    changes = await with_token(api, mine, "GET", "/api/changes?since=0&limit=1000")
    assert changes.status == 200 and "/shots2/b" not in changes.text and "@admin" not in changes.text
    inside: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/api/create/", {"_id": "/shots/new"}),
        ("POST", "/api/publish/", {"_id": "/shots/pub", "comment": "", "origin": "paris"}),
        ("POST", "/api/comment/", {"#parent": "/shots/a", "comment": "c"}),
        ("PUT", "/api/update/", {"_id": "/shots/a", "m": 1}),
        ("POST", "/api/upsert/", [{"_id": "/shots/a", "m": 2}, {"_id": "/shots/up"}]),
        ("POST", "/api/version//shots/a", {"file": "/shots/a", "n": 7}),
        ("PUT", "/api/lock/", "/shots/a"),
        ("DELETE", "/api/delete/", "/shots/new"),
    )
    for method, path, body in inside:
        assert (await with_token(api, mine, method, path, body)).status in (200, 201), path
    outside: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/api/create/", {"_id": "/shots2/new"}),
        ("POST", "/api/create/", {"n": 1}),
        ("POST", "/api/create/", {"_id": "@evil", "class": "admin", "#parent": "/shots/a"}),
        ("POST", "/api/create/", {"_id": "/shots/vol", "class": "volume", "name": "evil", "url": "file:///"}),
        ("POST", "/api/create/", {"_id": "/shots/user", "username": "evil", "password": DIGEST}),
        ("POST", "/api/create/", [{"_id": "/shots/x"}, {"_id": "/shots2/y"}]),
        ("POST", "/api/publish/", {"_id": ["/shots/p", "/p"], "comment": "", "origin": "paris"}),
        ("POST", "/api/comment/", {"#parent": "/shots2/b", "comment": "c"}),
        ("PUT", "/api/update/", {"_id": "/shots2/b", "m": 1}),
        ("PUT", "/api/update/", {"_id": "in", "src_id": "elsewhere"}),
        ("POST", "/api/upsert/", {"_id": "/shots2/up"}),
        ("POST", "/api/upsert/", {"_id": "elsewhere", "#parent": "/shots/a"}),
        ("POST", "/api/version//shots2/b", {"file": "/f"}),
        ("PUT", "/api/lock/", "/shots2/b"),
        ("DELETE", "/api/delete/", "/shots2/b"),
        ("DELETE", "/api/graphDelete/", ["elsewhere"]),
        ("GET", "/api/why?path=/shots2/b&site=s9paris", None),
        ("GET", "/api/log?path=/shots2/b", None),
        ("GET", "/api/users", None),
        ("GET", "/api/audit", None),
        ("GET", "/api/backup", None),
        ("PUT", "/api/users/user", {"username": "user", "password": "x"}),
        ("PUT", "/api/sites/evil", {"name": "evil", "create": True}),
        ("POST", "/api/createToken", {"prefix": "/"}),
        ("POST", "/api/createToken", {"prefix": "/shots2/"}),
        ("POST", "/api/tokens", {"username": "user"}),
        ("DELETE", "/api/tokens/1", None),
        ("POST", "/api/changePassword", {"password": "x"}),
        ("POST", "/api/agent/hello", {"site": "s9paris", "host": "h", "version": "1"}),
    )
    for method, path, body in outside:
        answer = await with_token(api, mine, method, path, body)
        if (method, path, body) == ("POST", "/api/createToken", {"prefix": "/"}):  # '/' is no narrowing: it inherits
            assert (await with_token(api, answer.json, "GET", "/api/read//shots2/b")).status == 404
            continue
        assert answer.status in (400, 403, 404, 409), (path, body, answer.text)
    for key in (
        "/shots/x",
        "/shots2/new",
        "@evil",
        "/shots/vol",
        "/shots/user",
        "/p",
        "/shots/p",
        "/shots2/up",
    ):
        assert (await api.ask("GET", f"/api/read/{key}")).status == 404, key
    for path in ("/shots2/f", "/f"):
        answer = await api.ask("POST", "/api/upload", upload(path), as_="", headers=MULTIPART | {"Authorization": mine})
        assert answer.status == 403
    narrower = (await with_token(api, mine, "POST", "/api/createToken", {"prefix": "/shots/a/"})).json
    assert (await with_token(api, narrower, "GET", "/api/read//shots/pub")).status == 404


async def test_s9_a_token_for_a_site_writes_for_that_site(api: Api) -> None:
    for name in ("s9rome", "s9oslo"):
        assert (await api.ask("PUT", f"/api/sites/{name}", {"name": name, "create": True})).status == 200
    mine = await token(api, "editor", site="S9ROME")
    publish = {"_id": "/s9/rome", "comment": "", "origin": "s9rome"}
    assert (await with_token(api, mine, "POST", "/api/publish/", publish)).status == 201
    foreign: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/api/publish/", {**publish, "_id": "/s9/oslo", "origin": "s9oslo"}),
        ("PUT", "/api/update/", {"_id": "/s9/rome", "synced_s9oslo": 5}),
        ("PUT", "/api/update/", {"_id": "/s9/rome", "origin": "s9oslo"}),
        ("POST", "/api/createToken", {"site": "s9oslo"}),
        ("POST", "/api/agent/hello", {"site": "s9rome", "host": "h", "version": "1"}),
    )
    for method, path, body in foreign:
        assert (await with_token(api, mine, method, path, body)).status == 403, (path, body)
    assert (await with_token(api, mine, "PUT", "/api/update/", {"_id": "/s9/rome", "synced_s9rome": 5})).status == 200
    assert (await api.ask("POST", "/api/createToken", {"site": "nowhere"})).status == 404
    assert (await api.ask("POST", "/api/createToken", {"prefix": "shots"})).status == 400


async def test_s9_the_list_of_tokens_says_what_they_are_narrowed_to(api: Api) -> None:
    await token(api, "user", label="farm", prefix="/shots/", readOnly=True, expiresIn="7d", **{"class": "guest"})
    listed = (await api.ask("GET", "/api/tokens", as_="user")).json["tokens"]
    found = next(each for each in listed if each["label"] == "farm")
    assert (found["class"], found["readOnly"], found["prefix"]) == ("guest", True, "/shots/")
    assert {each["username"] for each in listed} == {"user"}
    other = next(
        each["id"] for each in (await api.ask("GET", "/api/tokens")).json["tokens"] if each["username"] == "admin"
    )
    assert (await api.ask("DELETE", f"/api/tokens/{other}", as_="user")).status == 404
    assert (await api.ask("DELETE", f"/api/tokens/{found['id']}", as_="user")).status == 200


# --- audit ------------------------------------------------------------------------------------------------------


async def test_s9_the_audit_says_who_did_what(run: Run) -> None:
    async with run() as api:
        start = (await api.ask("GET", "/api/audit?limit=1")).json["entries"][-1]["seq"]
        await api.ask("PUT", "/api/sites/paris", {"name": "paris", "create": True, "url": "file:///data/paris/"})
        await api.ask("PUT", "/api/update/", {"_id": "sites/paris", "sleepBetweenScans": 30, "webhookToken": "hush"})
        await api.ask("PUT", "/api/update/", {"_id": "rsyncGlobalParameters", "syncEverywhere": False})
        await api.ask("POST", "/api/publish/", {"_id": "/a", "comment": "", "origin": "paris", "sync_rome": True})
        await api.ask("PUT", "/api/update/", {"_id": "/a", "sync_rome": False, "note": "x"}, as_="editor")
        await api.ask("PUT", "/api/update/", {"_id": "/a", "note": "y"}, as_="editor")
        await api.create({"_id": "plain", "n": 1}, as_="user")
        await api.ask("PUT", "/api/update/", {"_id": "plain", "n": 2})
        await api.create({"_id": "@anna", "class": "user", "password": DIGEST})
        await api.ask("PUT", "/api/update/", {"_id": "@anna", "class": "editor"})
        await api.ask("PUT", "/api/users/anna", {"username": "anna", "password": "new"})
        await api.ask("POST", "/api/tokens", {"label": "farm", "prefix": "/a/"})
        await api.ask("POST", "/api/signIn/", {"username": "anna", "password": "wrong"}, as_="")
        await api.ask("POST", "/api/signIn/", {"username": "nobody", "password": "wrong"}, as_="")
        await api.ask("POST", "/api/signIn/", {"username": "anna", "password": "new"}, as_="")
        await api.ask("DELETE", "/api/delete/", "@anna")
        await api.ask("DELETE", "/api/sites/paris")
        entries = (await api.ask("GET", f"/api/audit?after={start}&limit=100")).json["entries"]
        assert [(e["who"], e["what"], e["subject"], e["text"]) for e in entries] == [
            ("admin", "site added", "sites/paris", entries[0]["text"]),
            ("admin", "site changed", "sites/paris", "sleepBetweenScans: none -> 30, webhookToken: none -> (hidden)"),
            ("admin", "global parameters changed", "rsyncGlobalParameters", "syncEverywhere: true -> false"),
            ("admin", "destination changed", "/a", "sync_rome: none -> true"),
            ("editor", "destination changed", "/a", "sync_rome: true -> false"),
            ("admin", "user added", "anna", "class: user"),
            ("admin", "user changed", "anna", 'class: "user" -> "editor"'),
            ("admin", "user changed", "anna", "new password"),
            ("admin", "token made", "admin", "farm, prefix /a/"),
            ("anna", "sign-in failed", "anna", "wrong password"),
            ("", "sign-in failed", "", "unknown name"),
            ("anna", "signed in", "anna", ""),
            ("admin", "user removed", "anna", ""),
            ("admin", "site removed", "sites/paris", ""),
        ]
        assert {e["address"] for e in entries} == {"127.0.0.1"}
        assert "hush" not in str(entries)
        mine = (await api.ask("GET", "/api/audit?who=anna&what=signed%20in")).json["entries"]
        assert [e["what"] for e in mine] == ["signed in"]
        assert len((await api.ask("GET", f"/api/audit?after={start}&limit=2")).json["entries"]) == 2
        for rank in ("guest", "user", "editor"):
            assert (await api.ask("GET", "/api/audit", as_=rank)).status == 403
