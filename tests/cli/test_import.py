"""`everysite import damas`: every form of a dump, what comes of it, what is refused, and starting it again."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.cli import dump_files
from tests.cli.dump_files import FORMS, Binary, Date, Long, ObjectId
from tests.cli.processes import Everysite, environment

from everysite.config import check

FILE = "/shots/010/a b;.*?<>#%é.exr"
T = 1_500_000_000_000
MIXED = "54CA1B2C3D4E5F60718293A4"
DOCUMENTS: list[dict[str, Any]] = [
    # A file comes before its sites, and a comment before its file: the order of a dump says nothing.
    {
        "_id": ObjectId("54ca1b2c3d4e5f60718293a5"),
        "#parent": FILE,
        "comment": "looks \u00e9 good",
        "author": "ann",
        "time": T,
    },
    {
        "_id": FILE,
        "author": "ann",
        "time": T,
        "origin": "paris",
        "comment": "first",
        "file_size": Long(12),
        "synced_paris": T + 1,
        "synced_rome": T - 5,
        "syncing_rome": T,
        "syncError_rome": "23",
        "syncLastAttempt_rome": T + 9,
        "sync_priority": -3,
        "taken": Date(1_577_934_245_678),
        "thumb": Binary(b"\0\1\2"),
        "uuid": Binary(bytes(range(16)), 4),
        "weird": float("nan"),
        "half": 0.5,
        "nested": {"deep": [1, {"x": None}], "ref": ObjectId(MIXED)},
    },
    {"_id": ObjectId(MIXED), "username": "ann", "password": hashlib.md5(b"one").hexdigest(), "class": "editor"},
    {"_id": "@bob", "username": "bob", "password": hashlib.sha1(b"two").hexdigest(), "class": "admin", "disable": 0},
    {
        "_id": "sit/x/paris",
        "name": "paris",
        "url": "ssh://sync:secret@paris.example:22/data/",
        "author": "bob",
        "time": T,
    },
    {"_id": "sit/x/rome", "name": "rome", "url": "ssh://sync@rome.example/data/", "enableReception": False},
    {"_id": "rsyncGlobalParameters", "sleepBetweenScans": 30, "syncEverywhere": False, "time": T},
    {
        "_id": ObjectId("54ca1b2c3d4e5f60718293a6"),
        "src_id": ObjectId("54ca1b2c3d4e5f60718293a5"),
        "tgt_id": FILE,
        "time": T,
    },
    {"_id": "tpl/{#}", "a.b": 1, "many": ["x", 1.5, True, None]},
]
BECOMES: dict[str, dict[str, Any]] = {
    FILE: {
        "author": "ann",
        "time": T,
        "origin": "paris",
        "comment": "first",
        "file_size": 12,
        "synced_paris": T + 1,
        "synced_rome": T - 5,
        "syncError_rome": 23,
        "syncLastAttempt_rome": T + 9,
        "sync_priority": -3,
        "taken": 1_577_934_245_678,
        "thumb": "AAEC",
        "uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "weird": None,
        "half": 0.5,
        "nested": {"deep": [1, {"x": None}], "ref": MIXED.lower()},
    },
    MIXED.lower(): {"username": "ann", "class": "editor", "author": "import"},
    "@bob": {"username": "bob", "class": "admin", "disable": False},
    "sit/x/paris": {
        "name": "paris",
        "url": "",
        "damasUrl": "ssh://sync@paris.example:22/data/",
        "class": "volume",
        "author": "bob",
        "time": T,
    },
    "rsyncGlobalParameters": {"sleepBetweenScans": 30, "syncEverywhere": False, "time": T, "enableScans": True},
    "54ca1b2c3d4e5f60718293a5": {"#parent": FILE, "comment": "looks é good", "author": "ann", "time": T},
    "54ca1b2c3d4e5f60718293a6": {"src_id": "54ca1b2c3d4e5f60718293a5", "tgt_id": FILE, "time": T},
    "tpl/{#}": {"a.b": 1, "many": ["x", 1.5, True, None]},
}


def imported(everysite: Everysite, *words: str, code: int = 0) -> Any:
    done = everysite("import", "damas", *words, "--json")
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def elements(everysite: Everysite) -> dict[str, dict[str, Any]]:
    """What a home keeps, read without a tracker's doors."""
    import asyncio
    import os

    from everysite.assemble import open_tracker
    from everysite.config import load
    from everysite.tracker.contract import READ, SEARCH
    from everysite.tracker.messages import Ids, Query
    from everysite.tracker.operation import Caller

    async def within() -> dict[str, dict[str, Any]]:
        async with open_tracker(load(everysite.home, {})) as service:
            tracker = service.as_caller(Caller("test", "admin"))
            keys: list[str | None] = [key for key in (await tracker.call(SEARCH, Query("*"))).ids if key is not None]
            pages = [keys[at : at + 10_000] for at in range(0, len(keys), 10_000)]
            found = [item for page in pages for item in (await tracker.call(READ, Ids(page))).items]
            return {item["_id"]: item for item in found if item is not None}

    assert os.path.exists(everysite.home / "everysite.db")
    return asyncio.run(within())


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_same(tmp_path: Path, form: str) -> None:
    everysite = Everysite(tmp_path)
    dump = dump_files.write(tmp_path, form, DOCUMENTS)
    told = imported(everysite, str(dump))["import"]
    assert told["came"] == {"user": 2, "site": 2, "parameters": 1, "file": 1, "child": 1, "link": 1, "element": 1}
    assert (told["read"], told["verified"], told["sound"], told["refused"]) == (9, 9, True, 0)
    found = elements(everysite)
    assert not {key: (body, found.get(key)) for key, body in BECOMES.items() if not _holds(found.get(key, {}), body)}
    assert "syncing_rome" not in found[FILE]
    assert not [item for item in found.values() if "password" in item]
    again = imported(everysite, str(dump))["import"]
    assert (again["came"], again["there"], again["digest"]) == ({}, 9, told["digest"])


def _holds(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return {key: there.get(key) for key in wanted} == wanted


def test_what_cannot_come_is_named_with_its_line(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    lines: dict[str, str] = {
        '{"_id":"ok"}': "",
        '{"_id":"cut"': "no JSON",
        "[1]": "no object",
        '{"_id":5}': "identifier",
        '{"a":1}': "identifier",
        '{"_id":""}': "identifier",
        '{"_id":"nul\\u0000"}': "NUL",
        '{"_id":"half","a":"\\ud800"}': "JSON",
        '{"_id":"d","$a":1}': "'$'",
        '{"_id":"n","password":"x"}': "no user",
        '{"_id":"@eve","username":"mallory"}': "mallory",
        '{"_id":"@sup","username":"support"}': "sup",
        '{"_id":"@kim","username":"kim","class":"king"}': "king",
        '{"_id":"min","a":{"$minKey":1}}': "smallest",
        '{"_id":"date","a":{"$date":"soon"}}': "$date",
        '{"_id":{"$oid":"12"}}': "$oid",
        '{"_id":"s1","class":"volume","name":"no good"}': "no good",
        '{"_id":"s2","class":"volume","name":"a"}': "",
        '{"_id":"s3","class":"volume","name":"A"}': "'a'",
        '{"_id":"deep","a":' + "[" * 200 + "]" * 200 + "}": "deep",
        "": "",
        '{"_id":"last"}': "",
    }
    (tmp_path / "d").write_text("\n".join(lines))
    report = tmp_path / "report"
    told = imported(everysite, str(tmp_path / "d"), "--report", str(report), code=1)["import"]
    rows = {row["place"]: row["why"] for row in map(json.loads, report.read_text().splitlines())}
    bad = [(number, why) for number, why in enumerate(lines.values(), 1) if why]
    assert sorted(rows) == sorted(f"{tmp_path / 'd'}, line {number}" for number, _ in bad)
    assert not [
        (n, why, rows[f"{tmp_path / 'd'}, line {n}"])
        for n, why in bad
        if why not in rows[f"{tmp_path / 'd'}, line {n}"]
    ]
    assert (told["refused"], told["verified"], told["sound"]) == (len(bad), 3, True)
    assert {"ok", "last", "s2"} <= set(elements(everysite))
    shown = everysite("import", "damas", str(tmp_path / "d"))
    assert shown.returncode == 1
    assert "line 2: " in shown.stderr


def test_a_user_without_a_digest_comes_without_a_password(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    (tmp_path / "d").write_text('{"_id":"@kim","username":"kim","password":"$2b$10$secretsecret"}')
    done = everysite("import", "damas", "d")
    assert done.returncode == 0
    assert "everysite user set kim --password" in done.stderr
    assert "secretsecret" not in done.stderr + done.stdout


def test_what_differs_stays_unless_it_shall_not(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    first = [
        {"_id": "/a", "time": 5, "author": "x", "origin": "paris", "old": 1, "synced_rome": 7},
        {"_id": "s", "name": "rome", "url": "ssh://h/d/"},
        {"_id": "@bob", "username": "bob", "class": "admin"},
        {"_id": "same", "n": 1},
    ]
    second = [
        {"_id": "/a", "time": 6, "author": "y", "origin": "rome", "new": {"k": 1}},
        {"_id": "s", "name": "rome", "url": "ssh://h/d/", "longName": "Roma"},
        {"_id": "@bob", "username": "bob", "class": "user"},
        {"_id": "same", "n": 1},
    ]
    for name, documents in (("one", first), ("two", second)):
        (tmp_path / name).write_text("\n".join(map(json.dumps, documents)))
    imported(everysite, "one")
    told = imported(everysite, "two", code=1)
    assert [row["what"] for row in told["first"]] == ["differs"] * 3
    assert "longName" in told["first"][0]["why"]
    assert told["import"]["there"] == 1
    assert elements(everysite)["/a"]["old"] == 1
    told = imported(everysite, "two", "--overwrite", code=1)
    assert (told["import"]["overwritten"], told["import"]["refused"]) == (2, 1)
    assert "last admin" in told["first"][0]["why"]
    found = elements(everysite)
    assert _holds(
        found["/a"], {"time": 6, "author": "y", "origin": "rome", "new": {"k": 1}, "old": None, "synced_rome": None}
    )
    assert found["s"]["longName"] == "Roma"


def test_a_dry_run_says_the_same_and_leaves_nothing(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    dump = dump_files.write(tmp_path, "lines", DOCUMENTS)
    (tmp_path / "conf.json").write_text('{"authorMode": true}')
    told = imported(everysite, str(dump), "--dry-run", "--conf", "conf.json")
    assert told["import"]["verified"] == 9
    assert told["settings"]["set"] == {"api.author_mode": True}
    assert not everysite.home.exists()
    imported(everysite, str(dump))
    before = (everysite.home / "everysite.db").read_bytes()
    (tmp_path / "more").write_text('{"_id":"more"}\n{"_id":"tpl/{#}","a.b":2}')
    told = imported(everysite, "more", "--dry-run", code=1)["import"]
    assert (told["came"], told["differing"]) == ({"element": 1}, 1)
    assert (everysite.home / "everysite.db").read_bytes() == before


@pytest.mark.parametrize("form", ["array", "pretty", "bson", "archive", "archive.gz", "lines.gz", "folder"])
def test_a_dump_that_is_cut_or_damaged_leaves_the_home_as_it_was(tmp_path: Path, form: str) -> None:
    everysite = Everysite(tmp_path)
    dump = dump_files.write(tmp_path, form, [{"_id": f"e{n}", "n": n} for n in range(50)])
    file = next(dump.rglob("node.bson.gz"), dump)
    whole = file.read_bytes()
    for cut in (len(whole) - 2, len(whole) // 2, 7):
        file.write_bytes(whole[:cut])
        done = everysite("import", "damas", str(dump))
        assert done.returncode == 2, (cut, done)
        assert done.stderr.count("\n") == 1
        assert set(elements(everysite)) == {"rsyncGlobalParameters"}


def test_a_changed_byte_in_an_archive_is_found(tmp_path: Path) -> None:
    """One that leaves every document whole is seen by the checksum alone."""
    data = dump_files.archive({"damas.node": [{"_id": "e", "text": "right"}, {"_id": "f"}, {"_id": "g"}]})
    (tmp_path / "d").write_bytes(data.replace(b"right", b"wrong"))
    done = Everysite(tmp_path)("import", "damas", "d")
    assert (done.returncode, "checksum" in done.stderr) == (2, True)


def test_one_of_several_collections_is_named(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    dump = {
        "damas.node": [{"_id": "a"}, {"_id": "b"}, {"_id": "c"}],
        "old.node": [{"_id": "d"}],
        "old.x": [{"_id": "e"}],
    }
    (tmp_path / "d").write_bytes(gzip.compress(dump_files.archive(dump, step=1)))
    done = everysite("import", "damas", "d")
    assert (done.returncode, "damas.node, old.node, old.x" in done.stderr) == (2, True)
    assert imported(everysite, "d", "--collection", "x")["import"]["read"] == 1
    assert imported(everysite, "d", "--collection", "damas.node")["import"]["read"] == 3
    assert everysite("import", "damas", "d", "--collection", "node").returncode == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "damas"),
        (["damas"], 2, "name a dump"),
        (["damas", "none"], 4, "none"),
        (["damas", "empty"], 4, ".bson"),
        (["damas", "d", "--report", "no/such/folder"], 4, "no/such"),
        (["damas", "d", "--conf", "none.json"], 4, "none.json"),
        (["damas", "d", "--conf", "d"], 2, "JSON"),
        (["damas", "noise"], 2, "noise"),
    ],
)
def test_bad_words(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "d").write_text('{"_id":"a"}\n{"_id":"b"}\n')
    (tmp_path / "noise").write_bytes(bytes(range(200, 256)) * 100)
    done = Everysite(tmp_path)("import", *words)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_home_in_use_is_left_alone(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    (tmp_path / "d").write_text('{"_id":"a"}')
    holding = (
        "import pathlib, sys, time\nfrom everysite.cli.home_lock import HomeLock\n"
        "with HomeLock(pathlib.Path(sys.argv[1])):\n print(flush=True)\n time.sleep(60)"
    )
    command = [sys.executable, "-c", holding, str(everysite.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(tmp_path)) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        done = everysite("import", "damas", "d")
        owner.kill()
    assert (done.returncode, str(owner.pid) in done.stderr) == (4, True)


# --- conf.json ------------------------------------------------------------------------------------------------------

CONF = {
    "authorMode": True,
    "https": {"enable": True, "cert": "fullchain.pem", "key": "privkey.pem"},
    "db": "mongodb",
    "mongodb": {"host": "localhost", "port": 27017, "collection": "damas"},
    "mongodb6": {"create_returns_obj": False},
    "morgan": "dev",
    "fileSystem": "files/",
    "extensions": {
        "jwt": {
            "enable": True,
            "conf": {"required": False, "passwordHashAlgorithm": "sha1", "secret": "s3cr3t", "exp": "7d"},
        },
        "restricted_keys": {"enable": True, "conf": {"whitelist": []}},
        "ulid": {"enable": True, "conf": {"replacedPattern": "<ulid>"}},
        "dam": {"enable": True},
        "static_routes": {"enable": True, "conf": {"routes": {}}},
        "nodemailer": {"enable": False},
        "our_own": {"enable": True},
    },
    "colour": "blue",
}


def test_a_conf_json_becomes_settings(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    old = tmp_path / "old"
    old.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (old / name).touch()
    (old / "conf.json").write_text(json.dumps(CONF))
    ports = {"HTTP_PORT": "8091", "HTTPS_PORT": "9443"}
    done = everysite("import", "damas", "--conf", "old/conf.json", environ=ports)
    assert done.returncode == 0, done.stderr
    assert tomllib.loads((everysite.home / "everysite.toml").read_text()) == {
        "api": {"author_mode": True, "create_returns": "ids", "id_pattern": "<ulid>", "file_root": str(old / "files")},
        "server": {
            "host": "0.0.0.0",
            "port": 8091,
            "tls_port": 9443,
            "tls_cert": str(old / "fullchain.pem"),
            "tls_key": str(old / "privkey.pem"),
        },
        "access": {"required": False, "token_life": "7d"},
    }
    assert not check(everysite.home, {})
    without = [line.split(":")[1].strip() for line in done.stdout.splitlines() if line.startswith("no counterpart")]
    assert set(without) == {
        "db",
        "mongodb",
        "morgan",
        "colour",
        "extensions.jwt.secret",
        "extensions.restricted_keys",
        "extensions.static_routes",
        "extensions.our_own",
    }
    assert "s3cr3t" not in done.stdout


def test_a_setting_that_was_made_here_stays(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    everysite("config", "set", "api.author_mode", "false")
    everysite("config", "set", "server.port", "1234")
    (tmp_path / "c").write_text('{"authorMode": true}')
    done = everysite("import", "damas", "--conf", "c")
    assert "api.author_mode stays False" in done.stdout
    everysite("import", "damas", "--conf", "c", "--overwrite")
    assert tomllib.loads((everysite.home / "everysite.toml").read_text()) == {
        "api": {"author_mode": True},
        "server": {"port": 1234},
    }


@pytest.mark.parametrize(
    ("conf", "values", "said"),
    [
        ({"https": {"enable": True, "cert": "no.pem", "key": "no.key"}}, {"server.host": "0.0.0.0"}, "no.pem"),
        ({"https": {"enable": False}}, {}, "127.0.0.1"),
        ({"extensions": {"jwt": {"enable": False}, "noauth": {"enable": True}}}, {"api.open_mode": True}, "127.0.0.1"),
        ({"https": {"enable": True}, "extensions": {"noauth": {}}}, {"api.open_mode": True}, "admin"),
        ({"extensions": {"ulid": {"enable": False}}}, {"api.id_pattern": ""}, "server.host"),
        ({"extensions": {"jwt": {"conf": {"exp": "2 days"}}}}, {"access.token_life": "2d"}, "server.host"),
        ({"extensions": {"jwt": {"conf": {"exp": 3600000}}}}, {"access.token_life": "3600000ms"}, "server.host"),
        ({"extensions": {"jwt": {"conf": {"exp": "0"}}}}, {"access.token_life": "0"}, "server.host"),
        ({"extensions": {"jwt": {"conf": {"exp": "soon"}}}}, {}, "access.token_life"),
        ({"extensions": {"jwt": {"conf": {"required": "yes"}}}}, {}, "access.required"),
        ({"authorMode": 1}, {}, "api.author_mode"),
        ({"extensions": []}, {}, "extensions"),
        ({"https": True, "fileSystem": {}}, {}, "server.host"),
    ],
)
def test_pieces_of_a_conf_json(tmp_path: Path, conf: dict[str, Any], values: dict[str, Any], said: str) -> None:
    (tmp_path / "c").write_text(json.dumps(conf))
    told = imported(Everysite(tmp_path), "--conf", "c")["settings"]
    assert told["set"] == values
    assert said in json.dumps(told["without"])
