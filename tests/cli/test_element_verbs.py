"""The verbs of elements, against a real tracker: words, JSON, lines, and the exit codes of shell clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.processes import PASSWORD, Everysite, Up

from everysite.cli import GROUPS, VERBS
from everysite.cli.element_verbs import BY_NAME, shell_code
from everysite.cli.element_words import comments, identifiers, objects
from everysite.errors import (
    BadRequest,
    Conflict,
    EverysiteError,
    Forbidden,
    NotFound,
    PathRefused,
    Refused,
    SignInNeeded,
    SiteUnreachable,
    StaleLease,
    TargetFull,
    TooLarge,
    TooManyAttempts,
    Transient,
)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One tracker for the module, with the site rome."""
    with Up(tmp_path_factory.mktemp("elements"), EVERYSITE_ADMIN_PASSWORD=PASSWORD) as running:
        assert running.everysite("site", "add", "rome").returncode == 0
        yield running


@pytest.fixture(scope="module")
def user(up: Up, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of somebody of class user."""
    assert up.everysite("user", "add", "ann", environ={"EVERYSITE_USER_PASSWORD": "one"}).returncode == 0
    token = up.everysite("token", "add", "cli", "--user", "ann").stdout.strip()
    return {"EVERYSITE_TRACKER": up.url, "EVERYSITE_TOKEN": token}


def answer(up: Up, *words: str, code: int = 0, stdin: str = "", environ: dict[str, str] | None = None) -> Any:
    """What a verb answers; it has to end with this code."""
    done = up.everysite(*words, stdin=stdin, environ=environ)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def piped(up: Up, *words: str, stdin: str, code: int = 0) -> str:
    """The same in a process of its own, whose input are these bytes."""
    done = up.everysite.process(*words, stdin=stdin)
    assert done.returncode == code, done.stderr
    return done.stdout


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (['{"_id": "/a"}'], {"_id": "/a"}),
        (['[{"_id": "/a"}]'], [{"_id": "/a"}]),
        (['{"a": 1}', '[{"b": 2}, {"c": 3}]'], [{"a": 1}, {"b": 2}, {"c": 3}]),
        (["/a", "n=1", "text=a b"], {"_id": "/a", "n": 1, "text": "a b"}),
        (["/a", "/b", "n=null"], {"_id": ["/a", "/b"], "n": None}),
        (["/a=b", '{"n": [1]}', "m=true"], {"_id": "/a=b", "n": [1], "m": True}),
        (["@ann", "fullname=Ann"], {"_id": "@ann", "fullname": "Ann"}),
        (["n=1"], {"n": 1}),
        (["_id=x=y", "n=1"], {"_id": "x=y", "n": 1}),
    ],
)
def test_objects_are_json_or_words(words: list[str], body: Any) -> None:
    assert objects(words) == body


@pytest.mark.parametrize("words", [["{"], ["[1,]"], ["/a", "[1]"], ['{"a": NaN}'], ['{"a": 1} x']])
def test_what_is_no_object(words: list[str]) -> None:
    with pytest.raises(BadRequest):
        objects(words)


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["/a"], "/a"),
        (["/a", "/b,c"], ["/a", "/b,c"]),
        (['["/a"]'], ["/a"]),
        (['"{odd}"'], "{odd}"),
        (['["/a"]', "/b"], ["/a", "/b"]),
        (["n=1"], "n=1"),
    ],
)
def test_identifiers_are_words_or_json(words: list[str], body: Any) -> None:
    assert identifiers(words) == body


def test_a_comment_is_elements_and_a_text() -> None:
    assert comments(["/a", "k=v fine"]) == {"#parent": "/a", "comment": "k=v fine"}
    assert comments(["/a", "/b", "fine"]) == {"#parent": ["/a", "/b"], "comment": "fine"}
    assert comments(['{"#parent": "/a", "comment": "x"}']) == {"#parent": "/a", "comment": "x"}
    with pytest.raises(BadRequest, match="everysite comment"):
        comments(["/a"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequest(), 40),
        (PathRefused(), 40),
        (SignInNeeded(), 41),
        (Forbidden(), 43),
        (NotFound(), 44),
        (Conflict(), 49),
        (StaleLease(), 49),
        (EverysiteError(), 50),
        (TooLarge(), 60),
        (TooManyAttempts("x"), 60),
        (Refused(), 60),
        (Transient(), 60),
        (TargetFull(), 60),
        (SiteUnreachable(), 3),
    ],
)
def test_every_status_has_its_exit_code(error: EverysiteError, code: int) -> None:
    assert shell_code(error) == code


def test_every_verb_is_on_the_command_line() -> None:
    """Decisions C 2."""
    wanted = "create read update upsert delete search search_one search_mongo graph lock unlock comment publish version"
    assert set(wanted.split()) <= set(VERBS)
    assert {name for name, (module, _) in VERBS.items() if ":" in module} < set(BY_NAME)
    assert all(module == f"element_verbs:{name}" for name, (module, _) in VERBS.items() if ":" in module)
    assert sum(map(len, GROUPS.values())) == len(VERBS)


# --- verbs ----------------------------------------------------------------------------------------------------------


def test_an_element_comes_changes_and_goes(up: Up) -> None:
    made = answer(up, "create", '{"_id": "/one", "n": 1}')
    assert (made["_id"], made["n"], made["author"]) == ("/one", 1, "admin")
    assert answer(up, "read", "/one") == made
    assert answer(up, "read", '["/one"]') == [made]
    changed = answer(up, "update", "/one", "n=2", "text=hello there", "author=null")
    assert (changed["n"], changed["text"]) == (2, "hello there")
    assert answer(up, "upsert", '[{"_id": "/one", "n": 3}, {"_id": "/two", "n": 4}]')[0]["_id"] == "/two"
    assert answer(up, "delete", "/one", "/two") == ["/one", "/two"]
    assert answer(up, "read", "/one", code=44) is None


def test_some_are_there(up: Up) -> None:
    answer(up, "create", "/some/a", "n=1")
    done = up.everysite("read", "/some/a", "/some/b")
    assert done.returncode == 7
    assert [item and item["_id"] for item in json.loads(done.stdout)] == ["/some/a", None]
    assert "null" in done.stderr
    assert answer(up, "create", '[{"_id": "/some/a"}, {"_id": "/some/c"}]', code=7)[0] is None
    assert answer(up, "create", "/some/a", code=49) is None
    assert answer(up, "delete", "/some/a", "/some/none", code=7) == ["/some/a", None]


def test_searches_find(up: Up) -> None:
    answer(up, "create", '[{"_id": "/find/a", "kind": "sought", "n": 5}, {"_id": "/find/b", "kind": "sought", "n": 9}]')
    assert answer(up, "search", "kind:sought") == ["/find/a", "/find/b"]
    assert answer(up, "search", "kind:sought", "n>5") == ["/find/b"]
    assert answer(up, "search", "kind:sought n<9") == ["/find/a"]
    assert answer(up, "search", "kind:nothing") == []
    assert answer(up, "search_one", "kind:sought")["_id"] == "/find/a"
    assert answer(up, "search-one", "kind:nothing") is None
    mongo = '{"query": {"kind": "sought"}, "sort": {"n": -1}, "limit": 1}'
    assert answer(up, "search_mongo", mongo) == {"count": 2, "ids": ["/find/b"]}
    assert answer(up, "search_mongo", '{"query": {"$where": "1"}}', code=40) is None


def test_the_answer_of_one_verb_feeds_the_next(up: Up) -> None:
    answer(up, "create", '[{"_id": "/feed/a", "kind": "food"}, {"_id": "/feed/b", "kind": "food"}]')
    found = up.everysite("search", "kind:food").stdout
    assert [item["_id"] for item in json.loads(piped(up, "read", "-", stdin=found))] == ["/feed/a", "/feed/b"]
    assert json.loads(piped(up, "delete", "--file", "-", stdin=found)) == ["/feed/a", "/feed/b"]


def test_graphs_are_walked(up: Up) -> None:
    link = {"_id": "link", "src_id": "/graph/src", "tgt_id": "/graph/tgt"}
    answer(up, "create", json.dumps([{"_id": "/graph/src"}, {"_id": "/graph/tgt"}, link]))
    assert [item["_id"] for item in answer(up, "graph", "/graph/tgt")] == ["/graph/tgt", "/graph/src", "link"]
    assert "/graph/src" in answer(up, "graph_backwards", "/graph/tgt", "--depth", "1")
    assert "/graph/tgt" in answer(up, "graph_forwards", "/graph/src")
    assert answer(up, "graph", "/graph/none", code=44) is None
    assert answer(up, "graph_delete", "/graph/src") == "/graph/src"
    assert answer(up, "read", "link", code=44) is None


def test_locks_are_mine_or_somebody_elses(up: Up, user: dict[str, str]) -> None:
    answer(up, "create", "/lock/a")
    assert answer(up, "lock", "/lock/a")["lock"] == "admin"
    assert answer(up, "lock", "/lock/a", code=49, environ=user) is None
    assert answer(up, "unlock", "/lock/a", code=49, environ=user) is None
    assert "lock" not in answer(up, "unlock", "/lock/a")
    assert answer(up, "unlock", "/lock/none", code=44) is None


def test_comments_and_versions_are_children(up: Up) -> None:
    answer(up, "create", "/child/a", "file=/child/a.exr")
    said = answer(up, "comment", "/child/a", "looks fine")
    assert (said["#parent"], said["comment"], said["author"]) == ("/child/a", "looks fine", "admin")
    new = answer(up, "version", "/child/a", "file=/child/a_2.exr", "note=second")
    assert (new["_id"], new["file"], new["note"]) == ("/child/a", "/child/a_2.exr", "second")
    assert answer(up, "version", "/child/a", '{"note": "no file"}', code=40) is None
    assert answer(up, "version", "/child/none", "file=/x", code=44) is None


def test_version_alone_is_that_of_the_program(up: Up) -> None:
    assert up.everysite("version").stdout.startswith("everysite ")
    assert "python" in answer(up, "version", "--json")


def test_publish_takes_json_too(up: Up) -> None:
    item = {"_id": "/pub/a.exr", "origin": "rome", "comment": "x", "own": [1]}
    element, child = answer(up, "publish", json.dumps(item))
    assert (element["own"], child["#parent"]) == ([1], "/pub/a.exr")
    assert answer(up, "publish", json.dumps(item), code=49) is None
    assert answer(up, "publish", json.dumps([item, {**item, "_id": "/pub/b.exr"}]), code=7)[0] is None
    assert answer(up, "publish", '{"_id": "/pub/c.exr"}', code=40) is None
    assert json.loads(piped(up, "publish", "-", stdin=json.dumps({**item, "_id": "/pub/d.exr"})))


def test_a_path_that_looks_like_json_is_a_path_with_an_origin(up: Up) -> None:
    done = up.everysite("publish", "/{odd}.exr", "--origin", "rome")
    assert (done.returncode, done.stdout) == (0, "1 published\n"), done.stderr
    wrong = up.everysite("publish", "{odd}.exr", "--origin", "rome")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "{odd}.exr is no file" in wrong.stderr


def test_guests_and_users_may_less(up: Up, user: dict[str, str]) -> None:
    assert answer(up, "create", "/mine", environ=user)["author"] == "ann"
    assert answer(up, "update", "/mine", "n=1", code=43, environ=user) is None
    assert answer(up, "delete", "/mine", code=43, environ=user) is None
    assert answer(up, "read", "/mine", environ={**user, "EVERYSITE_TOKEN": "a.b.c"}, code=41) is None


# --- lines, files, odd names ----------------------------------------------------------------------------------------


def test_lines_go_in_and_out_in_batches(up: Up, tmp_path: Path) -> None:
    items = [{"_id": f"/lines/{n}", "n": n} for n in range(25)]
    text = "\n\n".join(map(json.dumps, items))
    made = [json.loads(line) for line in piped(up, "create", "--lines", "--batch", "10", stdin=text).splitlines()]
    assert [item["n"] for item in made] == list(range(25))
    again = piped(up, "create", "--lines", "--batch", "10", stdin=text, code=49)
    assert again.splitlines() == ["null"] * 25
    file = tmp_path / "ids"
    file.write_text('"/lines/1"\n"/lines/none"\n"/lines/2"\n')
    read = up.everysite("read", "--lines", "--batch", "1", "--file", str(file))
    assert read.returncode == 7
    assert [item and item["n"] for item in map(json.loads, read.stdout.splitlines())] == [1, None, 2]
    changed = piped(up, "update", "-", "--lines", stdin='{"_id": "/lines/1", "n": 100}\n')
    assert json.loads(changed)["n"] == 100


def test_a_bad_line_is_named_and_what_was_done_is_said(up: Up) -> None:
    done = up.everysite.process("create", "--lines", "--batch", "1", stdin='{"_id": "/bad/1"}\n{\n{"_id": "/bad/2"}\n')
    assert done.returncode == 40
    assert "line 2" in done.stderr
    assert "1 were done" in done.stderr
    assert json.loads(done.stdout)["_id"] == "/bad/1"
    assert answer(up, "read", "/bad/2", code=44) is None


@pytest.mark.parametrize("name", ["/odd/a,b", "/odd/ ;.*?<>#%", "/odd/é…", "a=b", "/odd/%41", '/odd/"q"'])
def test_odd_identifiers_are_kept(up: Up, name: str) -> None:
    assert answer(up, "create", json.dumps({"_id": name, "file": "/f"}))["_id"] == name
    assert answer(up, "read", name)["_id"] == name
    assert answer(up, "version", name, "file=/g")["_id"] == name
    assert [item["_id"] for item in answer(up, "graph", name)] == [name]
    assert answer(up, "delete", name) == name


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["create"], 2, "give JSON objects"),
        (["read"], 2, "give identifiers"),
        (["search"], 2, "a query"),
        (["version", "/a"], 2, "file=PATH"),
        (["graph", "/a", "--depth", "-1"], 2, "--depth"),
        (["graph", "/a", "--depth", "x"], 2, "--depth"),
        (["lock", "/a", "--lines"], 2, "--lines"),
        (["create", "--lines", "--batch", "0"], 2, "--batch"),
        (["create", "/a", "--file", "x"], 2, "not both"),
        (["create", "/a", "--lines"], 2, "--lines"),
        (["create", "{"], 40, "no JSON"),
        (["create", "[]"], 40, "empty"),
        (["create", "5=6", "[]"], 40, "only JSON objects"),
        (["update", "/a"], 40, "/a"),
        (["read", "[]"], 40, "empty"),
        (["read", ""], 40, "identifier"),
        (["comment", "/a"], 40, "everysite comment"),
        (["search_mongo", "{}", "{}"], 40, "one JSON object"),
        (["create", "--file", "/nowhere"], 60, "/nowhere"),
        (["publish", "{}", "--origin", "rome"], 2, "{} is no file"),
        (["publish", '{"_id": "/x"}', "--to", "rome"], 2, "JSON says origin"),
        (["publish", '{"_id": "/x"}', "--wait"], 2, "JSON"),
        (["publish", '{"_id": "/x"}', "/y"], 2, "--origin"),
    ],
)
def test_bad_words_change_nothing(up: Up, words: list[str], code: int, said: str) -> None:
    before = up.everysite.json("status")["elements"]
    done = up.everysite(*words)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert up.everysite.json("status")["elements"] == before


def test_nobody_there_is_3(tmp_path: Path) -> None:
    alone = Everysite(tmp_path)
    assert alone("read", "/a").returncode == 3
    environ = {"EVERYSITE_TOKEN": "a.b.c", "EVERYSITE_TRACKER": "http://127.0.0.1:1"}
    assert alone("read", "/a", environ=environ).returncode == 3
    assert alone("read", "/a", "--tracker", "http://127.0.0.1:1").returncode == 41


# --- indexes --------------------------------------------------------------------------------------------------------


def test_an_admin_adds_and_removes_an_index(up: Up, user: dict[str, str]) -> None:
    before = up.everysite.json("index", "list")["keys"]
    assert "#parent" in before
    assert up.everysite("index", "add", "frame.first").returncode == 0
    assert "frame.first" in up.everysite.process("index", "list").stdout.splitlines()
    assert up.everysite("index", "add", "type", environ=user).returncode == 4
    assert up.everysite("index", "remove", "frame.first").returncode == 0
    assert up.everysite.json("index", "list")["keys"] == before
    assert up.everysite("index", "remove", "frame.first").returncode == 4
    assert up.everysite("index", "add").returncode == 2
