"""Every verb that talks to a tracker, against a real one: what it says, how it ends, what changed."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.processes import PASSWORD, Everysite, Up


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One tracker for the module, with the sites london (a folder here) and rome (none yet)."""
    folder = tmp_path_factory.mktemp("cli")
    with Up(folder, EVERYSITE_ADMIN_PASSWORD=PASSWORD) as running:
        (folder / "london").mkdir()
        (folder / "london" / "a.txt").write_text("hello")
        quiet = ["--set", "enableDiscovery=false"]  # what is published is said by the tests, not found by the agent
        assert running.everysite("site", "add", "london", str(folder / "london"), *quiet).returncode == 0
        assert running.everysite("site", "add", "rome").returncode == 0
        yield running


def names(everysite: Everysite) -> list[str]:
    return sorted(site["name"] for site in everysite.json("site", "list"))


def settings(site: dict[str, Any]) -> dict[str, Any]:
    """A site without what its agent says of itself."""
    told = ("agent", "last_", "exit_", "stderr_", "scan_", "error", "lastConnection", "bytes")
    return {
        **site,
        "agent": "",
        "seen": 0,
        "element": {k: v for k, v in site["element"].items() if not k.startswith(told)},
    }


# --- sites ----------------------------------------------------------------------------------------------------------


def test_a_site_is_added_set_paused_shown_and_removed(up: Up) -> None:
    everysite = up.everysite
    words = ["--prefix", "/shots", "--direction", "receive", "--set", "sleepBetweenScans=30", "--set", "note=a b"]
    added = everysite.json("site", "add", "oslo", *words)
    assert added["url"] == up.url
    assert added["token"].startswith("es1.")
    [mapping] = added["mappings"]
    assert (mapping["prefix"], mapping["direction"]) == ("/shots/", "receive")
    assert everysite("site", "set", "oslo", "sleepBetweenScans=5", "note=null").returncode == 0
    element = everysite.json("site", "show", "oslo")["element"]
    assert element["sleepBetweenScans"] == 5
    assert "note" not in element
    assert everysite("site", "pause", "oslo").returncode == 0
    assert everysite.json("site", "show", "oslo")["paused"] is True
    assert everysite("site", "resume", "oslo").returncode == 0
    assert everysite.json("site", "show", "oslo")["paused"] is False
    assert everysite.json("site", "token", "oslo")["token"] != added["token"]
    assert everysite("site", "remove", "oslo").returncode == 0
    assert "oslo" not in names(everysite)


def test_a_site_without_folder_gets_the_line_to_type(up: Up) -> None:
    done = up.everysite.process("site", "token", "rome")
    assert f"everysite join {up.url} es1." in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add"], 2, "NAME"),
        (["add", "no spaces"], 2, "no spaces"),
        (["add", "local"], 2, "reserved"),
        (["add", "ROME"], 4, "rome"),
        (["add", "oslo", "nowhere"], 4, "mkdir"),
        (["add", "oslo", "file:///nowhere/at/all"], 4, "mkdir"),
        (["add", "oslo", "london/a.txt"], 2, "no folder"),
        (["add", "oslo", "london"], 4, "overlaps"),
        (["add", "oslo", "."], 4, "overlaps"),
        (["add", "oslo", "s3://bucket/x"], 2, "s3://bucket/x"),
        (["add", "oslo", "--set", "sleepBetweenScans"], 2, "key=value"),
        (["add", "oslo", "--set", "sleepBetweenScans=often"], 2, "sleepBetweenScans"),
        (["add", "oslo", "--prefix", "/../x"], 2, ".."),
        (["add", "oslo", "--direction", "sideways"], 2, "sideways"),
        (["show", "nobody"], 4, "nobody"),
        (["set", "nobody", "a=1"], 4, "nobody"),
        (["set", "rome"], 2, "nothing to change"),
        (["set", "rome", "name=paris"], 2, "name"),
        (["set", "rome", "paused=perhaps"], 2, "paused"),
        (["pause", "nobody"], 4, "nobody"),
        (["resume", "nobody"], 4, "nobody"),
        (["remove", "nobody"], 4, "nobody"),
        (["token", "nobody"], 4, "nobody"),
        (["dance"], 2, "dance"),
        ([], 2, "add|list"),
    ],
)
def test_bad_site_words_change_nothing(up: Up, words: list[str], code: int, said: str) -> None:
    before = [settings(site) for site in up.everysite.json("site", "list")]
    done = up.everysite("site", *words)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert [settings(site) for site in up.everysite.json("site", "list")] == before


# --- files ----------------------------------------------------------------------------------------------------------


def test_publish_translates_a_file_of_the_site_and_tells_of_it(up: Up) -> None:
    everysite = up.everysite
    first = everysite.process("publish", "london/a.txt", "/made/up.exr", "--origin", "london", "--comment", "new")
    assert (first.returncode, first.stdout) == (0, "2 published\n"), first.stderr
    again = everysite("publish", "london/a.txt", "--origin", "london")
    assert again.returncode != 0
    assert "/a.txt" in again.stderr
    assert everysite.json("log", "/a.txt")["entries"]
    why = everysite.json("why", "/a.txt", "rome")
    assert why["state"]
    assert "rome" in why["sentence"]


def test_publish_to_one_site_with_a_priority(up: Up) -> None:
    done = up.everysite.json("publish", "/only/rome.exr", "--origin", "london", "--to", "rome", "--priority", "7")
    assert done == {"published": ["/only/rome.exr"], "tracked": [], "arrived": None}


def test_waiting_ends_in_time_and_says_why(up: Up) -> None:
    done = up.everysite("publish", "/never/there.exr", "--origin", "london", "--wait", "--timeout", "0.3")
    assert done.returncode == 1
    assert "/never/there.exr" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["publish", "/x.exr"], 2, "--origin"),
        (["publish", "--origin", "london"], 2, "PATH"),
        (["publish", "/x.exr", "--origin", "nobody"], 4, "nobody"),
        (["publish", "/x.exr", "--origin", "london", "--to", "nobody"], 4, "nobody"),
        (["publish", "/x.exr", "--origin", "london", "--priority", "high"], 2, "high"),
        (["publish", "/x.exr", "--origin", "london", "--timeout", "5"], 2, "--wait"),
        (["publish", "x.exr", "--origin", "london"], 2, "x.exr"),
        (["publish", "/a/../b", "--origin", "london"], 2, ".."),
        (["publish", "london", "--origin", "london"], 2, "london"),
        (["why", "/x.exr"], 2, "SITE"),
        (["why", "x.exr", "rome"], 2, "x.exr"),
        (["why", "/x.exr", "nobody"], 4, "nobody"),
        (["log"], 2, "PATH"),
        (["log", "x.exr"], 2, "x.exr"),
        (["log", "/x.exr", "--limit", "0"], 2, "--limit"),
        (["status", "rome"], 2, "rome"),
        (["status", "--every", "often"], 2, "often"),
    ],
)
def test_bad_file_words_publish_nothing(up: Up, words: list[str], code: int, said: str) -> None:
    before = up.everysite.json("status")["elements"]
    done = up.everysite(*words)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert up.everysite.json("status")["elements"] == before


def test_status_is_a_table_and_json(up: Up) -> None:
    lines = up.everysite.process("status").stdout.splitlines()
    assert lines[0].split()[:3] == ["site", "agent", "files"]
    assert [line.split()[0] for line in lines[1:3]] == ["london", "rome"]
    assert {site["name"] for site in up.everysite.json("status")["sites"]} >= {"london", "rome"}


# --- users and tokens -----------------------------------------------------------------------------------------------


def test_a_user_comes_signs_in_and_goes(up: Up, tmp_path: Path) -> None:
    everysite = up.everysite
    (tmp_path / "password").write_text("first\n")
    assert everysite("user", "add", "ann", "--password-file", str(tmp_path / "password")).returncode == 0
    assert everysite("user", "set", "@ann", "--class", "editor", "--email", "ann@example.org").returncode == 0
    assert {"username": "ann", "class": "editor"}.items() <= {
        key: value
        for user in everysite.json("user", "list")
        if user["username"] == "ann"
        for key, value in user.items()
    }.items()
    elsewhere = Everysite(tmp_path, tmp_path / "no-home")
    assert elsewhere("status", "--tracker", up.url).returncode == 4
    signed = elsewhere.process("sign-in", up.url, "--user", "ann", environ={"EVERYSITE_PASSWORD": "first"})
    assert signed.returncode == 0, signed.stderr
    file = tmp_path / "config" / "everysite" / "tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "first" not in file.read_text()
    assert elsewhere("status", "--tracker", up.url).returncode == 0
    assert elsewhere("user", "list", "--tracker", up.url).returncode == 4  # an editor is no admin
    token = json.loads(file.read_text())[up.url]["token"]
    assert elsewhere("sign-out").returncode == 0
    assert json.loads(file.read_text()) == {}
    assert elsewhere("status", environ={"EVERYSITE_TRACKER": up.url, "EVERYSITE_TOKEN": token}).returncode == 4
    assert everysite("user", "remove", "ann").returncode == 0
    assert "ann" not in [user["username"] for user in everysite.json("user", "list")]


def test_a_token_for_a_program(up: Up, tmp_path: Path) -> None:
    made = up.everysite("token", "add", "render farm", "--expires", "1h")
    token = made.stdout.strip()
    elsewhere = Everysite(tmp_path, tmp_path / "no-home")
    environ = {"EVERYSITE_TRACKER": up.url, "EVERYSITE_TOKEN": token}
    assert elsewhere("status", environ=environ).returncode == 0
    [entry] = [each for each in up.everysite.json("token", "list") if each["label"] == "render farm"]
    assert up.everysite("token", "remove", str(entry["id"])).returncode == 0
    assert elsewhere("status", environ=environ).returncode == 4


def test_a_token_narrower_than_its_user(up: Up, tmp_path: Path) -> None:
    scope = ["--class", "editor", "--read-only", "--site", "rome", "--prefix", "/shots"]
    made = up.everysite("token", "add", "narrow", *scope)
    assert made.returncode == 0, made.stderr
    elsewhere = Everysite(tmp_path, tmp_path / "no-home")
    environ = {"EVERYSITE_TRACKER": up.url, "EVERYSITE_TOKEN": made.stdout.strip()}
    assert elsewhere("status", environ=environ).returncode == 0
    assert elsewhere("user", "list", environ=environ).returncode == 4
    refused = elsewhere("create", '{"_id": "/shots/x"}', environ=environ)
    assert "only reads" in refused.stderr
    [entry] = [each for each in up.everysite.json("token", "list") if each["label"] == "narrow"]
    assert [entry[key] for key in ("class", "readOnly", "site", "prefix")] == ["editor", True, "rome", "/shots/"]
    assert "editor read rome /shots/" in up.everysite("token", "list").stdout
    assert up.everysite("token", "remove", str(entry["id"])).returncode == 0


def test_the_audit_is_a_table_and_json(up: Up, tmp_path: Path) -> None:
    password = {"EVERYSITE_USER_PASSWORD": "one"}
    assert up.everysite("user", "add", "cleo", environ=password).returncode == 0
    assert up.everysite("user", "set", "cleo", "--class", "editor").returncode == 0
    entries = up.everysite.json("audit", "--limit", "2")
    assert [(e["who"], e["what"], e["subject"]) for e in entries] == [
        ("admin", "user added", "cleo"),
        ("admin", "user changed", "cleo"),
    ]
    assert up.everysite.json("audit", "--after", str(entries[0]["seq"]), "--what", "user changed") == entries[1:]
    assert 'class: "user" -> "editor"' in up.everysite("audit", "--who", "admin", "--limit", "1").stdout
    assert {"username": "cleo", "class": "editor"}.items() <= up.everysite.json("user", "show", "@cleo").items()
    assert "cleo" in up.everysite("user", "show", "cleo").stdout
    elsewhere = Everysite(tmp_path, tmp_path / "no-home")
    signed = {"EVERYSITE_PASSWORD": "one"}
    assert elsewhere("sign-in", up.url, "--user", "cleo", environ=signed).returncode == 0
    new = {"EVERYSITE_USER_PASSWORD": "two", "EVERYSITE_TRACKER": up.url}
    assert elsewhere("audit", environ=new).returncode == 4
    assert elsewhere("user", "password", environ=new).returncode == 0
    assert elsewhere("status", environ=new).returncode == 4  # that token ended too
    assert elsewhere("sign-in", up.url, "--user", "cleo", environ={"EVERYSITE_PASSWORD": "two"}).returncode == 0
    refused = elsewhere("user", "reset", "-", "--tracker", up.url, environ=new, stdin="no.such.word\n")
    assert refused.returncode == 4 and "used up" in refused.stderr
    assert up.everysite("user", "remove", "cleo").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["user", "show", "nobody"], 4, "nobody"),
        (["user", "reset", "word"], 2, "--tracker"),
        (["token", "add", "x", "--class", "king"], 2, "king"),
        (["token", "add", "x", "--site", "nowhere"], 4, "nowhere"),
        (["token", "add", "x", "--prefix", "shots"], 2, "shots"),
        (["audit", "--limit", "many"], 2, "many"),
        (["user", "add", "bob"], 2, "EVERYSITE_USER_PASSWORD"),
        (["user", "add", "bob", "--password", "secret"], 2, "--password"),
        (["user", "add", "bob", "--password-file", "/nowhere"], 4, "/nowhere"),
        (["user", "add", "bob", "--password-file", "-"], 2, "empty"),
        (["user", "add", "admin", "--password-file", "-"], 4, "admin"),
        (["user", "add", "bob", "--class", "king"], 2, "king"),
        (["user", "set", "nobody", "--class", "user"], 4, "nobody"),
        (["user", "set", "admin"], 2, "nothing to change"),
        (["user", "set", "admin", "--class", "user"], 4, "last admin"),
        (["user", "set", "admin", "--disable"], 4, "last admin"),
        (["user", "remove", "nobody"], 4, "nobody"),
        (["user", "remove", "admin"], 4, "last admin"),
        (["user"], 2, "add|list"),
        (["token", "add"], 2, "LABEL"),
        (["token", "add", "x", "--expires", "soon"], 2, "soon"),
        (["token", "add", "x", "--user", "nobody"], 4, "nobody"),
        (["token", "remove", "4000"], 4, "4000"),
        (["token", "remove", "first"], 2, "first"),
        (["sign-in", "ftp://x"], 2, "ftp://x"),
        (["sign-in", "http://127.0.0.1:1", "--password-file", "-"], 3, "127.0.0.1"),
        (["sign-out", "http://127.0.0.1:1"], 4, "not signed in"),
        (["sign-out"], 4, "not signed in"),
    ],
)
def test_bad_words_about_access_change_nothing(up: Up, words: list[str], code: int, said: str) -> None:
    before = up.everysite.json("user", "list"), up.everysite.json("token", "list")
    done = up.everysite(*words)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    users, tokens = up.everysite.json("user", "list"), up.everysite.json("token", "list")
    assert users == before[0]
    assert [t["id"] for t in tokens] == [t["id"] for t in before[1]]


def test_a_wrong_password_is_refused_and_nothing_is_kept(up: Up, tmp_path: Path) -> None:
    elsewhere = Everysite(tmp_path, tmp_path / "no-home")
    done = elsewhere("sign-in", up.url, environ={"EVERYSITE_PASSWORD": "wrong"})
    assert done.returncode == 4
    assert "sign in needed: " in done.stderr
    assert not (tmp_path / "config").exists()


# --- which tracker --------------------------------------------------------------------------------------------------


def test_without_a_tracker_the_way_out_is_said(tmp_path: Path) -> None:
    alone = Everysite(tmp_path)
    for words in (["status"], ["site", "list"], ["publish", "/x", "--origin", "a"], ["why", "/x", "a"], ["log", "/x"]):
        done = alone(*words)
        assert (done.returncode, done.stdout) == (3, "")
        assert "everysite up" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["127.0.0.1:8090", "http://", "http://a:b@host", "http://host:0x", "http://host/?q=1"])
def test_an_address_that_is_none(tmp_path: Path, url: str) -> None:
    done = Everysite(tmp_path)("status", "--tracker", url)
    assert done.returncode == 2
    assert "http://127.0.0.1:8090" in done.stderr


def test_a_tracker_that_does_not_answer(tmp_path: Path) -> None:
    environ = {"EVERYSITE_TOKEN": "a.b.c"}
    done = Everysite(tmp_path)("status", "--tracker", "http://127.0.0.1:1", environ=environ)
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config" / "everysite" / "tokens.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    done = Everysite(tmp_path)("status", "--tracker", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert str(file) in done.stderr


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_are_shown_set_and_checked(tmp_path: Path) -> None:
    everysite = Everysite(tmp_path)
    assert everysite("config", "set", "server.port", "9000").returncode == 0
    [entry] = everysite.json("config", "show", "server.port")
    assert (entry["value"], entry["source"]) == (9000, str(everysite.home / "everysite.toml"))
    assert everysite("config", "check").returncode == 0
    wrong = everysite("config", "check", environ={"EVERYSITE_SERVER__PROT": "1"})
    assert wrong.returncode == 2
    assert "server.port" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["set", "server.prot", "1"], 2, "server.port"),
        (["set", "server.port", "many"], 2, "many"),
        (["set", "server.port"], 2, "VALUE"),
        (["show", "sever"], 4, "sever"),
        (["clear"], 2, "clear"),
        ([], 2, "show|set"),
    ],
)
def test_bad_settings_write_nothing(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    done = Everysite(tmp_path)("config", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert not os.listdir(tmp_path)
