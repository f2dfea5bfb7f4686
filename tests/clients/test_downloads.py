"""What is served for download: types, addresses, caching, and the one-file Python client as programs use it."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.api.conftest import PASSWORD
from tests.clients.conftest import Tracked, fetched, serving

from everysite.web.options import Options

KINDS = {
    "/js/damas.js": "text/javascript; charset=utf-8",
    "/js/damas.mjs": "text/javascript; charset=utf-8",
    "/py/damas.py": "text/x-python; charset=utf-8",
    "/py/damas_client.py": "text/x-python; charset=utf-8",
    "/cli/damas": "text/x-shellscript; charset=utf-8",
}


def imported(tracked: Tracked, folder: Path, name: str) -> Any:
    """A served Python file as a module."""
    path = folder / f"{name}.py"
    path.write_bytes(fetched(f"{tracked.url}/py/{name}.py").body)
    return module_of(path, name)


def module_of(path: Path, name: str) -> Any:
    """A file as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", KINDS)
def test_a_file_knows_its_tracker_and_may_be_kept(tracked: Tracked, path: str) -> None:
    answer = fetched(tracked.url + path)
    assert answer.status == 200
    assert answer.headers["content-type"] == KINDS[path]
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert f'"{tracked.url}"'.encode() in answer.body
    again = fetched(tracked.url + path, {"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", KINDS)
@pytest.mark.parametrize("host", ['x";alert(1)', "$(id)", "`id`", "x/y", "x y;z", "[::1", "ä"])
def test_a_host_that_is_none_gets_into_no_file(tracked: Tracked, path: str, host: str) -> None:
    answer = fetched(tracked.url + path, {"Host": host})
    assert answer.status in (200, 400)
    assert host.encode() not in answer.body or host == "ä"
    if answer.status == 200:
        assert b'"@SERVER@"' in answer.body


@pytest.mark.parametrize("path", ["/js", "/py/", "/cli"])
def test_each_language_has_a_page(tracked: Tracked, path: str) -> None:
    answer = fetched(tracked.url + path)
    assert answer.status == 200
    assert tracked.url in answer.body.decode()


def test_base_path_and_switch(tmp_path: Path) -> None:
    with serving(tmp_path, Options(base_path="/sync")) as tracked:
        assert tracked.url.endswith("/sync")
        assert f'"{tracked.url}"'.encode() in fetched(tracked.url + "/cli/damas").body
        module = imported(tracked, tmp_path, "damas")
        assert module.connect().signIn("admin", PASSWORD)
    (tmp_path / "off").mkdir()
    with serving(tmp_path / "off", Options(faces_off=frozenset({"clients"}))) as tracked:
        assert fetched(tracked.url + "/py/damas.py").status == 404


def test_the_one_file_runs_where_there_is_an_old_python_and_nothing_else(tracked: Tracked) -> None:
    tree = ast.parse(fetched(tracked.url + "/py/damas.py").body, feature_version=(3, 8))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names


def test_damas_answers_values(tracked: Tracked, tmp_path: Path) -> None:
    damas = imported(tracked, tmp_path, "damas")
    project = damas.http_connection(tracked.url + "/api")
    assert project.verify() is False
    assert project.signIn("admin", "wrong") is False
    assert project.refusal[0] == 401
    assert project.signIn("admin", PASSWORD) is True
    assert project.verify() is True
    assert project.create({"_id": "/one/a", "n": 1})["n"] == 1
    assert project.create({"_id": "/one/a"}) is None
    assert project.refusal[0] == 409
    assert project.create([{"_id": "/one/a"}, {"_id": "/one/b"}])[0] is None
    assert project.read(("/one/a", "/one/none"))[1] is None
    assert project.update({"_id": "/one/a", "n": 2})["n"] == 2
    assert [each["n"] for each in project.update(["/one/a", "/one/b"], {"n": 3})] == [3, 3]
    assert project.upsert({"_id": "/one/c"})["_id"] == "/one/c"
    assert project.lock("/one/a") is True
    assert project.lock(["/one/a", "/one/none"]) is False
    assert project.unlock({"/one/a"}) is True
    assert project.unlock("/one/a") is False
    item = {"_id": "/one/p", "origin": "rome", "comment": ""}
    assert len(project.publish(item)) == 2
    assert project.publish([item]) is None
    assert project.comment({"#parent": "/one/a", "comment": "x"})["comment"] == "x"
    assert project.version("/one/a", {"file": "/one/v2"})["file"] == "/one/v2"
    assert project.version("/one/none", {"file": "/x"}) is None
    assert project.search("file:/one/v2") == ["/one/a"]
    assert project.search("n:/^nothing ?#%$/") == []
    assert project.search_one("file:/one/v2")["_id"] == "/one/a"
    assert project.search_mongo({"n": 3}, {"_id": 1}, 1, 0) == {"count": 2, "ids": ["/one/b"]}
    assert len(project.graph("/one/a")) == 1
    assert project.graph_backwards("/one/a", 1) == project.graph_forwards(["/one/a"]) == ["/one/a"]
    assert project.delete("/one/c") == "/one/c"
    assert project.createToken("2h").count(".") == 2
    feed = project.changes("0", "/one/a")
    assert next(feed)["_id"] == "/one/a"
    assert project.signOut() is True
    assert project.verify() is False
    with pytest.raises(RuntimeError, match="401"):
        list(feed)
    with pytest.raises(OSError, match="refused"):
        damas.connect("http://127.0.0.1:1").read("/x")
    with pytest.raises(ValueError, match="no address"):
        damas.connect("host")


def test_damas_client_answers_status_and_value(tracked: Tracked, tmp_path: Path) -> None:
    project = imported(tracked, tmp_path, "damas_client").http_connection(tracked.url)
    assert project.signIn("admin", PASSWORD) == (200, True)
    assert project.verify() == (200, True)
    status, made = project.create({"_id": "/pair/a"})
    assert (status, made["_id"]) == (201, "/pair/a")
    status, said = project.create({"_id": "/pair/a"})
    assert (status, said.splitlines()[0]) == (409, "Create error: Conflict")
    assert project.read(["/pair/a", "/none"])[0] == 207
    assert project.lock("/pair/a") == (200, True)
    assert project.lock("/none") == (404, False)
    assert project.search("_id:/pair/a") == (200, ["/pair/a"])
    assert project.signIn("admin", "wrong") == (401, False)
