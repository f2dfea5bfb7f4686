from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from everysite.decide.query import (
    EVERYTHING,
    And,
    AtSite,
    ChangedSince,
    Compare,
    Contains,
    Equals,
    Matches,
    OneOf,
    Or,
    Predicate,
)
from everysite.decide.query_match import matcher, matches
from everysite.decide.query_text import LONGEST, MOST, parse
from everysite.errors import BadRequest

NOW = 1_795_000_000_000
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # the operators, each not in first position
        ("type:shot", Equals("type", "shot")),
        ("d<a", Compare("d", "<", "a")),
        ("d<=a", Compare("d", "<=", "a")),
        ("d>a", Compare("d", ">", "a")),
        ("d>=a", Compare("d", ">=", "a")),
        (":a", Contains("_id", ":a")),
        ("<=x", Contains("_id", "<=x")),
        (":a:b", Contains("_id", ":a:b")),  # the first ':' is the first one of its kind, and it stands first
        ("<=a:b", Equals("<=a", "b")),
        # by kind, not by place
        ("a:b<c", Compare("a:b", "<", "c")),
        ("a>b<=c", Compare("a>b", "<=", "c")),
        # the whole rest belongs to the value
        ("u:http://h", Equals("u", "http://h")),
        ("a<b<c", Compare("a", "<", "b<c")),
        ("a:", Equals("a", "")),
        # keys
        ("nest.k:v", Equals("nest.k", "v")),
        ("#parent:/a/b", Equals("#parent", "/a/b")),
        # white space and *
        ("  a:x \t\n b:y  ", And((Equals("a", "x"), Equals("b", "y")))),
        ("*", EVERYTHING),
        ("* *", EVERYTHING),
        ("* a:x", Equals("a", "x")),
        # a key twice
        ("d>a d<b", And((Compare("d", ">", "a"), Compare("d", "<", "b")))),
        # lone words
        ("Shots", Contains("_id", "Shots")),
        ("undefined *", Contains("_id", "undefined")),
    ],
)
def test_terms(text: str, expected: Predicate) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k:/x/", Matches("k", "x")),
        ("k:/x/i", Matches("k", "x", "i")),
        ("k:/x/gimy", Matches("k", "x", "im")),
        ("k:/a\\/b/", Matches("k", "a\\/b")),
        ("k:/a/b/", Matches("k", "a/b")),  # as in the reference: the last slash ends it
        ("k:/a:b<=c/", Matches("k", "a:b<=c")),
        ("k:/two words/i x:y", And((Matches("k", "two words", "i"), Equals("x", "y")))),
        ("k:/two  words /", Matches("k", "two  words ")),
        ("k:/a\\/ b/", Matches("k", "a\\/ b")),
        ("k:/a /", Matches("k", "a ")),
        ("k:/a b", And((Equals("k", "/a"), Contains("_id", "b")))),  # nothing closes it
        ("#parent:/a/b n:/x/", And((Equals("#parent", "/a/b"), Matches("n", "x")))),  # a term is no part of a pattern
        ('k:/a "b/', And((Equals("k", "/a"), Contains("_id", '"b/')))),
        ("k:/a/bin", Equals("k", "/a/bin")),  # those are no flags
        ("k://", Equals("k", "//")),
        ("k</x/", Compare("k", "<", "/x/")),
    ],
)
def test_regular_expressions(text: str, expected: Predicate) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('k:"two words"', Equals("k", "two words")),
        ('k:"5"', Equals("k", "5")),  # in quotes: the text only
        ('k<"5"', Compare("k", "<", "5")),
        ('k:"a<=b:c"', Equals("k", "a<=b:c")),
        ('k:"/a/"', Equals("k", "/a/")),
        ('k:"say \\"hi\\" \\\\ \\n"', Equals("k", 'say "hi" \\ \\n')),
        ('k:""', Equals("k", "")),
        ('"two words" x:y', And((Contains("_id", "two words"), Equals("x", "y")))),
        ('"a:b"', Contains("_id", "a:b")),
        ('""', EVERYTHING),
        ('k:"open', Equals("k", '"open')),
        ('k:"a"b', Equals("k", '"a"b')),
    ],
)
def test_quotes(text: str, expected: Predicate) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("0.5", 0.5),
        ("5.0", 5.0),
        ("1e3", 1000.0),
        ("true", True),
        ("false", False),
        ("null", None),
    ],
)
def test_typed_literals_match_the_text_and_the_value(literal: str, value: Any) -> None:
    predicate = parse(f"n:{literal}")
    assert predicate == OneOf("n", (literal, value))
    assert matches(predicate, {"n": value})
    assert matches(predicate, {"n": literal})
    assert matches(predicate, {"n": ["x", value]})


@pytest.mark.parametrize(
    "literal", ["010", "+5", "5.", ".5", "0x5", "1e999", "NaN", "Infinity", "True", "٥", "1_000", "5" * 500]
)
def test_what_json_would_not_read_as_a_value_is_a_text(literal: str) -> None:
    assert parse(f"n:{literal}") == Equals("n", literal)


def test_a_whole_number_no_engine_can_hold_is_a_double() -> None:
    assert parse("n:9223372036854775807") == OneOf("n", ("9223372036854775807", 2.0**63))
    assert parse("n:1500000000000") == OneOf("n", ("1500000000000", 1_500_000_000_000))


def test_comparisons_take_numbers_for_numbers_and_texts_for_texts() -> None:
    predicate = parse("time>1500000000000")
    assert predicate == Or((Compare("time", ">", 1_500_000_000_000), Compare("time", ">", "1500000000000")))
    later = matcher(predicate)
    assert later({"time": 1_600_000_000_000}) and later({"time": "1600000000000"})
    assert not later({"time": 900_000_000_000})
    assert not later({"time": True}) and not later({"time": None}) and not later({})
    assert matches(parse("d>2020-05"), {"d": "2020-11-01"})
    assert parse("b<true") == Compare("b", "<", "true")


def test_repeating_a_key_keeps_every_constraint() -> None:
    within = matcher(parse("d>2020 d<2021"))
    assert within({"d": "2020-06"})
    assert not within({"d": "2021-06"}) and not within({"d": "2019"})


def test_a_lone_word_is_part_of_the_identifier_whatever_the_case() -> None:
    assert matches(parse("SQ010"), {"_id": "/shots/sq010/x.exr"})
    assert not matches(parse("sq020"), {"_id": "/shots/sq010/x.exr"})
    assert matches(parse("straße"), {"_id": "/STRASSE"})


def test_lone_words_can_be_ignored_as_in_the_reference() -> None:
    assert parse("word", lone="ignored") == EVERYTHING
    assert parse('word "two words" a:b', lone="ignored") == Equals("a", "b")
    assert parse("missing@paris", lone="ignored") == AtSite("missing", "paris")


@pytest.mark.parametrize("state", ["missing", "outdated", "only", "error", "current"])
def test_site_words(state: Any) -> None:
    assert parse(f"{state}@New-York_2") == AtSite(state, "New-York_2")


def test_what_only_resembles_a_site_word_is_a_lone_word() -> None:
    for word in ("error@host.example", "missing@", "absent@paris", "x-missing@paris", "MISSING@paris"):
        assert parse(word) == Contains("_id", word)


@pytest.mark.parametrize("form", ["changed@{}", "changed since {}", "changed  \t since   {}"])
@pytest.mark.parametrize(
    ("moment", "ms"),
    [
        ("1500000000000", 1_500_000_000_000),
        ("0", 0),
        ("30s", NOW - 30_000),
        ("15m", NOW - 900_000),
        ("2h", NOW - 2 * HOUR),
        ("7d", NOW - 7 * 24 * HOUR),
        ("4w", NOW - 28 * 24 * HOUR),
        ("999999999w", 0),
        ("2026-11-22", 1_795_305_600_000),
        ("2026-11-22T10:00", 1_795_305_600_000 + 10 * HOUR),
        ("2026-11-22T10:00:00.250Z", 1_795_305_600_250 + 10 * HOUR),
        ("2026-11-22T10:00:00+01:00", 1_795_305_600_000 + 9 * HOUR),
        ("0001-01-01", 0),
    ],
)
def test_changed_since(form: str, moment: str, ms: int) -> None:
    assert parse(form.format(moment), now=NOW) == ChangedSince(ms)
    assert parse("a:b " + form.format(moment) + " c:d", now=NOW) == And(
        (Equals("a", "b"), ChangedSince(ms), Equals("c", "d"))
    )


def test_changed_since_takes_no_key_away() -> None:
    assert parse("since:2h") == Equals("since", "2h")
    assert parse("changed:2h") == Equals("changed", "2h")
    assert parse("changed") == Contains("_id", "changed")
    assert parse("changed since") == And((Contains("_id", "changed"), Contains("_id", "since")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no query"),
        (" \n ", "no query"),
        ("undefined", "no query"),
        ("k:/(/", r"regular expression '\('"),
        ("k:/(?=a)/", "look-around and backreferences are not offered"),
        ("k:/(a)\\1/", "look-around and backreferences are not offered"),
        ("changed@yesterday", "'yesterday' is no time"),
        ("changed since 2026-13-01", "'2026-13-01' is no time"),
        ("changed@99999999999999999", "is no time"),
        ("a " * (MOST + 1), f"more than {MOST} terms"),
        ("a" * (LONGEST + 1), f"{LONGEST} are allowed"),
        ("$where:x", r"'\$where' is no key"),
        ("a." * 60 + "b:x", "more than 50 parts"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        parse(text, now=NOW)


def test_a_time_ago_needs_a_clock() -> None:
    with pytest.raises(BadRequest, match="there is no clock here"):
        parse("changed@2h")


pieces = st.sampled_from([*'ab:<>=/"\\ @*.0-5gi(', "changed", " since ", "missing"])
alphabet = st.lists(pieces, max_size=25).map("".join)


@given(alphabet | st.text(max_size=30))
@example('a:"\\')
@example("a:/\\/")
@example("changed@\ud800 k:/\ud800/")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        predicate = parse(text, now=NOW)
    except BadRequest:
        return
    assert matches(predicate, {"_id": "/a", "a": 5, "b": ["a", {"a": None}]}, lambda question: True) in (True, False)


@given(st.from_regex(r"[a-z#_.]{1,8}", fullmatch=True), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_can_be_asked_for_in_quotes(key: str, value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'{key}:"{escaped}"') == Equals(key, value)


@given(
    st.lists(
        st.sampled_from(["a:x", "b<5", "word", "k:/two words/i", 'k:"x y"', "missing@paris", "changed since 2h", "*"]),
        min_size=1,
    )
)
def test_terms_are_read_one_by_one(terms: list[str]) -> None:
    """However many stand together, each means what it means alone."""
    parts = [part for term in terms if (part := parse(term, now=NOW)) != EVERYTHING]
    together = parse("  ".join(terms), now=NOW)
    assert together == (parts[0] if len(parts) == 1 else And(tuple(parts)))
