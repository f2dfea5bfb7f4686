"""What a caller sees and may write, and that the condition of a search says the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.decide.query_match import matches
from everysite.errors import Forbidden
from everysite.model.element import Element
from everysite.tracker.core import Limits
from everysite.tracker.operation import Caller
from everysite.tracker.sight import sight

EVERYBODY, AUTHORS = Limits(), Limits(author_mode=True)
SHOTS = Caller("anna", "editor", prefix="/shots/", scoped=True)


@pytest.mark.parametrize(
    ("key", "body", "seen"),
    [
        ("/shots/a", {}, True),
        ("/shots", {}, True),
        ("/shots/", {}, True),
        ("/shots2/a", {}, False),
        ("/Shots/a", {}, False),
        ("/shots.txt", {}, False),
        ("note", {"#parent": "/shots/a"}, True),
        ("note", {"#parent": "/a"}, False),
        ("note", {"#parent": ["/shots/a"]}, False),
        ("note", {"#parent": ["/a", "/z"]}, False),
        ("link", {"src_id": "/shots/a", "tgt_id": "/shots/b"}, True),
        ("link", {"src_id": "/shots/a", "tgt_id": "/b"}, False),
        ("@anna", {"username": "anna"}, False),
    ],
)
def test_a_prefix_shows_what_lies_below_it(key: str, body: dict[str, Any], seen: bool) -> None:
    view = sight(SHOTS, EVERYBODY)
    assert view.sees(Element(key, body)) is seen
    assert view.shows({"_id": key, **body}) is seen
    assert view.where is not None
    assert matches(view.where, {"_id": key, **body}) is seen
    if seen:
        view.check_write(key, body)
    else:
        with pytest.raises(Forbidden, match="/shots/"):
            view.check_write(key, body)


paths = st.text("/sho0.ts", max_size=8).map(lambda text: "/" + text)
ends = paths | st.lists(paths, max_size=2)
bodies = st.fixed_dictionaries(
    {"_id": paths | st.just("x")},
    optional={"#parent": ends, "src_id": ends, "tgt_id": ends, "author": st.sampled_from(["anna", "bert"])},
)


@given(bodies, st.sampled_from(["", "/s/", "/sho/", "/shots/"]), st.booleans())
def test_searches_and_reads_agree(body: dict[str, Any], prefix: str, own: bool) -> None:
    view = sight(Caller("anna", "user", prefix=prefix), AUTHORS if own else EVERYBODY)
    assert view.where is None or matches(view.where, body) == view.shows(body)
    assert view.where is not None or view.shows(body)


def test_authors_see_their_own_and_admins_and_agents_everything() -> None:
    mine, shared, other = {"author": "anna"}, {"author": ["bert", "anna"]}, {"author": "annabel"}
    anna = sight(Caller("anna", "editor"), AUTHORS)
    assert [anna.sees(Element("x", body)) for body in (mine, shared, other, {})] == [True, True, False, False]
    for caller in (Caller("root", "admin"), Caller("agent:paris", "agent", "paris")):
        assert sight(caller, AUTHORS).where is None
    assert sight(Caller("anna", "editor"), EVERYBODY).where is None


def test_a_token_for_a_site_writes_for_that_site_only() -> None:
    view = sight(Caller("anna", "user", "paris", scoped=True), EVERYBODY)
    view.check_write("/a", {"origin": "paris"}, ["paris"])
    view.check_write("/a", {})
    for body, sites in (({"origin": "rome"}, []), ({"origin": "paris"}, ["paris", "rome"])):
        with pytest.raises(Forbidden, match="paris"):
            view.check_write("/a", body, sites)
    agent = sight(Caller("agent:paris", "agent", "paris"), EVERYBODY)
    agent.check_write("/a", {"origin": "rome"}, ["rome"])
