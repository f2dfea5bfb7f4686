from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.decide import query_conditions
from everysite.decide.query import (
    EVERYTHING,
    And,
    Compare,
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
from everysite.decide.query_match import matches
from everysite.decide.query_mongo import CONDITIONS, DEEPEST, REGEXES, VALUES, parse
from everysite.errors import BadRequest

NOTHING = Or(())
A5 = Equals("a", 5)


def where(query: Any) -> Predicate:
    return parse({"query": query}).where


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, EVERYTHING),
        ({"a": 5}, A5),
        ({"a": "5"}, Equals("a", "5")),
        ({"a.b": None}, Equals("a.b", None)),
        ({"a": {"b": 1}}, Equals("a", {"b": 1})),
        ({"a": {}}, Equals("a", {})),
        ({"a": [1, 2]}, Equals("a", [1, 2])),
        ({"a": 5, "b": True}, And((A5, Equals("b", True)))),
        ({"a": {"$eq": {"b": 1}}}, Equals("a", {"b": 1})),
        ({"a": {"$ne": 5}}, Not(A5)),
        ({"a": {"$gt": 1, "$lte": 5}}, And((Compare("a", ">", 1), Compare("a", "<=", 5)))),
        ({"a": {"$gte": "x"}}, Compare("a", ">=", "x")),
        ({"a": {"$lt": True}}, Compare("a", "<", True)),
        ({"a": {"$gte": None}}, Equals("a", None)),
        ({"a": {"$gt": None}}, NOTHING),
        ({"a": {"$in": [1, "x", None]}}, OneOf("a", (1, "x", None))),
        ({"a": {"$in": []}}, OneOf("a", ())),
        ({"a": {"$nin": [1]}}, Not(OneOf("a", (1,)))),
        ({"a": {"$exists": True}}, Exists("a")),
        ({"a": {"$exists": False}}, Not(Exists("a"))),
        ({"a": {"$exists": 0}}, Not(Exists("a"))),
        ({"a": {"$not": {"$gt": 1}}}, Not(Compare("a", ">", 1))),
        ({"$and": [{"a": 5}, {"b": 1}]}, And((A5, Equals("b", 1)))),
        ({"$or": [{"a": 5}, {"b": 1}]}, Or((A5, Equals("b", 1)))),
        ({"$nor": [{"a": 5}, {"b": 1}]}, Not(Or((A5, Equals("b", 1))))),
        ({"c": 1, "$or": [{"a": 5}]}, And((Equals("c", 1), A5))),
        ({"a": {"$regex": "^x"}}, Matches("a", "^x")),
        ({"a": {"$regex": "^x", "$options": "si"}}, Matches("a", "^x", "is")),
        ({"a": {"$options": "i", "$regex": "^x"}}, Matches("a", "^x", "i")),
        ({"a": {"$all": [5, "x"]}}, And((A5, Equals("a", "x")))),
        ({"a": {"$all": []}}, NOTHING),
        ({"a": {"$all": [{"$elemMatch": {"$gt": 1}}]}}, Member("a", Compare("", ">", 1))),
        ({"a": {"$size": 2}}, Size("a", 2)),
        ({"a": {"$size": 2.0}}, Size("a", 2)),
        ({"a": {"$elemMatch": {"$gt": 1, "$lt": 5}}}, Member("a", And((Compare("", ">", 1), Compare("", "<", 5))))),
        ({"a": {"$elemMatch": {"b": 1}}}, Member("a", And((TypeIs("", ("object", "array")), Equals("b", 1))))),
        (
            {"a": {"$elemMatch": {"$or": [{"b": 1}]}}},
            Member("a", And((TypeIs("", ("object", "array")), Equals("b", 1)))),
        ),
        ({"a": {"$type": "number"}}, TypeIs("a", ("number",))),
        ({"a": {"$type": 2}}, TypeIs("a", ("string",))),
        ({"a": {"$type": [8, "null", "long", 16]}}, TypeIs("a", ("bool", "null", "int"))),
        ({"a": {"$type": ["date", "array"]}}, TypeIs("a", ("array",))),
        ({"a": {"$type": "objectId"}}, NOTHING),
        ({"a": {"$mod": [4, 1]}}, Mod("a", 4, 1)),
        ({"a": {"$mod": [4.9, -1.5]}}, Mod("a", 4, -1)),
    ],
)
def test_conditions(query: Any, expected: Predicate) -> None:
    assert where(query) == expected


@pytest.mark.parametrize(
    ("value", "pattern", "flags"),
    [
        ("REGEX_^x.*y$", "^x.*y$", ""),
        ("REGEX_", "", ""),
        ("RX_^x_RXi", "^x", "i"),
        ("RX_^x_RX", "^x", ""),
        ("RX_^x_RXgim", "^x", "im"),
        ("RX_^x", "^x", ""),
        ("RX_a_RX_b_RXi", "a_RX_b", "i"),
    ],
)
def test_texts_that_are_regular_expressions(value: str, pattern: str, flags: str) -> None:
    found = Matches("a", pattern, flags)
    assert where({"a": value}) == found
    assert where({"a": {"$eq": value}}) == found
    assert where({"a": {"$ne": value}}) == Not(found)
    assert where({"a": {"$not": value}}) == Not(found)
    assert where({"a": {"$all": [value]}}) == found
    assert where({"a": {"$in": [1, value]}}) == Or((OneOf("a", (1,)), found))
    assert where({"a": {"$nin": [value]}}) == Not(Or((OneOf("a", ()), found)))
    assert where({"$or": [{"$and": [{"x.y": {"$elemMatch": {"a": value}}}]}]}) == Member(
        "x.y", And((TypeIs("", ("object", "array")), found))
    )
    assert where({"a": {"$regex": value}}) == found


def test_a_regular_expression_inside_a_value_equals_nothing() -> None:
    assert where({"a": {"b": "REGEX_x"}}) == NOTHING
    assert where({"a": [1, {"b": ["RX_x"]}]}) == NOTHING
    assert where({"a": {"$in": [1, ["REGEX_x"]]}}) == OneOf("a", (1,))


def test_a_regular_expression_takes_the_options_beside_it() -> None:
    assert where({"a": {"$regex": "REGEX_x", "$options": "i"}}) == Matches("a", "x", "i")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Search()),
        (None, Search()),
        ({"query": None, "sort": None, "limit": None, "skip": None}, Search()),
        ({"query": {"a": 5}, "limit": 10, "skip": 20}, Search(A5, skip=20, limit=10)),
        ({"query": {"a": 5}, "limit": "10", "skip": " 20 "}, Search(A5, skip=20, limit=10)),
        ({"query": {}, "limit": 0, "skip": ""}, Search()),
        ({"query": {}, "limit": 5.0}, Search(limit=5)),
        ({"query": {}, "sort": {"b": -1, "a.c": 1}}, Search(sort=(("b", -1), ("a.c", 1)))),
        ({"query": {}, "sort": {"b": "-1", "a": 1.0}}, Search(sort=(("b", -1), ("a", 1)))),
        ({"queryobj": '{"query": {"a": 5}, "limit": "3"}'}, Search(A5, limit=3)),
        ({"queryobj": "{}"}, Search()),
    ],
)
def test_the_whole_body(body: Any, expected: Search) -> None:
    assert parse(body) == expected


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"$where": "this.a"}, r"\$where is not offered where a key belongs"),
        ({"$expr": {"$gt": ["$a", 1]}}, r"\$expr is not offered"),
        ({"$text": {"$search": "x"}}, r"\$text is not offered"),
        ({"$comment": "x"}, r"\$comment is not offered"),
        ({"a": {"$where": "1"}}, r"\$where is not offered among the operators"),
        ({"a": {"$function": {"body": "x"}}}, r"\$function is not offered"),
        ({"a": {"$near": [1, 2]}}, r"\$near is not offered"),
        ({"a": {"$not": {"$where": "1"}}}, r"\$where is not offered"),
        ({"a": {"$elemMatch": {"b": {"$where": "1"}}}}, r"\$where is not offered"),
        ({"$and": [{"$or": [{"$where": "1"}]}]}, r"\$where is not offered"),
        ({"a": {"$gt": 1, "b": 2}}, "b is not offered among"),
        ({"a": {"b": {"$gt": 1}}}, r"\$gt stands inside a value"),
        ({"a": [{"$where": "1"}, "REGEX_x"]}, r"\$where stands inside a value"),
        ({"a": {"$in": [{"$gt": 1}]}}, r"\$gt stands inside a value"),
        ({"a": {"$eq": {"$function": 1}}}, r"\$function stands inside a value"),
        ({"$and": []}, r"\$and takes an array of one or more"),
        ({"$or": {"a": 1}}, r"\$or takes an array"),
        ({"$or": [5]}, "5 is no query"),
        (5, "5 is no query"),
        ([{"a": 1}], "is no query"),
        ("a", "'a' is no query"),
        ({"a": {"$in": 5}}, r"\$in and \$nin take an array"),
        ({"a": {"$nin": "x"}}, r"\$in and \$nin take an array"),
        ({"a": {"$all": 5}}, r"\$all takes an array"),
        ({"a": {"$not": 5}}, r"\$not takes operators"),
        ({"a": {"$not": {}}}, r"\$not takes operators"),
        ({"a": {"$not": {"b": 1}}}, r"\$not takes operators"),
        ({"a": {"$gt": [1]}}, "cannot be compared by size"),
        ({"a": {"$lt": {"b": 1}}}, "cannot be compared by size"),
        ({"a": {"$gt": "REGEX_x"}}, "cannot be compared by size"),
        ({"a": {"$exists": "yes"}}, r"\$exists is 'yes'"),
        ({"a": {"$size": -1}}, r"\$size is -1"),
        ({"a": {"$size": "2"}}, r"\$size is '2'"),
        ({"a": {"$size": True}}, r"\$size is True"),
        ({"a": {"$elemMatch": 5}}, r"\$elemMatch takes an object"),
        ({"a": {"$type": "text"}}, r"\$type 'text' is no type"),
        ({"a": {"$type": 99}}, r"\$type 99 is no type"),
        ({"a": {"$type": True}}, r"\$type True is no type"),
        ({"a": {"$type": []}}, r"\$type takes"),
        ({"a": {"$mod": [0, 1]}}, r"\$mod is"),
        ({"a": {"$mod": [0.5, 1]}}, r"\$mod is"),
        ({"a": {"$mod": [4]}}, r"\$mod is"),
        ({"a": {"$mod": ["4", 1]}}, r"\$mod is"),
        ({"a": {"$mod": 4}}, r"\$mod is"),
        ({"a": {"$regex": 5}}, r"\$regex and \$options are texts"),
        ({"a": {"$regex": "x", "$options": 5}}, r"\$regex and \$options are texts"),
        ({"a": {"$regex": "x", "$options": "q"}}, "'q' is no flag"),
        ({"a": {"$options": "i"}}, r"\$options belongs to \$regex"),
        ({"a": {"$regex": "("}}, "regular expression"),
        ({"a": "REGEX_(?=x)"}, "look-around"),
        ({"a": "RX_x_RXq"}, "'q' is no flag"),
        ({"": 5}, "'' is no key"),
        ({"a." + "0." * 9: 1}, "8 that are numbers"),
    ],
)
def test_what_is_no_query_is_refused(query: Any, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        where(query)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "the body of search_mongo is an object"),
        ("x", "the body of search_mongo is an object"),
        ({"a": 5}, "'a' is no part of search_mongo"),
        ({"queryobj": "{"}, "queryobj is no JSON"),
        ({"queryobj": "[" * 100_000}, "queryobj is no JSON"),
        ({"queryobj": "\ud800"}, "queryobj is no JSON"),
        ({"queryobj": "[]"}, "the body of search_mongo is an object"),
        ({"queryobj": '{"queryobj": "{}"}'}, "'queryobj' is no part"),
        ({"queryobj": 5}, "queryobj is a text"),
        ({"limit": -1}, "limit is -1"),
        ({"limit": "many"}, "limit is 'many'"),
        ({"limit": True}, "limit is True"),
        ({"skip": 1.5}, "skip is 1.5"),
        ({"skip": 2**53}, "skip is"),
        ({"limit": "9" * 5000}, "limit is"),
        ({"sort": "a"}, "sort is an object"),
        ({"sort": ["a"]}, "sort is an object"),
        ({"sort": {"a": 2}}, "sort by a is 2"),
        ({"sort": {"a": True}}, "sort by a is True"),
        ({"sort": {"a": [1]}}, "sort by a is"),
        ({"sort": {"$natural": 1}}, r"'\$natural' is no key"),
        ({"sort": {str(i): 1 for i in range(33)}}, "at most 32 keys"),
    ],
)
def test_what_is_no_body_is_refused(body: Any, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        parse(body)


def nested(levels: int, inner: Any, wrap: Any) -> Any:
    for _ in range(levels):
        inner = wrap(inner)
    return inner


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: {"$and": [inner]},
        lambda inner: {"a": {"$elemMatch": inner}},
        lambda inner: {"a": inner},
        lambda inner: [inner],
    ],
)
def test_depth_is_bounded(wrap: Any) -> None:
    with pytest.raises(BadRequest, match=f"deeper than {DEEPEST} levels"):
        where(nested(100_000, {"a": 1}, wrap))


def test_the_deepest_query_runs() -> None:
    deep = where(nested((DEEPEST - 3) // 2, {"a": 1}, lambda inner: {"$nor": [inner]}))
    assert matches(deep, {"a": 1}) in (True, False)


def test_size_is_bounded() -> None:
    assert where({"a": {"$in": list(range(10_000))}})
    for query in (
        {"a": {"$in": list(range(VALUES))}},
        {"$or": [{"a": i} for i in range(CONDITIONS)]},
        {"a": {"$in": [f"REGEX_{i}" for i in range(REGEXES + 1)]}},
        {"$or": [{"a": {"$regex": str(i)}} for i in range(REGEXES + 1)]},
    ):
        with pytest.raises(BadRequest, match="the query is too large"):
            where(query)


names = st.sampled_from(
    ["a", "b", "a.b", "a.0", "$and", "$or", "$nor", "$regex", "$options", "$where", *query_conditions._OPERATORS]
) | st.text(max_size=3)
numbers = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=4) | st.sampled_from(["REGEX_a", "RX_a_RXi", "RX_(", "number", "imsx"])
scalars = st.none() | st.booleans() | numbers | words
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(st.sampled_from(["query", "sort", "limit", "skip"]), anything) | anything, anything)
def test_any_json_is_read_or_refused(body: Any, document: Any) -> None:
    for asked in (body, {"query": body}):
        try:
            search = parse(asked)
        except BadRequest:
            continue
        assert matches(search.where, {"a": document, "b": [document]}) in (True, False)


@given(anything)
def test_queryobj_is_the_same_written_as_text(query: Any) -> None:
    def outcome(body: Any) -> Any:
        try:
            return parse(body)
        except BadRequest as err:
            return str(err)

    body = {"query": query}
    assert outcome({"queryobj": msgspec.json.encode(body).decode()}) == outcome(body)
