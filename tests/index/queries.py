"""Random documents and queries, over few keys and values so that they meet.

Owns: the Hypothesis strategies of the searches' tests. Must not know: any engine.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from everysite.decide.query import (
    And,
    AtSite,
    ChangedSince,
    Compare,
    Contains,
    Equals,
    Exists,
    Matches,
    Member,
    Mod,
    Not,
    OneOf,
    Or,
    Predicate,
    Search,
    Size,
    TypeIs,
)

KEYS = ("a", "b", "c", "0", "1", "a.b", 'q"', "it's", "\\", "ä", "{k}", "$x", "?", "a\x01")
FIXED = ("#parent", "src_id", "tgt_id", "time", "origin", "digest")
PATHS = (
    *KEYS,
    *FIXED,
    "_id",
    *(
        "a.a",
        "a.b.c",
        "b.0",
        "b.1",
        "b.00",
        "a.0.b",
        "b.b",
        "c.0.1",
        "time.0",
        "a.it's",
        'q".\\',
        "0.0",
        "a.",
        ".a",
        "ABSENT",
        "a\0",
        "\ud800",
    ),
)
TEXTS = (
    "",
    "a",
    "A",
    "aB",
    "5",
    "5.0",
    "true",
    "null",
    "ä",
    "Ä",
    "ß",
    "SS",
    "ﬁ",
    "a\0b",
    "[1]",
    "{}",
    '"',
    "\\",
    "%",
    "_",
    "/a",
)
NUMBERS = (
    0,
    1,
    2,
    5,
    -1,
    -5,
    0.0,
    -0.0,
    1.0,
    0.5,
    5.0,
    2**53,
    2**53 + 1,
    2.0**53,
    2**62,
    2**63,
    2**64,
    2**70,
    1e300,
    -1e-300,
)

PATTERNS = (
    *("a", "^a", "^/a", "A$", "^$", "^a|b", "^5.?", r"^5\.0", "a?", "^ä", r"\x00", r"^\x61", "a.b", "aB?", "^a+"),
    *("ß|a", "(a)b", r"\d", r"a\d*", "[a]b", "5{1}", "x{0}a", "%", r"\Baz?", "A[B]", r"\.0", r"tru\x65", "^true"),
)

scalars = st.sampled_from((None, True, False, *TEXTS, *NUMBERS))
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
    max_leaves=6,
)
bodies = st.dictionaries(st.sampled_from((*KEYS, *FIXED)), values, max_size=5)


def _leaves(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Predicate]:
    texts = st.sampled_from(TEXTS)
    types = st.sampled_from(("null", "bool", "number", "int", "double", "string", "object", "array"))
    comparable = st.sampled_from((True, False, *TEXTS, *NUMBERS))
    return st.one_of(
        st.builds(Equals, paths, values),
        st.builds(Compare, paths, st.sampled_from(("<", "<=", ">", ">=")), comparable),
        st.builds(OneOf, paths, st.lists(values, max_size=4).map(tuple)),
        st.builds(OneOf, paths, st.lists(comparable, min_size=21, max_size=30).map(tuple)),
        st.builds(Exists, paths),
        st.builds(Matches, paths, st.sampled_from(PATTERNS), st.sampled_from(("", "i", "m", "x", "s"))),
        st.builds(Contains, paths, texts),
        st.builds(Size, paths, st.integers(0, 3)),
        st.builds(TypeIs, paths, st.lists(types, min_size=1, max_size=3).map(tuple)),
        st.builds(Mod, paths, st.sampled_from((1, 2, 3, 5)), st.integers(-1, 2)),
    )


def _trees(leaves: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    def branches(inner: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
        parts = st.lists(inner, max_size=3).map(tuple)
        return st.one_of(st.builds(And, parts), st.builds(Or, parts), st.builds(Not, inner))

    return st.recursive(leaves, branches, max_leaves=5)


def predicates(sites: tuple[str, ...] = (), paths: tuple[str, ...] = PATHS) -> st.SearchStrategy[Predicate]:
    """Trees of all nodes; with sites also their state keys and questions about them."""
    words = ("synced", "syncing", "syncError", "syncErrorText", "syncLastAttempt", "modified", "deleted")
    outer = st.sampled_from((*paths, *(f"{word}_{site}" for word in words for site in (*sites, "nowhere"))))
    members = st.builds(Member, outer, _trees(_leaves(st.sampled_from(("", "a", "b", "0", "a.b")))))
    leaves = [_leaves(outer), members, st.builds(ChangedSince, st.sampled_from((-1, 0, 1, 5)))]
    if sites:
        states = st.sampled_from(("missing", "outdated", "only", "error", "current"))
        leaves += [st.builds(AtSite, states, st.sampled_from((*sites, "nowhere")))] * 2
    return _trees(st.one_of(leaves))


def searches(sites: tuple[str, ...] = (), paths: tuple[str, ...] = PATHS) -> st.SearchStrategy[Search]:
    """Predicates with every kind of sort and part."""
    keys = st.sampled_from((*paths, *(f"{word}_{site}" for word in ("synced", "syncError") for site in sites)))
    sort = st.lists(st.tuples(keys, st.sampled_from((1, -1))), max_size=3).map(tuple)
    return st.builds(Search, predicates(sites, paths), sort, st.integers(0, 4), st.integers(0, 5))
