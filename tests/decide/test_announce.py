from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.decide.values import (
    AT_PARIS,
    AT_ROME,
    GLOBALS,
    NOW,
    PARIS,
    ROME,
    content,
    contents,
    directions,
    file,
    policies,
)

from everysite.decide.announce import Outcome, Seen, agrees, left_behind, receive
from everysite.decide.plan import GONE, plan
from everysite.model.clock import Version
from everysite.model.element import Element, Tombstone
from everysite.model.replica import Replica, state
from everysite.model.site import Globals, Mapping, Policy, Site

KEY = "/shots/010.exr"


@dataclass
class World:
    """What is known, as plain dicts: the smallest thing that can carry an Outcome out."""

    elements: dict[str, Element] = field(default_factory=dict)
    replicas: dict[tuple[int, int], Replica] = field(default_factory=dict)
    stones: dict[str, Tombstone] = field(default_factory=dict)

    def row(self, key: str, site: Site) -> Replica | None:
        element = self.elements.get(key)
        return self.replicas.get((element.id, site.id)) if element else None

    def receive(self, seen: Seen, site: Site, mapping: Mapping, now: int = NOW, first: bool = False) -> Outcome:
        found = receive(
            seen, self.elements.get(seen.key), self.row(seen.key, site), self.stones.get(seen.key),
            site, mapping, GLOBALS, now, first, self.elements.get(seen.was), self.row(seen.was, site),
        )  # fmt: skip
        self.carry_out(found)
        for more in found.follow:
            self.receive(more, site, mapping, now, first)
        return found

    def carry_out(self, found: Outcome) -> None:
        if found.bury is not None:
            self.stones[found.bury.key] = replace(found.bury, version=Version(NOW, 0))
            del self.elements[found.bury.key]
        element, replica = found.element, found.replica
        if element is not None:
            element = replace(element, id=element.id or 100 + len(self.elements) + len(self.stones))
            self.elements[element.key] = element
            self.stones.pop(element.key, None)
        if replica is not None:
            number = replica.element or (element.id if element is not None else 0)
            assert number
            self.replicas[number, replica.site] = replace(replica, element=number)

    def facts(self) -> bytes:
        return msgspec.json.encode(
            [sorted(self.elements.items()), sorted(self.replicas.items()), sorted(self.stones.items())]
        )


names = st.sampled_from(["/a", "/b", "/c"])
findings = st.builds(
    lambda key, found, was: Seen(key, found, was=was if found is not None and was != key else ""),
    names,
    st.one_of(st.none(), contents),
    st.sampled_from(["", "", "/a", "/b"]),
)
places = st.sampled_from([PARIS, ROME])
steps = st.lists(st.tuples(findings, places, policies, directions, st.booleans()), max_size=8)


@given(steps, findings, places, policies, directions, st.booleans())
def test_the_same_finding_changes_nothing_the_second_time(
    before: list[tuple[Seen, Site, Policy, str, bool]], seen: Seen, site: Site, policy: Policy, way: str, first: bool
) -> None:
    world = World()
    for moment, (earlier, where, rules, direction, start) in enumerate(before):
        world.receive(earlier, where, at(where, rules, direction), NOW + moment, start)
    world.receive(seen, site, at(site, policy, way), NOW + 100, first)
    once = world.facts()
    again = world.receive(seen, site, at(site, policy, way), NOW + 200, first)
    assert world.facts() == once
    assert again.action in ("known", "ignored", "conflict")


def at(site: Site, policy: Policy, direction: str) -> Mapping:
    mapping = AT_PARIS if site is PARIS else AT_ROME
    return msgspec.convert(msgspec.to_builtins(replace(mapping, policy=policy)) | {"direction": direction}, Mapping)


@given(steps)
def test_only_the_origin_and_a_new_name_change_what_others_get(
    findings: list[tuple[Seen, Site, Policy, str, bool]],
) -> None:
    world = World()
    for moment, (seen, site, policy, way, first) in enumerate(findings):
        before = dict(world.elements)
        found = world.receive(seen, site, at(site, policy, way), NOW + moment, first)
        for key, element in world.elements.items():
            known = before.get(key)
            if known is not None and known.id == element.id and known.gen != element.gen:
                assert element.origin == site.id
            if way == "receive":
                assert known is not None and (known.gen, known.body.keys()) == (element.gen, element.body.keys())
        assert found.reason


def seen(letter: str = "a", key: str = KEY, was: str = "", **stat: int) -> Seen:
    return Seen(key, content(letter, **stat), was=was)


def at_paris(*, letter: str = "a", replica: Replica | None = None, element: Element | None = None) -> Outcome:
    return receive(seen(letter), element, replica, None, PARIS, AT_PARIS, GLOBALS, NOW)


def test_a_site_that_only_receives_by_now_brings_nothing_back() -> None:
    gone = at_paris(element=replace(file(), body=file().body | {"deletedEverywhere": NOW}))
    assert gone.action == "modified"
    silent = receive(
        seen(), replace(file(), body=file().body | {"deletedEverywhere": NOW}), None, None,
        PARIS, replace(AT_PARIS, direction="receive"), GLOBALS, NOW,
    )  # fmt: skip
    assert silent.element is None


def test_a_new_file_becomes_an_element_of_its_site() -> None:
    found = at_paris()
    assert found.action == "new" and found.element is not None
    assert found.element.body == {
        "author": "support", "comment": "scanned at paris", "origin": "paris", "time": NOW, "file_mtime": 1000, "file_size": 5,
    }  # fmt: skip
    assert (found.element.gen, found.element.origin, found.element.content) == (1, 1, content())
    assert found.replica == Replica(0, 1, gen=1, synced=NOW, seen=content().digest)
    assert found.replan


def test_a_change_at_the_origin_outdates_the_others() -> None:
    found = at_paris(letter="b", element=file())
    assert found.action == "modified" and found.element is not None
    assert found.element.gen == 2
    assert found.element.body["time"] == NOW
    assert (found.element.body["author"], found.element.body["comment"]) == ("support", "modified at paris")
    assert found.replica is not None and state(found.replica, 2) == "current"
    assert state(Replica(7, 2, gen=1, synced=NOW), found.element.gen) == "outdated"


def test_another_time_or_mode_is_no_new_content() -> None:
    found = receive(seen(mtime_ms=9000), file(), Replica(7, 1, gen=1, synced=5), None, PARIS, AT_PARIS, GLOBALS, NOW)
    assert found.action == "known" and found.element is not None
    assert found.element.gen == 1
    assert found.element.body["file_mtime"] == 9000
    assert found.element.body["time"] == file().body["time"]
    assert not found.replan


def test_a_change_elsewhere_is_a_conflict_and_overwrites_nothing() -> None:
    replica = Replica(7, 2, gen=1, synced=NOW - 5)
    found = receive(seen("b"), file(), replica, None, ROME, AT_ROME, GLOBALS, NOW)
    assert found.action == "conflict" and found.element is None
    assert found.replica == replace(replica, modified=NOW, seen=b"b" * 32)
    assert plan(file(gen=2), ROME, AT_ROME, found.replica, GLOBALS) is None


def test_a_conflict_ends_when_the_contents_agree() -> None:
    replica = Replica(7, 2, gen=1, synced=5, modified=9, seen=b"a" * 32)
    found = receive(seen(), file(), replica, None, ROME, AT_ROME, GLOBALS, NOW)
    assert found.replica is not None and state(found.replica, 1) == "current"
    assert agrees(replica, file(), NOW) == found.replica
    assert agrees(replace(replica, seen=b"b" * 32), file(), NOW) is None


def test_the_copy_a_site_has_already_is_not_sent_again() -> None:
    found = receive(seen(mtime_ms=77), file(), None, None, ROME, AT_ROME, GLOBALS, NOW)
    assert found.element is None and found.replica is not None
    assert plan(file(), ROME, AT_ROME, found.replica, GLOBALS) is None


def test_the_first_look_at_a_published_file_makes_it_known() -> None:
    found = at_paris(element=file(gen=0))
    assert found.element is not None and found.replan
    assert (found.element.gen, found.element.content) == (1, content())
    assert found.element.body["time"] == file().body["time"]


@pytest.mark.parametrize(("letter", "action"), [("a", "ignored"), ("b", "new")])
def test_what_was_deleted_on_purpose_stays_deleted_until_it_changes(letter: str, action: str) -> None:
    stone = Tombstone(KEY, Version(500, 0), content())
    found = receive(seen(letter), None, None, stone, PARIS, AT_PARIS, GLOBALS, NOW)
    assert found.action == action
    assert "on purpose" in found.reason or action == "new"


@pytest.mark.parametrize(("mtime_ms", "action"), [(400, "ignored"), (600, "new")])
def test_a_delete_of_a_file_nobody_had_looked_at_covers_what_is_older(mtime_ms: int, action: str) -> None:
    stone = Tombstone(KEY, Version(500, 0))
    found = receive(seen(mtime_ms=mtime_ms), None, None, stone, PARIS, AT_PARIS, GLOBALS, NOW)
    assert found.action == action


@pytest.mark.parametrize(("mtime_ms", "action"), [(400, "ignored"), (600, "new")])
def test_a_copy_made_under_the_old_name_after_a_rename_is_a_new_file(mtime_ms: int, action: str) -> None:
    stone = Tombstone(KEY, Version(500, 0), content(), renamed_to="/new")
    found = receive(seen(mtime_ms=mtime_ms), None, None, stone, PARIS, AT_PARIS, GLOBALS, NOW)
    assert found.action == action


def gone(site: Site, mapping: Mapping, replica: Replica | None, element: Element | None = None) -> Outcome:
    return receive(Seen(KEY), element or file(), replica, None, site, mapping, GLOBALS, NOW)


def test_gone_at_the_origin_leaves_the_other_copies() -> None:
    found = gone(PARIS, AT_PARIS, Replica(7, 1, gen=1, synced=5))
    assert found.action == "deleted" and found.element is None
    assert found.replica == Replica(7, 1, gen=1, synced=5, deleted=NOW)


def test_gone_at_the_origin_spreads_when_asked_to_and_comes_back() -> None:
    spreading = replace(AT_PARIS, policy=Policy(propagate_deletes=True))
    found = gone(PARIS, spreading, Replica(7, 1, gen=1, synced=5))
    assert found.element is not None and found.element.body[GONE] == NOW
    copy = Replica(7, 2, gen=1, synced=5)
    wish = plan(found.element, ROME, AT_ROME, copy, GLOBALS)
    assert wish is not None and wish.kind == "absent"
    back = receive(seen(), found.element, found.replica, None, PARIS, spreading, GLOBALS, NOW + 1)
    assert back.element is not None and GONE not in back.element.body
    wish = plan(back.element, ROME, AT_ROME, replace(copy, deleted=NOW), GLOBALS)
    assert wish is not None and wish.kind == "present"


def test_gone_elsewhere_is_not_sent_again_until_the_content_changes() -> None:
    found = gone(ROME, replace(AT_ROME, policy=Policy(propagate_deletes=True)), Replica(7, 2, gen=1, synced=5))
    assert found.element is None and found.replica is not None
    assert plan(file(), ROME, AT_ROME, found.replica, GLOBALS) is None
    assert plan(file(gen=2), ROME, AT_ROME, found.replica, GLOBALS) is not None
    assert plan(file(), ROME, AT_ROME, replace(found.replica, synced=0), GLOBALS) is not None


def test_what_was_never_there_cannot_be_gone() -> None:
    assert gone(ROME, AT_ROME, None).action == "ignored"
    assert receive(Seen(KEY), None, None, None, ROME, AT_ROME, GLOBALS, NOW).action == "ignored"


@pytest.mark.parametrize(
    ("switch", "finding", "element"),
    [
        ("enable_discovery", seen(), None),
        ("enable_discovery_packages", Seen("/pack/", content(), "package"), None),
        ("enable_discovery_updated_files", seen("b"), file()),
        ("enable_discovery_deleted_files", Seen(KEY), file()),
    ],
)
def test_each_switch_stops_its_own_kind_of_finding(switch: str, finding: Seen, element: Element | None) -> None:
    for value in (True, False):
        mapping = replace(AT_PARIS, policy=msgspec.convert({_camel(switch): value}, Policy))
        found = receive(finding, element, None, None, PARIS, mapping, GLOBALS, NOW)
        assert (found.action == "ignored") is not value
        assert value or (found.later and _camel(switch) in found.reason)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


@pytest.mark.parametrize(
    ("everybody", "own", "ignored"), [(True, None, True), (True, False, False), (False, True, True)]
)
def test_what_is_there_at_the_first_scan_can_be_left_alone(everybody: bool, own: bool | None, ignored: bool) -> None:
    mapping = replace(AT_PARIS, policy=Policy(ignore_existing_files=own))
    globals_ = Globals(ignore_existing_files=everybody)
    found = receive(seen(), None, None, None, PARIS, mapping, globals_, NOW, first_scan=True)
    assert found.element is not None
    element = replace(found.element, id=7)
    assert (plan(element, ROME, AT_ROME, None, globals_) is None) == ignored
    later = receive(seen(), None, None, None, PARIS, mapping, globals_, NOW, first_scan=False)
    assert later.action == "new"


def test_a_rename_keeps_the_element_and_its_history() -> None:
    world = World({"/old": file("/old")}, {(7, 1): Replica(7, 1, gen=1, synced=5)})
    found = world.receive(seen(key="/new", was="/old"), PARIS, AT_PARIS)
    assert found.action == "renamed"
    element = world.elements["/new"]
    assert (element.id, element.gen, element.body["renamed_from"]) == (7, 1, "/old")
    assert "/old" not in world.elements and world.stones["/old"].renamed_to == "/new"
    copy = left_behind(Replica(7, 2, gen=1, synced=5), "/old", "/new")
    wish = plan(element, ROME, AT_ROME, copy, GLOBALS)
    assert wish is not None and (wish.path, wish.source) == ("/new", "/old")


def test_a_rename_there_and_back_leaves_nothing_to_do() -> None:
    copy = Replica(7, 2, gen=1, synced=5)
    assert left_behind(left_behind(copy, "/a", "/b"), "/b", "/a") == copy
    assert left_behind(left_behind(copy, "/a", "/b"), "/b", "/c").at == "/a"
    assert left_behind(Replica(7, 2), "/a", "/b").at == ""


def test_a_rename_with_a_change_at_the_origin_is_both() -> None:
    world = World({"/old": file("/old")}, {(7, 1): Replica(7, 1, gen=1, synced=5)})
    world.receive(seen("b", key="/new", was="/old"), PARIS, AT_PARIS)
    element = world.elements["/new"]
    assert (element.id, element.gen, element.content) == (7, 2, content("b"))


def test_a_rename_with_a_change_elsewhere_is_a_new_file_and_one_that_is_gone() -> None:
    world = World({"/old": file("/old")}, {(7, 2): Replica(7, 2, gen=1, synced=5)})
    found = world.receive(seen("b", key="/new", was="/old"), ROME, AT_ROME)
    assert found.action == "new"
    assert world.elements["/new"].body["origin"] == "rome"
    assert world.elements["/old"].content == content()
    assert world.replicas[7, 2].deleted == NOW


def test_a_rename_over_another_file_changes_that_file() -> None:
    other = replace(file("/new"), id=8, content=content("c"))
    world = World({"/old": file("/old"), "/new": other}, {(7, 1): Replica(7, 1, gen=1, synced=5)})
    found = world.receive(seen(key="/new", was="/old"), PARIS, AT_PARIS)
    assert found.action == "modified"
    assert (world.elements["/new"].id, world.elements["/new"].gen) == (8, 2)
    assert world.replicas[7, 1].deleted == NOW
