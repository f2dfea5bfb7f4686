from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.decide.values import AT_ROME, NOW, ROME, content, file, files, policies, replicas

from everysite.decide.plan import GONE, plan
from everysite.decide.why import Situation, when, why
from everysite.model.clock import Version
from everysite.model.element import Element, Tombstone
from everysite.model.replica import Replica
from everysite.model.site import Globals, Mapping, Policy
from everysite.model.task import Task, Wish

PATH = "/shots/010.exr"
DAY = "2023-11-14 22:13:20"  # NOW


def task(**change: Any) -> Task:
    return msgspec.structs.replace(Task(12, PATH, "present", 7, 1, content(), "", b"", 0, NOW, 5), **change)


def situation(**change: Any) -> Situation:
    return msgspec.structs.replace(
        Situation(PATH, "rome", NOW, element=file(), site=ROME, mapping=AT_ROME, task=task()), **change
    )


def row(**change: Any) -> Replica:
    return msgspec.structs.replace(Replica(7, 2, gen=1, synced=NOW), **change)


def gone() -> Element:
    return replace(file(), body=file().body | {GONE: NOW})


CASES = [
    (situation(element=None), "is not known to the tracker"),
    (situation(element=None, tombstone=Tombstone(PATH, Version(NOW, 0))), f"was deleted on {DAY}"),
    (situation(element=None, tombstone=Tombstone(PATH, Version(NOW, 0), renamed_to="/b")), "was renamed to /b"),
    (situation(element=replace(file(), key="note")), "is a document"),
    (situation(site=None), "there is no site rome"),
    (situation(element=file(origin=2)), "it is the origin"),
    (
        situation(element=file(origin=2, gen=0), task=task(kind="inspect", tries=1, error=23)),
        "not be read at rome, its origin",
    ),
    (situation(element=file(origin=2), replica=row(deleted=NOW)), "its origin; other sites keep"),
    (situation(replica=row(modified=NOW)), "is in conflict with the content from paris"),
    (situation(replica=row(deleted=NOW)), "remove the keys deleted_rome and synced_rome"),
    (situation(element=gone(), replica=row(deleted=NOW)), "because its origin paris deleted it"),
    (situation(element=gone()), "was deleted at its origin paris"),
    (situation(replica=row(at="/old")), "under its old name /old, and is renamed as soon as rome gets to it"),
    (
        situation(replica=row(at="/old"), site=replace(ROME, paused=True)),
        "works again (/shots/010.exr waits because rome is paused)",
    ),
    (situation(replica=row()), f"current since {DAY}"),
    (situation(element=file(sync_rome=False)), "because sync_rome is false; set sync_rome to true"),
    (situation(element=file(gen=2, sync_rome=False), replica=row()), "and the copy there is outdated"),
    (situation(globals=Globals(sync_everywhere=False)), "syncEverywhere of all files is false"),
    (situation(mapping=None), "lies outside of what rome keeps"),
    (situation(mapping=replace(AT_ROME, direction="send")), "rome only sends /"),
    (situation(mapping=replace(AT_ROME, policy=Policy(enable_reception=False))), "enableReception of rome is off"),
    (situation(element=file(gen=0)), "waits for paris to tell its content"),
    (situation(site=replace(ROME, paused=True)), "rome is paused; `everysite site resume rome`"),
    (situation(online=False, agent_seen=NOW), f"the agent of rome was last seen on {DAY}; start it"),
    (situation(online=False), "has never been seen"),
    (situation(halted="No route to host."), "rome halted (No route to host); it is probed"),
    (situation(task=task(lease=3), replica=row(synced=0, syncing=NOW)), f"is on its way to rome since {DAY}"),
    (situation(task=task(lease=3)), "is on its way to rome."),
    (
        situation(task=task(tries=1, error=23, error_text="access\ndenied")),
        f"(access denied) after 1 try, the next is at {DAY}",
    ),
    (situation(task=task(tries=2, error=23)), "(error 23) after 2 tries"),
    (
        situation(task=task(tries=3, error=23), mapping=replace(AT_ROME, policy=Policy(retry_count=3))),
        "it is not tried again; remove syncError_rome",
    ),
    (situation(before=task(path="/shots/")), "until /shots/ is done"),
    (situation(origin_online=False), "no site that has it can be reached; start the agent of paris"),
    (situation(ahead_files=1, ahead_bytes=999), "behind 1 file (999 bytes) with priority 0"),
    (
        situation(ahead_files=20, ahead_bytes=2_500_000, task=task(priority=4)),
        "behind 20 files (2.5 MB) with priority 4",
    ),
    (situation(ahead_files=9, ahead_bytes=3 * 10**15), "(3000.0 TB)"),
    (situation(task=None), "about to be queued"),
]


@pytest.mark.parametrize(("found", "words"), CASES, ids=[words for _, words in CASES])
def test_every_reason_has_its_sentence(found: Situation, words: str) -> None:
    assert words in why(found)
    assert_one_sentence(why(found), found)


def assert_one_sentence(said: str, found: Situation) -> None:
    assert said.endswith(".") and not said.endswith("..")
    assert "\n" not in said
    assert found.site_name in said or found.tombstone is not None
    assert found.path in said or found.site is None
    outside = re.sub(r"\([^()]*\)", "", said.replace(found.path, ""))  # an error text in brackets keeps its own stops
    assert not re.search(r"\. ", outside)


situations = st.builds(
    lambda element, mapping, replica, waiting, paused, globals_, online, halted: Situation(
        element.key, "rome", NOW, element, None, replace(ROME, paused=paused), mapping, globals_, replica, waiting,
        online=online, halted=halted,
    ),
    files().map(lambda element: replace(element, key="/a/plain")),
    st.one_of(st.none(), st.builds(Mapping, st.just(2), st.just("file:///r/"), st.sampled_from(["/", "/b/"]), policy=policies)),
    st.one_of(st.none(), replicas(2)),
    st.one_of(st.none(), st.builds(task, tries=st.integers(0, 2), lease=st.integers(0, 1), error_text=st.text(max_size=9))),
    st.booleans(),
    st.builds(Globals, sync_everywhere=st.booleans()),
    st.booleans(),
    st.sampled_from(["", "disk full."]),
)  # fmt: skip


@given(situations)
def test_whatever_is_known_it_is_one_sentence(found: Situation) -> None:
    said = why(found)
    assert said.endswith(".") and "\n" not in said
    assert found.path in said and "rome" in said


@given(situations)
def test_why_and_plan_agree(found: Situation) -> None:
    """What is said to be current or not coming is not planned; what is planned is said to be coming."""
    assert found.site is not None and found.element is not None
    wish = plan(found.element, found.site, found.mapping, found.replica, found.globals) if found.mapping else None
    said = why(found)
    coming = any(
        word in said for word in ("waits", "on its way", "could not be brought", "about to be", "under its old name")
    )
    waits_for_content = "to tell its content" in said
    if isinstance(wish, Wish) and wish.kind == "present":
        assert coming
    elif found.replica is None or not found.replica.at:
        assert not coming or waits_for_content


def test_a_path_with_line_ends_stays_on_one_line() -> None:
    key = "/a\nb  c"
    said = why(situation(path=key, element=replace(file(), key=key)))
    assert said.startswith("/a\\nb  c waits for rome")


def test_times_are_utc() -> None:
    assert when(0) == "1970-01-01 00:00:00"
    assert when(NOW + 999) == DAY
