"""The shell client, as it is served, with a real curl: its exit codes, where it keeps the token, what others could see."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.api.conftest import PASSWORD
from tests.clients.conftest import Tracked, fetched, serving

from everysite.web.options import Options

SHELLS = [name for name in ("dash", "bash", "busybox") if shutil.which(name)]


@dataclass
class Shell:
    """The client as a program of a user of its own. `run` answers (exit code, output); refusals are in `said`."""

    home: Path
    shell: str = "sh"
    said: str = ""

    def run(self, *words: str, stdin: str = "", **environ: str) -> tuple[int, str]:
        shell = [self.shell, "sh"] if self.shell == "busybox" else [self.shell]
        done = subprocess.run(
            [*shell, str(self.home / "damas"), *words], input=stdin, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.home), **environ}, timeout=60,
        )  # fmt: skip
        self.said = done.stderr
        return done.returncode, done.stdout

    def kept(self) -> list[Path]:
        return list((self.home / ".local" / "state" / "damas").iterdir())


def installed(tracked: Tracked, home: Path, shell: str = "sh") -> Shell:
    (home / "damas").write_bytes(fetched(tracked.url + "/cli/damas").body)
    return Shell(home, shell)


@pytest.fixture
def shell(tracked: Tracked, tmp_path: Path) -> Iterator[Shell]:
    made = installed(tracked, tmp_path)
    assert made.run("signin", "admin", PASSWORD) == (0, "")
    yield made
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("damas.")] == []  # nothing is left behind


@pytest.mark.parametrize("kind", SHELLS)
def test_it_ends_with_the_code_of_the_status(tracked: Tracked, tmp_path: Path, kind: str) -> None:
    shell = installed(tracked, tmp_path, kind)
    assert shell.run("signin", "admin", "wrong")[0] == 41
    assert shell.run("verify")[0] == 41
    assert shell.run("signin", stdin=f"admin\n{PASSWORD}\n") == (0, "")
    assert json.loads(shell.run("verify")[1])["username"] == "admin"
    code, said = shell.run("create", json.dumps({"_id": f"/{kind}/a b", "k": kind}))
    assert (code, json.loads(said)["_id"]) == (0, f"/{kind}/a b")
    assert shell.run("create", json.dumps({"_id": f"/{kind}/a b"}))[0] == 49
    assert "Conflict" in shell.said
    assert shell.run("-q", "create", "{")[0] == 40
    assert shell.said == ""
    assert json.loads(shell.run("read", f"/{kind}/a b")[1])["k"] == kind
    assert shell.run("read", "/none")[0] == 44
    assert shell.run("read", f"/{kind}/a b", "/none")[0] == 7
    assert shell.run("-l", "search", f"k:/^{kind}$/") == (0, f"/{kind}/a b\n")
    assert shell.run("lock", f"/{kind}/a b")[0] == 0
    assert shell.run("lock", "/none")[0] == 44
    assert shell.run("delete", "-", stdin=json.dumps([f"/{kind}/a b"]))[0] == 0
    assert shell.run("signout") == (0, "")
    assert shell.run("verify")[0] == 41


def test_every_verb(shell: Shell) -> None:
    item = {"_id": "/sh/a", "origin": "rome", "comment": "x", "file": "/sh/a"}
    assert shell.run("publish", json.dumps(item))[0] == 0
    assert shell.run("publish", json.dumps(item))[0] == 49
    said = {"#parent": "/sh/a", "comment": 'it\'s "fine" $HOME \\n'}
    assert json.loads(shell.run("comment", json.dumps(said))[1])["comment"] == said["comment"]
    assert json.loads(shell.run("update", '{"_id": "/sh/a", "n": 1}')[1])["n"] == 1
    upserted = json.loads(shell.run("upsert", '[{"_id": "/sh/a", "m": 1}, {"_id": "/sh/b", "m": 1}]')[1])
    assert [element["_id"] for element in upserted] == ["/sh/b", "/sh/a"]
    assert json.loads(shell.run("version", "/sh/a", '{"file": "/sh/a2"}')[1])["version"] == 2
    assert json.loads(shell.run("search_one", "file:/sh/a2")[1])["_id"] == "/sh/a"
    assert json.loads(shell.run("search_mongo", '{"_id": "/sh/b"}')[1]) == {"count": 1, "ids": ["/sh/b"]}
    assert shell.run("-l", "search_mongo", "{}", '{"_id": 1}', "2", "0")[1].count("\n") == 2
    shell.run("create", '{"_id": "sh-link", "src_id": "/sh/a", "tgt_id": "/sh/b"}')
    assert [element["_id"] for element in json.loads(shell.run("graph", "/sh/b")[1])] == ["/sh/b", "/sh/a", "sh-link"]
    assert json.loads(shell.run("graph_forwards", '["/sh/a"]')[1]) == ["/sh/a", "/sh/b", "sh-link"]
    assert shell.run("-l", "graph_backwards", "/sh/b")[1] == "/sh/b\n/sh/a\nsh-link\n"
    assert shell.run("lock", "/sh/a", "/sh/b")[0] == 0
    assert shell.run("unlock", "/sh/a", "/sh/b")[0] == 0
    assert shell.run("unlock", "/sh/a")[0] == 49
    token = json.loads(shell.run("createtoken", "2h")[1])
    assert shell.run("signout")[0] == 0
    assert shell.run("verify", DAMAS_TOKEN=token)[0] == 0
    assert shell.run("create", "{}", DAMAS_TOKEN="wrong")[0] == 41


def test_odd_identifiers_and_lines(shell: Shell) -> None:
    odd = ["/odd/ä;.*?<>#%", '/odd/"q"', "/odd/back\\slash", "/odd/a,b", "/odd/[x]"]
    assert shell.run("create", json.dumps([{"_id": name, "odd": True} for name in odd]))[0] == 0
    for name in odd:
        assert json.loads(shell.run("read", name)[1])["_id"] == name
    assert [element["_id"] for element in json.loads(shell.run("read", *odd)[1])] == odd
    found = shell.run("-l", "search", "odd:true")[1].splitlines()
    assert [json.loads(line) if line.startswith('"') else line for line in found] == odd
    elements = shell.run("--lines", "read", *odd)[1].splitlines()
    assert [json.loads(line)["_id"] for line in elements] == odd
    assert shell.run("--lines", "search", "odd:nothing") == (0, "")
    assert shell.run("read", "-", stdin=shell.run("search", "odd:true")[1])[0] == 0


def test_who_may_not_is_told(tracked: Tracked, shell: Shell) -> None:
    assert shell.run("create", "{}", DAMAS_TOKEN=tracked.api.tokens["guest"])[0] == 43
    assert "Forbidden" in shell.said


def test_usage_and_servers(tmp_path: Path, shell: Shell) -> None:
    assert shell.run()[0] == shell.run("creat", "{}")[0] == shell.run("--odd")[0] == shell.run("create")[0] == 1
    assert "search_mongo QUERY" in shell.run("--help")[1]
    assert shell.run("-s", "http://127.0.0.1:1", "verify")[0] == 3
    assert "does not answer" in shell.said
    bare = (shell.home / "damas").read_text()
    (shell.home / "damas").write_text(re.sub('SERVED_BY="[^"]*"', 'SERVED_BY="@SERVER@"', bare))
    assert shell.run("verify")[0] == 2
    server = re.findall('SERVED_BY="([^"]*)"', bare)[0]
    assert shell.run("verify", DAMAS_SERVER=server)[0] == 0
    assert shell.run("-v", "-s", server + "/api/", "verify")[0] == 0
    assert shell.said == "200\n"


def test_the_token_is_its_users_alone_and_nobody_sees_it(tracked: Tracked, shell: Shell, tmp_path: Path) -> None:
    [file] = shell.kept()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    seen = tmp_path / "seen"
    spy = tmp_path / "bin" / "curl"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{seen}\nexec {shutil.which("curl")} "$@"\n')
    spy.chmod(0o755)
    path = f"{spy.parent}:{os.environ['PATH']}"
    assert shell.run("verify", PATH=path)[0] == 0
    assert shell.run("signin", stdin=f"admin\n{PASSWORD}\n", PATH=path)[0] == 0
    told = seen.read_text()
    assert "api/verify" in told
    assert PASSWORD not in told
    assert file.read_text().strip() not in told
    assert "Bearer" not in told


def test_below_a_base_path(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    with serving(tmp_path, Options(base_path="/sync")) as tracked:
        shell = installed(tracked, tmp_path / "user")
        assert shell.run("signin", "admin", PASSWORD)[0] == 0
        assert shell.run("verify")[0] == 0
