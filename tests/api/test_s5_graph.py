"""Section 5 of the wire contract: graph, graph_backwards, graph_forwards, graphDelete."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import Api, Run

from everysite.tracker.events import Told

pytestmark = pytest.mark.anyio


def node(name: str, **keys: Any) -> dict[str, Any]:
    return {"_id": name, **keys}


def link(name: str, src: Any, tgt: Any, **keys: Any) -> dict[str, Any]:
    return {"_id": name, "src_id": src, "tgt_id": tgt, **keys}


def names(items: Any) -> list[str | None]:
    """Identifiers of the elements of an answer."""
    return [None if item is None else item["_id"] for item in items]


@pytest.fixture(scope="module")
async def chain(api: Api) -> Api:
    """g-a <- g-b <- g-c <- g-a (a circle), and g-b <- g-d: an arrow leads from the target of a link to its source."""
    await api.create(
        *(node(f"g-{letter}", letter=letter) for letter in "abcd"),
        link("g-ba", "g-b", "g-a"),
        link("g-cb", "g-c", "g-b"),
        link("g-ac", "g-a", "g-c"),
        link("g-db", "g-d", "g-b"),
    )
    return api


async def test_s5_graph_walks_backwards_to_the_end(chain: Api) -> None:
    for path, body in (("/api/graph/0/g-a", None), ("/api/graph/0/", "g-a"), ("/api/graph/0", ["g-a"])):
        answer = await chain.ask("GET" if body is None else "POST", path, body)
        assert answer.status == 200, answer.text
        assert names(answer.json) == ["g-a", "g-b", "g-c", "g-d", "g-ba", "g-cb", "g-db", "g-ac"]
        assert answer.json[0]["letter"] == "a"
        assert "x-graph-truncated" not in answer.headers


async def test_s5_depth_counts_levels_of_links(chain: Api) -> None:
    one = await chain.ask("GET", "/api/graph/1/g-a")
    assert names(one.json) == ["g-a", "g-b", "g-ba"]
    two = await chain.ask("GET", "/api/graph/2/g-a")
    assert names(two.json) == ["g-a", "g-b", "g-c", "g-d", "g-ba", "g-cb", "g-db"]


async def test_s5_a_depth_that_is_no_number_counts_as_0(chain: Api) -> None:
    for depth in ("x", "-1", "NaN", "%20", "0", "99999999999999999999999", "1e9"):
        answer = await chain.ask("GET", f"/api/graph/{depth}/g-a")
        assert (answer.status, len(answer.json)) == (200, 8), depth


async def test_s5_asked_elements_come_first_and_each_once(chain: Api) -> None:
    answer = await chain.ask("GET", "/api/graph/1/g-b,g-a,g-b")
    assert names(answer.json) == ["g-b", "g-a", "g-c", "g-d", "g-ba", "g-cb", "g-db"]
    with_link = await chain.ask("POST", "/api/graph/1", ["g-ba", "g-a"])
    assert names(with_link.json) == ["g-ba", "g-a", "g-b"]


async def test_s5_an_element_without_links_is_alone_in_its_array(chain: Api) -> None:
    answer = await chain.ask("GET", "/api/graph/0/g-d")
    assert (answer.status, names(answer.json)) == (200, ["g-d"])


async def test_s5_what_is_missing_is_null_and_makes_it_207(chain: Api) -> None:
    asked = await chain.ask("POST", "/api/graph/1", ["g-none", "g-d"])
    assert (asked.status, names(asked.json)) == (207, [None, "g-d"])
    await chain.create(node("g-x"), link("g-dangling", "g-nowhere", "g-x"))
    dangling = await chain.ask("GET", "/api/graph/0/g-x")
    assert (dangling.status, names(dangling.json)) == (207, ["g-x", None, "g-dangling"])


async def test_s5_nothing_at_all_is_404(chain: Api) -> None:
    for verb in ("graph", "graph_backwards", "graph_forwards"):
        answer = await chain.ask("GET", f"/api/{verb}/0/g-none,g-nor")
        assert answer.status == 404
        assert answer.text.startswith(f"{verb.capitalize()} error: ")


async def test_s5_what_is_no_identifier_is_refused(chain: Api) -> None:
    for verb in ("graph", "graph_backwards", "graph_forwards"):
        bodies: list[Any] = [[], {}, [{}], 5, None, "", [5], [None], ["a\0"], {"ids": ["g-a"]}]
        for body in bodies:
            sent = b"null" if body is None else body
            assert (await chain.ask("POST", f"/api/{verb}/0/", sent)).status == 400, body
        assert (await chain.ask("GET", f"/api/{verb}/0/")).status == 400
        assert (await chain.ask("GET", f"/api/{verb}/0")).status == 404
        assert (await chain.ask("POST", f"/api/{verb}/0")).status == 400
        assert (await chain.ask("GET", f"/api/{verb}/0/g-a", as_="")).status == 401


async def test_s5_paths_keep_their_slashes(chain: Api) -> None:
    await chain.create(node("//g/odd"), link("g-odd", "g-a", "//g/odd"))
    answer = await chain.ask("GET", "/api/graph/1///g/odd")
    assert names(answer.json) == ["//g/odd", "g-a", "g-odd"]


async def test_s5_backwards_and_forwards_answer_identifiers(chain: Api) -> None:
    back = await chain.ask("GET", "/api/graph_backwards/0/g-a")
    assert (back.status, back.json) == (200, ["g-a", "g-b", "g-c", "g-d", "g-ba", "g-cb", "g-db", "g-ac"])
    forth = await chain.ask("POST", "/api/graph_forwards/1/", ["g-d", "g-c"])
    assert forth.json == ["g-d", "g-c", "g-b", "g-cb", "g-db"]
    far = await chain.ask("GET", "/api/graph_forwards/0/g-d")
    assert far.json[:4] == ["g-d", "g-b", "g-a", "g-c"]
    lone = await chain.ask("GET", "/api/graph_forwards/0/g-x-none,g-d")
    assert lone.json == far.json  # what is missing is left out: the answer may be read at once


async def test_s5_links_that_name_no_text_lead_nowhere(chain: Api) -> None:
    await chain.create(
        node("g-q"),
        link("g-q1", 5, "g-q"),
        link("g-q2", None, "g-q"),
        link("g-q3", ["g-a"], "g-q"),
        node("g-q4", tgt_id="g-q"),
    )
    assert names((await chain.ask("GET", "/api/graph/0/g-q")).json) == ["g-q"]


async def test_s5_a_walk_ends_at_the_bound_and_says_so(run: Run) -> None:
    async with run(graph=100) as api:
        await api.create(node("hub"), *(link(f"l{n}", f"s{n}", "hub") for n in range(300)))
        answer = await api.ask("GET", "/api/graph/0/hub")
        assert answer.headers["x-graph-truncated"] == "100"
        assert 90 <= len(answer.json) <= 100
        small = await api.ask("GET", "/api/graph/0/l1")
        assert "x-graph-truncated" not in small.headers


async def test_s5_a_long_chain_is_walked_level_by_level(api: Api) -> None:
    length = 2_000
    await api.create(node("c0"), *(node(f"c{n}") for n in range(1, length)))
    await api.create(*(link(f"cl{n}", f"c{n}", f"c{n - 1}") for n in range(1, length)))
    answer = await api.ask("GET", "/api/graph/0/c0")
    assert (answer.status, len(answer.json)) == (200, 2 * length - 1)
    assert names(answer.json)[:length] == [f"c{n}" for n in range(length)]


async def test_s5_author_mode_hides_what_is_not_ones_own(run: Run) -> None:
    async with run(author_mode=True) as api:
        await api.create(node("mine"), link("my-link", "theirs", "mine"), as_="user")
        await api.create(node("theirs"), node("far"), link("their-link", "far", "mine"), link("l3", "far", "theirs"))
        answer = await api.ask("GET", "/api/graph/0/mine", as_="user")
        assert (answer.status, names(answer.json)) == (207, ["mine", None, "my-link"])
        assert (await api.ask("GET", "/api/graph/0/theirs", as_="user")).status == 404
        assert (await api.ask("GET", "/api/graph_backwards/0/mine", as_="user")).json == ["mine", "my-link"]


async def test_s5_graph_delete_takes_the_links_along(api: Api) -> None:
    await api.create(
        *(node(f"x-{n}") for n in range(4)),
        link("x-l0", "x-0", "x-1"),
        link("x-l1", "x-2", "x-0"),
        link("x-l2", "x-2", "x-3"),
        node("x-child", **{"#parent": "x-0"}),
    )
    answer = await api.ask("DELETE", "/api/graphDelete/", "x-0")
    assert (answer.status, answer.json) == (200, "x-0")
    for key, there in (("x-0", 404), ("x-l0", 404), ("x-l1", 404), ("x-l2", 200), ("x-1", 200), ("x-child", 200)):
        assert (await api.ask("GET", f"/api/read/{key}")).status == there, key


async def test_s5_graph_delete_answers_as_delete_does(api: Api) -> None:
    await api.create(node("y-0"), node("y-1"), link("y-l", "y-0", "y-1"))
    some = await api.ask("DELETE", "/api/graphDelete", ["y-0", "y-none"])
    assert (some.status, some.json) == (207, ["y-0", None])
    assert (await api.ask("DELETE", "/api/graphDelete", ["y-0"])).status == 404
    bodies: list[Any] = [[], {}, 5, None, "", [None]]
    for body in bodies:
        sent = b"null" if body is None else body
        assert (await api.ask("DELETE", "/api/graphDelete", sent)).status == 400, body
    for rank in ("guest", "user"):
        assert (await api.ask("DELETE", "/api/graphDelete", "y-1", as_=rank)).status == 403
    assert (await api.ask("DELETE", "/api/graphDelete", "y-1", as_="editor")).json == "y-1"


async def test_s5_a_link_that_is_asked_for_is_deleted_once(api: Api) -> None:
    await api.create(node("z-0"), link("z-l", "z-0", "z-0"))
    assert (await api.ask("DELETE", "/api/graphDelete", ["z-0", "z-l"])).json == ["z-0", "z-l"]
    assert (await api.ask("GET", "/api/read/z-0,z-l")).status == 404


async def test_s5_graph_delete_is_one_event(api: Api) -> None:
    await api.create(node("e-0"), node("e-1"), link("e-l", "e-0", "e-1"))
    told: list[Told] = []
    quiet = api.service._core.events.listen(told.append)
    assert (await api.ask("DELETE", "/api/graphDelete", ["e-0"])).status == 200
    quiet()
    assert [sorted(each.removed) for each in told] == [["e-0", "e-l"]]


async def test_s5_graph_delete_leaves_links_of_others_in_author_mode(run: Run) -> None:
    async with run(author_mode=True) as api:
        await api.create(node("mine"), link("my-link", "mine", "far"), as_="user")
        await api.create(node("far"), link("their-link", "far", "mine"))
        assert (await api.ask("DELETE", "/api/graphDelete", "far", as_="user")).status == 404
        assert (await api.ask("DELETE", "/api/graphDelete", "mine", as_="user")).json == "mine"
        assert (await api.ask("GET", "/api/read/my-link")).status == 404
        assert (await api.ask("GET", "/api/read/their-link,far")).status == 200


async def test_s5_graph_delete_leaves_what_others_have_locked(run: Run) -> None:
    async with run(enforce_locks=True) as api:
        await api.create(node("held"), node("free"), link("l-held", "held", "free"))
        assert (await api.ask("PUT", "/api/lock/", "held", as_="user")).status == 200
        assert (await api.ask("DELETE", "/api/graphDelete", "held", as_="editor")).status == 409
        assert (await api.ask("GET", "/api/read/held,l-held")).status == 200
        assert (await api.ask("PUT", "/api/unlock/", "held", as_="user")).status == 200
        assert (await api.ask("PUT", "/api/lock/", "l-held", as_="user")).status == 200
        assert (await api.ask("DELETE", "/api/graphDelete", "held", as_="editor")).json == "held"
        assert (await api.ask("GET", "/api/read/l-held")).status == 200


async def test_s5_users_and_sites_are_no_links(api: Api) -> None:
    for key in ("@guest", "rsyncGlobalParameters"):
        assert (await api.ask("DELETE", "/api/graphDelete", key, as_="editor")).status == 403
