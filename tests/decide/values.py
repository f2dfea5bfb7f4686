"""Elements, replicas, sites and mappings for the tests of `decide`: fixed ones and Hypothesis strategies."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from everysite.model.element import Content, Element
from everysite.model.replica import Replica
from everysite.model.site import Globals, Mapping, Policy, Site

PARIS = Site("paris", "vol/paris", id=1)
ROME = Site("rome", "vol/rome", id=2)
AT_PARIS = Mapping(1, "file:///paris/", id=11)
AT_ROME = Mapping(2, "file:///rome/", id=12)
GLOBALS = Globals()
NOW = 1_700_000_000_000

contents = st.builds(
    lambda size, mtime, letter: Content(size, mtime * 10**6, 0o644, bytes([letter]) * 32),
    st.integers(0, 3),
    st.integers(1, 5),
    st.integers(1, 3),
)
switches = st.sampled_from([True, False, "true", "false", 1, 0, "1", "0", None, "maybe", 7])
parts = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8).filter(
    lambda part: part not in (".", "..")
)
keys = st.builds(
    lambda names, end: "/" + "/".join(names) + end, st.lists(parts, min_size=1, max_size=3), st.sampled_from(["", "/"])
)
policies = st.builds(
    Policy,
    enable_discovery=st.booleans(),
    enable_discovery_updated_files=st.booleans(),
    enable_discovery_deleted_files=st.booleans(),
    enable_discovery_packages=st.booleans(),
    enable_reception=st.booleans(),
    propagate_deletes=st.booleans(),
    ignore_existing_files=st.sampled_from([None, True, False]),
)
directions = st.sampled_from(["both", "send", "receive"])


def content(letter: str = "a", size: int = 5, mtime_ms: int = 1000, mode: int = 0o644) -> Content:
    return Content(size, mtime_ms * 10**6, mode, letter.encode() * 32)


def file(key: str = "/shots/010.exr", origin: int = 1, gen: int = 1, **body: Any) -> Element:
    named = {"origin": {1: "paris", 2: "rome"}.get(origin, "oslo"), "time": NOW - 1000}
    return Element(key, named | body, gen=gen, content=content() if gen else None, origin=origin, id=7)


@st.composite
def files(draw: st.DrawFn) -> Element:
    body: dict[str, Any] = {"time": NOW - 1000}
    origin = draw(st.integers(1, 3))
    body["origin"] = {1: "paris", 2: "rome", 3: "oslo"}[origin]
    for key in ("syncEverywhere", "sync_paris", "sync_rome"):
        if draw(st.booleans()):
            body[key] = draw(switches)
    gen = draw(st.integers(0, 3))
    return Element(draw(keys), body, gen=gen, content=draw(contents) if gen else None, origin=origin, id=7)


def replicas(site: int) -> st.SearchStrategy[Replica]:
    return st.builds(
        Replica,
        element=st.just(7),
        site=st.just(site),
        gen=st.integers(0, 3),
        synced=st.sampled_from([0, NOW - 500]),
        modified=st.sampled_from([0, 0, NOW - 400]),
        deleted=st.sampled_from([0, 0, NOW - 300]),
        seen=st.sampled_from([b"\1" * 32, b"\2" * 32]),
        at=st.sampled_from(["", "", "/older"]),
    )
