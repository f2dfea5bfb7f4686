"""`everysite.connect` and its twin against a running tracker: the calls and answers existing programs know."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import PASSWORD
from tests.clients.conftest import Tracked

import everysite
from everysite.client import following
from everysite.client import project as projects
from everysite.client.following import Change
from everysite.errors import (
    BadRequest,
    Conflict,
    CursorLost,
    Forbidden,
    NotFound,
    SignInNeeded,
    SiteUnreachable,
)
from everysite.tracker.contract import PUT_SITE
from everysite.tracker.messages import SiteChange


@pytest.fixture
def project(tracked: Tracked) -> Iterator[everysite.Project]:
    with everysite.connect(tracked.url) as made:
        assert made.signIn("admin", PASSWORD) is True
        yield made


def as_user(tracked: Tracked, name: str, **options: Any) -> everysite.Project:
    return everysite.connect(tracked.url, tracked.api.tokens[name], **options)


def test_a_file_is_published_locked_and_commented_as_the_interface_says(project: everysite.Project) -> None:
    item = {"_id": "/seed/a", "comment": "text", "origin": "rome"}
    published = project.publish([item, {**item, "_id": "/seed/b"}])
    assert published is not None
    assert [element and element["_id"] for element in published][:2] == ["/seed/a", "/seed/b"]
    assert [child and child["#parent"] for child in published[2:]] == ["/seed/a", "/seed/b"]
    assert project.publish(item) is None
    assert isinstance(project.refusal, Conflict)
    assert project.lock("/seed/a") is True
    assert project.lock(["/seed/a", "/seed/b"]) is True
    assert project.unlock("/seed/a") is True
    assert project.unlock("/seed/a") is False
    said = project.comment({"#parent": "/seed/a", "comment": "text"})
    assert (said["#parent"], said["comment"], said["author"]) == ("/seed/a", "text", "admin")
    both = project.comment({"#parent": ["/seed/a", "/seed/b"], "comment": "text"})
    assert [each["#parent"] for each in both] == ["/seed/a", "/seed/b"]
    assert project.comment({"#parent": "/seed/none", "comment": "text"}) is None
    assert project.comment({"#parent": "/seed/a"}) is None
    assert isinstance(project.refusal, BadRequest)


def test_elements_come_back_in_the_shape_they_were_sent(project: everysite.Project) -> None:
    assert project.create({"_id": "/py/a", "n": 1})["n"] == 1
    assert project.create({"_id": "/py/a"}) is None
    assert [e and e["_id"] for e in project.create([{"_id": "/py/a"}, {"_id": "/py/b"}])] == [None, "/py/b"]
    assert [e["_id"] for e in project.create({"_id": ["/py/c", "/py/d"]})] == ["/py/c", "/py/d"]
    assert project.read("/py/a")["n"] == 1
    assert project.read(["/py/a", "/py/none"])[1] is None
    assert project.read("/py/none") is None
    assert isinstance(project.refusal, NotFound)
    assert "n" not in project.update({"_id": "/py/a", "n": None, "m": 2})
    assert project.refusal is None
    assert [e["_id"] for e in project.upsert([{"_id": "/py/a", "m": 3}, {"_id": "/py/e"}])] == ["/py/e", "/py/a"]
    state = project.version("/py/a", {"file": "/py/a2"})
    assert state is not None
    assert state["file"] == "/py/a2"
    assert project.version("/py/none", {"file": "/x"}) is None
    assert project.delete("/py/b") == "/py/b"
    assert project.delete(["/py/c", "/py/none"]) == ["/py/c", None]
    assert project.delete("/py/none") is None
    assert project.read("/py/;.*?<>#%, ä") is None


def test_questions(project: everysite.Project) -> None:
    link = {"_id": "link", "src_id": "/q/src", "tgt_id": "/q/tgt ä", "kind": "q"}
    project.create([{"_id": "/q/src", "kind": "q"}, {"_id": "/q/tgt ä", "kind": "q?"}, link])
    assert project.search("kind:/^q/") == ["/q/src", "/q/tgt ä", "link"]
    assert project.search("kind:q?") == ["/q/tgt ä"]
    assert project.search("kind:nothing") == []
    assert (project.search_one("kind:q") or {})["_id"] == "/q/src"
    assert project.search_one("kind:nothing") is None
    assert project.search_mongo({"kind": "q"}, {"_id": -1}, 1) == {"count": 2, "ids": ["link"]}
    graph = project.graph("/q/tgt ä")
    assert graph is not None
    assert [e and e["_id"] for e in graph] == ["/q/tgt ä", "/q/src", "link"]
    assert project.graph_backwards(["/q/tgt ä"]) == ["/q/tgt ä", "/q/src", "link"]
    assert project.graph_forwards("/q/src", 1) == ["/q/src", "/q/tgt ä", "link"]
    assert project.graph_delete("/q/src") == "/q/src"
    assert project.search("_id:link") == []
    assert project.changed(0).ids


def test_questions_about_sites(project: everysite.Project) -> None:
    assert project.health().status == "ok"
    for name in ("Paris", "Oslo"):
        project.call(PUT_SITE, SiteChange(name, create=True))
    project.publish({"_id": "/site/a", "comment": "", "origin": "Paris"})
    assert {site.name for site in project.sites()} >= {"Paris", "Oslo"}
    assert project.site("nowhere") is None
    assert {site.name for site in project.status().sites} >= {"Paris", "Oslo"}
    assert project.why("/site/a", "Paris").state == "origin"
    assert "/site/a" in project.at_site("Oslo", "missing").ids
    assert [e and e["_id"] for e in project.listup("Paris", "Oslo", 1)] == ["/site/a"]
    assert project.log("/site/a")[-1].what


def test_who_may_what(tracked: Tracked) -> None:
    with everysite.connect(tracked.url + "/api/") as nobody:
        assert nobody.signIn("admin", "wrong") is False
        assert nobody.verify() is False
        with pytest.raises(SignInNeeded):
            nobody.read("/x")
        assert nobody.sign_in("user", PASSWORD) is True
        assert nobody.verify() is True
        assert nobody.me()["username"] == "user"
        token = nobody.create_token("2h")
        assert nobody.signOut() is True
        assert nobody.verify() is False
        assert nobody.signOut() is True
    with everysite.connect(tracked.url, token) as program:
        assert program.verify() is True
    with as_user(tracked, "guest") as guest:
        with pytest.raises(Forbidden):
            guest.create({})
        assert guest.publish({"_id": "/x", "origin": "p", "comment": ""}) is None
        assert isinstance(guest.refusal, Forbidden)
    with as_user(tracked, "user") as user, as_user(tracked, "editor") as editor:
        user.create({"_id": "/mine"})
        assert user.lock("/mine") is True
        assert editor.lock("/mine") is False
        assert editor.unlock("/mine") is False
        assert user.unlock("/mine") is True


def test_strict_raises_what_is_an_answer_otherwise(tracked: Tracked) -> None:
    with as_user(tracked, "admin", strict=True) as project:
        with pytest.raises(NotFound):
            project.read("/none")
        with pytest.raises(NotFound):
            project.lock("/none")
        with pytest.raises(BadRequest):
            project.publish({})
        with pytest.raises(SignInNeeded):
            project.sign_in("admin", "wrong")


def test_a_tracker_that_is_not_there_is_no_answer() -> None:
    with everysite.connect("http://127.0.0.1:1") as project, pytest.raises(SiteUnreachable):
        project.publish({})
    with pytest.raises(BadRequest):
        everysite.connect("host")


def test_the_feed_goes_on_where_it_was(project: everysite.Project) -> None:
    feed = project.changes(prefix="/feed/")
    project.create([{"_id": "/feed/a", "n": 1}, {"_id": "/feed/b"}, {"_id": "/other"}])
    first = next(feed)
    assert (first.id, first.element and first.element["n"]) == ("/feed/a", 1)
    project.delete("/feed/a")
    assert next(feed).id == "/feed/b"
    gone = next(feed)
    assert (gone.id, gone.element) == ("/feed/a", None)
    again = project.changes(first.cursor, "/feed/")
    assert [next(again).id, next(again).id] == ["/feed/b", "/feed/a"]
    late = threading.Timer(0.2, lambda: project.create({"_id": "/feed/c"}))
    late.start()
    assert next(again).id == "/feed/c"
    late.join()
    with pytest.raises(CursorLost):
        next(project.changes("another.1"))


def test_threads_share_a_project(project: everysite.Project) -> None:
    def work(n: int) -> None:
        for i in range(20):
            project.create({"_id": f"/thread/{n}/{i}"})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(project.search("_id:/^\\/thread\\//")) == 80


def test_a_project_may_be_used_again_after_it_was_closed(project: everysite.Project) -> None:
    for _ in range(2):
        project.close()
        assert project.verify()


FORKS = """
import os, sys, everysite
project = everysite.connect(sys.argv[1], sys.argv[2])
assert project.verify()
for _ in range(3):
    child = os.fork()
    if not child:
        assert project.verify()
        sys.exit(0)
    assert project.verify()
    assert os.waitpid(child, 0)[1] == 0
    assert project.verify()
child = os.fork()
if not child:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert project.verify()
print("done")
"""


def test_a_forked_program_asks_on_connections_of_its_own(tracked: Tracked) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKS, tracked.url, tracked.api.tokens["admin"]],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_project_blocks_inside_another_loop(tracked: Tracked) -> None:
    async def main() -> bool:
        with as_user(tracked, "admin") as project:
            return project.verify()

    assert asyncio.run(main())


def test_the_twin_is_awaited(tracked: Tracked) -> None:
    async def main() -> list[Change]:
        async with everysite.connect_async(tracked.url) as project:
            assert await project.signIn("admin", PASSWORD)
            assert await project.read("/none") is None
            feed = project.changes(prefix="/twin/")
            await feed.start()
            made = asyncio.gather(*(project.create({"_id": f"/twin/{n}"}) for n in range(20)))
            found = [await anext(feed) for _ in range(20)]
            await made
            assert (await project.call(PUT_SITE, SiteChange("Bonn", create=True))).name == "Bonn"
            assert await project.lock([change.id for change in found])
            assert feed.cursor == found[-1].cursor
            return found

    assert sorted(change.id for change in asyncio.run(main())) == sorted(f"/twin/{n}" for n in range(20))


def test_the_feed_outlives_the_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's 502, a line that is cut, a restart: the feed asks on. What the tracker refuses is raised."""
    monkeypatch.setattr(following, "_FIRST_PAUSE", 0.01)
    element = b'{"cursor":"e.2","kind":"element","_id":"/a","element":{"_id":"/a"}}'
    answers = [
        (b"200 OK", b'{"cursor":"e.1","changes":[]}'),
        (b"502 Bad Gateway", b""),
        (b"", b""),
        (b"200 OK", b'{"cursor":"e.1","changes":[]}'),
        (b"200 OK", b'{"cursor":"e.3","changes":[' + element + b"]}"),
        (b"401 Unauthorized", b'{"error":"sign in again","code":"sign-in-needed"}'),
    ]
    asked: list[bytes] = []

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        status, body = answers.pop(0)
        if status:
            writer.write(
                b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
            )
            await writer.drain()
        writer.close()

    async def main() -> None:
        listening = await asyncio.start_server(other, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with listening, everysite.connect_async(url) as project:
            feed = project.changes()
            assert (await anext(feed)).element == {"_id": "/a"}
            assert feed.cursor == "e.3"
            with pytest.raises(SignInNeeded):
                await anext(feed)

    asyncio.run(main())
    assert [b"since=e.1" in head for head in asked] == [False, True, True, True, True, False]


def test_both_kinds_have_the_same_calls_and_each_is_explained() -> None:
    calls = [name for name, value in vars(projects.Calls).items() if isinstance(value, projects.Call)]
    assert len(calls) > 30
    for name in calls:
        assert inspect.getdoc(getattr(everysite.Project, name)), name
        assert callable(getattr(everysite.AsyncProject, name).__get__(None, everysite.AsyncProject)._work)


def test_importing_everysite_loads_no_client() -> None:
    code = (
        "import sys, everysite; print(len([m for m in sys.modules if m.startswith('everysite.')]), everysite.connect)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0 <function connect")
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = everysite.conect  # type: ignore[attr-defined]


def test_a_program_that_closes_nothing_ends_without_a_word(tracked: Tracked) -> None:
    code = "import sys, everysite; p = everysite.connect(sys.argv[1], sys.argv[2]); print(p.verify())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, tracked.url, tracked.api.tokens["admin"]],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


SAMPLE = """
from typing import Any, assert_type
import everysite
from everysite.client.following import Change
from everysite.tracker.messages import SiteInfo, Status, Why

def blocking(url: str) -> None:
    with everysite.connect(url, strict=True) as project:
        assert_type(project, everysite.Project)
        assert_type(project.signIn("ada", "secret"), bool)
        assert_type(project.lock("/path"), bool)
        assert_type(project.lock(["/path", "/other"]), bool)
        assert_type(project.search("type:shot"), list[str])
        assert_type(project.search_one("type:shot"), dict[str, Any] | None)
        assert_type(project.publish([{"_id": "/a", "origin": "paris", "comment": ""}]), list[dict[str, Any] | None] | None)
        assert_type(project.why("/a", "paris"), Why)
        assert_type(project.sites(), list[SiteInfo])
        for change in project.changes():
            assert_type(change, Change)

async def awaited(url: str) -> None:
    async with everysite.connect_async(url) as project:
        assert_type(await project.lock("/path"), bool)
        assert_type(await project.status(), Status)
        async for change in project.changes(query="type:shot"):
            assert_type(change.element, dict[str, Any] | None)
"""
WRONG = """
import everysite
project = everysite.connect("http://host")
project.lock(3)
project.lok("/path")
locked: bool = everysite.connect_async("http://host").lock("/path")
"""


def test_programs_of_users_are_checked_by_their_types(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(SAMPLE)
    (tmp_path / "wrong.py").write_text(WRONG)
    source = Path(everysite.__file__).parent.parent
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "sample.py", "wrong.py"],
        cwd=tmp_path, env={"MYPYPATH": str(source), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    found = [line for line in said.splitlines() if ": error:" in line]
    assert [line.split(":")[:2] for line in found] == [["wrong.py", "4"], ["wrong.py", "5"], ["wrong.py", "6"]], said
