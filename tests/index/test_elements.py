"""Elements and tombstones, on every engine."""

from __future__ import annotations

from typing import Any

import pytest

from everysite.errors import BadRequest, Conflict
from everysite.index.contract import Index, Transaction
from everysite.model.clock import Version
from everysite.model.element import Content, Element, Tombstone
from everysite.model.replica import Replica

pytestmark = pytest.mark.anyio

CONTENT = Content(10, -5, 0o640, bytes(range(32)))


def element(key: str, **body: Any) -> Element:
    return Element(key, body, Version(1, 2))


async def put(index: Index, *elements: Element) -> list[Element]:
    return await index.run(lambda t: t.elements.put(elements))


async def test_an_element_comes_back_as_it_was_put(index: Index) -> None:
    body = {"text": "ä\0\u20ac\U0001f600", "n": 2**53, "x": 0.1, "deep": {"a": [1, None, True]}, "#parent": "/p"}
    late = {"text": Version(9, 1), "gone": Version(8, 0)}
    (made,) = await put(index, Element("/a/ö.exr", body, Version(7, 3), late, 4, CONTENT, 5))
    assert made.id > 0
    assert made.change > 0
    assert await index.read(lambda t: t.elements.get(["/a/ö.exr", "/none"])) == [made, None]
    assert (made.body, made.late, made.content, made.gen, made.origin) == (body, late, CONTENT, 4, 5)


async def test_get_answers_in_the_order_asked(index: Index) -> None:
    await put(index, element("b"), element("a"))
    got = await index.read(lambda t: t.elements.get(["a", "x", "b", "a"]))
    assert [e and e.key for e in got] == ["a", None, "b", "a"]
    assert await index.read(lambda t: t.elements.get([])) == []


async def test_by_id_leaves_out_what_is_not_there(index: Index) -> None:
    one, two = await put(index, element("1"), element("2"))
    assert await index.read(lambda t: t.elements.by_id([one.id, two.id, 999])) == {one.id: one, two.id: two}
    assert await index.read(lambda t: t.elements.by_id([])) == {}


async def test_put_replaces_whole_and_numbers_rise(index: Index) -> None:
    (old,) = await put(
        index, Element("/a", {"x": 1, "#parent": "p"}, Version(1, 0), {"x": Version(2, 0)}, 1, CONTENT, 3)
    )
    (new,) = await put(index, Element("/b", {"y": 2}, Version(5, 0), id=old.id))
    assert new.id == old.id
    assert new.change > old.change
    assert await index.read(lambda t: t.elements.get(["/a", "/b"])) == [None, new]
    assert await index.read(lambda t: t.elements.children("p")) == []
    assert (new.content, new.late, new.origin) == (None, {}, 0)


async def test_a_taken_key_is_a_conflict_and_nothing_of_the_batch_stays(index: Index) -> None:
    (taken,) = await put(index, element("taken", a=1))
    with pytest.raises(Conflict, match="taken"):
        await put(index, element("new"), element("taken", a=2))
    with pytest.raises(Conflict, match="twice"):
        await put(index, element("twice"), element("twice"))
    assert await index.read(lambda t: t.elements.where([])) == [taken]


async def test_a_unit_may_go_on_after_a_conflict(index: Index) -> None:
    await put(index, element("taken"))

    def unit(t: Any) -> None:
        with pytest.raises(Conflict):
            t.elements.put([element("new"), element("taken")])
        t.elements.put([element("other")])

    await index.run(unit)
    got = await index.read(lambda t: t.elements.where([]))
    assert [e.key for e in got] == ["taken", "other"]


async def test_a_batch_that_is_refused_changed_nothing_for_a_unit_that_goes_on(index: Index) -> None:
    one, two = await put(index, element("/1", n=1), element("/2", n=2))
    await index.run(lambda t: t.elements.bury([Tombstone("/gone", Version(1, 0))]))
    new = [Element("/1", {"n": 5}, id=one.id), Element("/1", {"n": 5}, id=two.id)]
    batches = [new, [element("/gone"), element("/2")], [Element("/1", {"n": 5}, id=one.id), element("/2")]]

    def unit(t: Transaction) -> None:
        for batch in batches:
            with pytest.raises(Conflict):
                t.elements.put(batch)

    await index.run(unit)
    assert await index.read(lambda t: t.elements.where([])) == [one, two]
    assert await index.read(lambda t: t.elements.stones(["/gone"])) != [None]


async def test_an_element_that_is_not_there_is_put_under_its_own_number(index: Index) -> None:
    (one,) = await put(index, element("/1"))
    made = await put(index, Element("/1", {"n": 2}, id=one.id), Element("/9", {"n": 9}, id=900))
    assert [e.id for e in made] == [one.id, 900]
    assert await index.read(lambda t: t.elements.where([])) == made


async def test_keys_may_move_in_a_circle_within_a_batch(index: Index) -> None:
    a, b, c = await put(index, element("/1", n=1), element("/2", n=2), element("/3", n=3))
    moved = [Element(key, e.body, id=e.id) for key, e in (("/2", a), ("/3", b), ("/1", c))]
    await put(index, *moved)
    got = await index.read(lambda t: t.elements.get(["/1", "/2", "/3"]))
    assert [e and e.id for e in got] == [c.id, a.id, b.id]


@pytest.mark.parametrize("key", ["", "a\0b"])
async def test_a_key_nobody_could_ask_for_is_refused(index: Index, key: str) -> None:
    with pytest.raises(BadRequest):
        await put(index, element(key))
    assert await index.read(lambda t: t.elements.get(["a\0b"])) == [None]


async def test_burying_takes_the_replicas_and_leaves_a_tombstone(index: Index) -> None:
    one, two = await put(index, element("/a"), element("/b"))
    await index.run(lambda t: t.replicas.put([Replica(one.id, 1), Replica(one.id, 2), Replica(two.id, 1)]))
    stone = Tombstone("/a", Version(9, 9), CONTENT, "/c")
    await index.run(lambda t: t.elements.bury([stone, Tombstone("/never", Version(1, 0))]))
    assert await index.read(lambda t: t.elements.get(["/a", "/b"])) == [None, two]
    assert set(await index.read(lambda t: t.replicas.of([one.id, two.id]))) == {two.id}
    got, missing, never = await index.read(lambda t: t.elements.stones(["/a", "/b", "/never"]))
    assert got is not None
    assert (got.key, got.version, got.content, got.renamed_to) == ("/a", Version(9, 9), CONTENT, "/c")
    assert missing is None
    assert never is not None
    assert never.change > got.change > two.change


async def test_a_new_element_of_the_key_drops_the_tombstone_and_has_a_new_id(index: Index) -> None:
    (old,) = await put(index, element("/a"))
    await index.run(lambda t: t.elements.bury([Tombstone("/a", Version(2, 0))]))
    (new,) = await put(index, element("/a"))
    assert await index.read(lambda t: t.elements.stones(["/a"])) == [None]
    assert new.id != old.id


@pytest.mark.parametrize(
    ("prefix", "after", "keys"),
    [
        ("/a/", "", ["/a/", "/a/b", "/a/z", "/a/é", "/a/\U0001f600"]),
        ("/a/", "/a/b", ["/a/z", "/a/é", "/a/\U0001f600"]),
        ("/a", "", ["/a", "/a/", "/a/b", "/a/z", "/a/é", "/a/\U0001f600", "/a0"]),
        ("/A", "", ["/A"]),
        ("\U0010ffff", "", ["\U0010ffff", "\U0010ffffx"]),
        ("\ud7ff", "", ["\ud7ffx"]),
        ("_%", "", []),
    ],
)
async def test_under_is_a_range_in_the_order_of_bytes(index: Index, prefix: str, after: str, keys: list[str]) -> None:
    there = ["/A", "/a", "/a/", "/a/b", "/a/z", "/a/é", "/a/\U0001f600", "/a0", "\ud7ffx", "\ue000", "\U0010ffff"]
    await put(index, *(element(key) for key in reversed([*there, "\U0010ffffx"])))
    assert [e.key for e in await index.read(lambda t: t.elements.under(prefix, after))] == keys
    assert [e.key for e in await index.read(lambda t: t.elements.under(prefix, after, 1))] == keys[:1]


async def test_under_nothing_is_everything(index: Index) -> None:
    await put(index, *(element(key) for key in ("z", "a", "m")))
    assert [e.key for e in await index.read(lambda t: t.elements.under(""))] == ["a", "m", "z"]


async def test_children_are_oldest_first(index: Index) -> None:
    await put(
        index, element("z", **{"#parent": "p"}), element("a", **{"#parent": "p"}), element("x", **{"#parent": "q"})
    )
    await put(index, element("odd", **{"#parent": ["p"]}))
    assert [e.key for e in await index.read(lambda t: t.elements.children("p"))] == ["z", "a"]
    assert [e.key for e in await index.read(lambda t: t.elements.children("p", 1))] == ["z"]


@pytest.mark.parametrize(
    ("conditions", "keys"),
    [
        ([("n", 1)], ["one", "float"]),
        ([("n", 1.0)], ["one", "float"]),
        ([("n", True)], ["true"]),
        ([("n", None)], ["null"]),
        ([("n", "1")], ["text"]),
        ([("n", 2**70)], ["huge"]),
        ([('a"b.c[0]$', "x")], ["odd"]),
        ([("n", 1), ("m", "two")], ["float"]),
        ([("_id", "text")], ["text"]),
        ([("n", "'; DROP TABLE element; --")], []),
        ([], ["one", "float", "true", "null", "text", "huge", "odd", "absent"]),
    ],
)
async def test_where_compares_json_scalars(index: Index, conditions: list[tuple[str, Any]], keys: list[str]) -> None:
    await put(
        index, element("one", n=1), element("float", n=1.0, m="two"), element("true", n=True), element("null", n=None)
    )
    await put(index, element("text", n="1"), element("huge", n=2**70), element("odd", **{'a"b.c[0]$': "x"}))
    await put(index, element("absent", deep={"n": 1}))
    assert [e.key for e in await index.read(lambda t: t.elements.where(conditions))] == keys
    assert [e.key for e in await index.read(lambda t: t.elements.where(conditions, 1))] == keys[:1]


async def test_a_batch_of_any_size_keeps_its_order(index: Index) -> None:
    made = await put(index, *(element(f"/{n}", n=n) for n in range(1_297)))
    assert [e.body["n"] for e in made] == list(range(1_297))
    assert sorted(e.id for e in made) == [e.id for e in made]
    assert await index.read(lambda t: t.elements.where([], 2_000)) == made
    assert await index.read(lambda t: t.elements.count()) == 1_297
    assert await put(index) == []
