"""The JavaScript client in Node, as it is served. What runs is tests/clients/javascript; Chromium's turn is in tests/system."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.clients.conftest import Tracked, fetched, serving

from everysite.web.options import Options

PROGRAMS = Path(__file__).parent / "javascript"


def node(folder: Path, name: str, program: str) -> str:
    """What a program prints; it has to end by itself and without an error."""
    (folder / name).write_text(program)
    done = subprocess.run(["node", name], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tracked: Tracked, tmp_path: Path) -> Path:
    for name in ("damas.js", "damas.mjs"):
        (tmp_path / name).write_bytes(fetched(f"{tracked.url}/js/{name}").body)
    (tmp_path / "calls.js").write_bytes((PROGRAMS / "calls.js").read_bytes())
    return tmp_path


def test_every_call_in_every_way(folder: Path) -> None:
    program = """
        const damas = require("./damas.js");
        require("./calls.js").checkCalls(damas, "/node").then(console.log);
    """
    assert node(folder, "main.js", program) == "all calls\n"


def test_as_a_module(folder: Path) -> None:
    program = """
        import damas from "./damas.js";
        console.log(damas.signIn("admin", "a-password").username, damas.verify());
    """
    assert node(folder, "main.mjs", program) == "admin true\n"


def test_a_program_without_an_address_is_told(folder: Path) -> None:
    program = """
        const damas = require("./damas.js").connect();
        try { damas.verify(); } catch (error) { console.log(error.message); }
    """
    assert "damas.server has to be the address of a tracker" in node(folder, "main.js", program)


def test_threads_of_calls_that_block_and_that_do_not(folder: Path) -> None:
    """A call that blocks gets its own answer while others are on their way."""
    program = """
        const damas = require("./damas.js");
        damas.signIn("admin", "a-password");
        const ways = [];
        for (let n = 0; n < 30; n++) {
          ways.push(damas.async.create({ _id: "/mixed/async/" + n, n }).then((element) => element.n));
          if (damas.create({ _id: "/mixed/sync/" + n, n }).n !== n) throw new Error("the answer of another call");
        }
        Promise.all(ways).then((found) => console.log(found.every((n, i) => n === i), damas.search("_id:/mixed/").length));
    """
    assert node(folder, "main.js", program) == "true 60\n"


def test_a_listener_that_fails_is_not_swallowed(folder: Path) -> None:
    program = """
        const damas = require("./damas.js");
        damas.signIn("admin", "a-password");
        process.on("uncaughtException", (error) => { console.log(error.message); process.exit(0); });
        damas.changes({ open: () => damas.create({ _id: "/listener" }), change() { throw new Error("mine"); } });
    """
    assert node(folder, "main.js", program) == "mine\n"


def test_below_a_base_path(tmp_path: Path) -> None:
    with serving(tmp_path, Options(base_path="/sync")) as tracked:
        (tmp_path / "damas.js").write_bytes(fetched(tracked.url + "/js/damas.js").body)
        program = 'const damas = require("./damas.js"); console.log(damas.server, damas.signIn("admin", "a-password").username);'
        assert node(tmp_path, "main.js", program) == f"{tracked.url} admin\n"
