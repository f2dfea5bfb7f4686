from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.decide.values import (
    AT_PARIS,
    AT_ROME,
    GLOBALS,
    NOW,
    PARIS,
    ROME,
    directions,
    file,
    files,
    policies,
    replicas,
)

from everysite.decide.plan import GONE, covering, overlaps, plan, plan_delete, plan_inspect
from everysite.decide.targets import wanted
from everysite.model.element import Element
from everysite.model.path import below
from everysite.model.replica import Replica
from everysite.model.site import Globals, Mapping, Policy
from everysite.model.task import Wish

mappings = st.builds(
    Mapping,
    site=st.just(2),
    url=st.just("file:///rome/"),
    prefix=st.sampled_from(["/", "/a/"]),
    direction=directions,
    policy=policies,
    id=st.just(12),
)
held = st.one_of(st.none(), replicas(2))


def settled(wish: Wish, site: int) -> Replica:
    """What the tracker remembers when a wish came true."""
    if wish.kind == "absent":
        return Replica(wish.element, site, gen=0, synced=0, deleted=NOW)
    return Replica(wish.element, site, gen=wish.gen, synced=NOW)


@given(files(), mappings, held, st.booleans(), st.booleans())
def test_nothing_is_left_to_do_after_a_settle(
    element: Element, mapping: Mapping, replica: Replica | None, everywhere: bool, gone: bool
) -> None:
    if gone:
        element = msgspec.structs.replace(element, body=element.body | {GONE: NOW})
    globals_ = Globals(sync_everywhere=everywhere)
    wish = plan(element, ROME, mapping, replica, globals_)
    if wish is not None:
        assert plan(element, ROME, mapping, settled(wish, 2), globals_) is None


@given(files(), mappings, held, st.booleans())
def test_a_present_wish_has_every_reason(
    element: Element, mapping: Mapping, replica: Replica | None, everywhere: bool
) -> None:
    wish = plan(element, ROME, mapping, replica, Globals(sync_everywhere=everywhere))
    if wish is None:
        return
    assert wish.kind == "present"
    assert mapping.receives and below(element.key, mapping.prefix)
    assert wish.content is not None and wish.gen == element.gen > 0
    if replica is None or replica.gen < element.gen or not replica.synced:
        assert element.origin != ROME.id
        assert wanted(element.body, "rome", everywhere).wanted
    else:
        assert replica.at == "/older"
    assert replica is None or not replica.modified


@given(files(), mappings, st.booleans())
def test_a_missing_copy_is_wished_exactly_when_wanted(element: Element, mapping: Mapping, everywhere: bool) -> None:
    expected = (
        wanted(element.body, "rome", everywhere).wanted
        and element.content is not None
        and mapping.receives
        and below(element.key, mapping.prefix)
    )
    assert (plan(element, ROME, mapping, None, Globals(sync_everywhere=everywhere)) is not None) == expected


@dataclass
class Case:
    replica: Replica | None
    wished: bool
    source: str = ""


@pytest.mark.parametrize(
    "case",
    [
        Case(None, True),
        Case(Replica(7, 2, gen=2, synced=NOW), False),
        Case(Replica(7, 2, gen=1, synced=NOW), True),
        Case(Replica(7, 2, gen=2, error=23, attempted=NOW), True),
        Case(Replica(7, 2, gen=2, synced=NOW, deleted=NOW), False),
        Case(Replica(7, 2, gen=1, synced=NOW, deleted=NOW), True),
        Case(Replica(7, 2, gen=2, synced=0, deleted=NOW), True),  # the person removed synced_rome
        Case(Replica(7, 2, gen=1, synced=NOW, modified=NOW, seen=b"x"), False),
        Case(Replica(7, 2, gen=2, synced=NOW, at="/old"), True, "/old"),
        Case(Replica(7, 2, gen=1, synced=NOW, at="/old"), True, "/old"),
        Case(Replica(7, 2, gen=1, synced=NOW, deleted=NOW, at="/old"), True, ""),
        Case(Replica(7, 2, gen=2, synced=NOW, deleted=NOW, at="/old"), False),
        Case(Replica(7, 2, gen=2, synced=NOW, at="/shots/010.exr"), False),
    ],
)
def test_what_is_there_decides(case: Case) -> None:
    wish = plan(file(gen=2), ROME, AT_ROME, case.replica, GLOBALS)
    assert (wish is not None) == case.wished
    assert wish is None or wish.source == case.source


def test_a_copy_in_conflict_is_overwritten_only_by_its_own_digest() -> None:
    replica = Replica(7, 2, gen=2, synced=NOW, modified=NOW, seen=b"x" * 32)
    assert plan(file(gen=2), ROME, AT_ROME, replica, GLOBALS, replaces=b"y" * 32) is None
    wish = plan(file(gen=2), ROME, AT_ROME, replica, GLOBALS, replaces=b"x" * 32)
    assert wish is not None and wish.replaces == b"x" * 32


def test_a_rename_reaches_the_origin_and_sites_that_are_not_wanted_any_more() -> None:
    moved = Replica(7, 1, gen=1, synced=NOW, at="/old")
    wish = plan(file(), PARIS, AT_PARIS, moved, GLOBALS)
    assert wish is not None and wish.source == "/old"
    moved = msgspec.structs.replace(moved, site=2)
    unwanted = file(sync_rome=False)
    assert plan(unwanted, ROME, AT_ROME, moved, GLOBALS) is not None
    assert plan(msgspec.structs.replace(unwanted, gen=2), ROME, AT_ROME, moved, GLOBALS) is None


def test_a_pause_changes_no_wish() -> None:
    assert plan(file(), msgspec.structs.replace(ROME, paused=True), AT_ROME, None, GLOBALS) == plan(
        file(), ROME, AT_ROME, None, GLOBALS
    )


def test_a_delete_spreads_to_copies_but_not_to_the_origin_or_a_conflict() -> None:
    gone = msgspec.structs.replace(file(), body={"origin": "paris", GONE: NOW})
    copy = Replica(7, 2, gen=1, synced=NOW)
    wish = plan(gone, ROME, AT_ROME, copy, GLOBALS)
    assert wish is not None and wish.kind == "absent"
    assert plan(gone, PARIS, AT_PARIS, Replica(7, 1, gen=1, synced=NOW), GLOBALS) is None
    assert plan(gone, ROME, AT_ROME, None, GLOBALS) is None
    assert plan(gone, ROME, AT_ROME, msgspec.structs.replace(copy, modified=NOW), GLOBALS) is None


def test_a_delete_goes_where_the_copy_lies() -> None:
    wish = plan_delete(file(), AT_ROME, Replica(7, 2, gen=1, synced=NOW, at="/old"))
    assert wish is not None and wish.path == "/old"
    assert plan_delete(file(), msgspec.structs.replace(AT_ROME, prefix="/other/")) is None


def test_only_the_origin_is_asked_to_look() -> None:
    unknown = file(gen=0)
    wish = plan_inspect(unknown, AT_PARIS)
    assert wish is not None and (wish.kind, wish.mapping) == ("inspect", 11)
    assert plan_inspect(unknown, AT_ROME) is None
    assert plan_inspect(file(), AT_PARIS) is None
    assert plan(unknown, ROME, AT_ROME, None, GLOBALS) is None


def test_documents_go_nowhere() -> None:
    assert plan(msgspec.structs.replace(file(), key="note"), ROME, AT_ROME, None, GLOBALS) is None


def at(prefix: str, site: int = 1, direction: str = "both") -> Mapping:
    return msgspec.convert({"site": site, "url": "file:///x/", "prefix": prefix, "direction": direction}, Mapping)


def test_the_longest_prefix_covers() -> None:
    root, deep, other = at("/"), at("/a/b/"), at("/a/b/c/", site=2)
    assert covering([root, deep, other], 1, "/a/b/c/d") == deep
    assert covering([root, deep, other], 1, "/a/b/") == root
    assert covering([deep], 1, "/a/x") is None


def test_send_only_mappings_may_overlap() -> None:
    assert overlaps([at("/a/"), at("/"), at("/b/", site=2)]) is not None
    assert overlaps([at("/a/"), at("/", direction="send"), at("/", site=2), at("/ab/")]) is None
    assert overlaps([at("/a/"), at("/a/")]) is not None


prefixes = st.lists(st.sampled_from(["/", "/a/", "/a/b/", "/a/b/c/", "/ab/", "/b/"]), max_size=4)


@given(prefixes)
def test_overlap_is_found_between_any_two(found: list[str]) -> None:
    nested = any(i != j and q.startswith(p) for i, p in enumerate(found) for j, q in enumerate(found))
    assert (overlaps([at(prefix) for prefix in found]) is not None) == nested


def test_reception_switched_off_stops_wishes() -> None:
    off = msgspec.structs.replace(AT_ROME, policy=Policy(enable_reception=False))
    assert plan(file(), ROME, off, None, GLOBALS) is None
