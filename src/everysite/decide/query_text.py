"""Queries as people type them: `type:shot frames>100 /regex/ missing@paris`.

Owns: the grammar of the text form (docs/queries.md). Must not know: what a predicate means, the other query language, the
clock (`now` is an argument).

The reference looks for an operator by kind, `<=` before `<` before `>=` before `>` before `:`, and not by place; we do as
it does, except that what stands in quotes or between slashes is one value whatever is in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, NamedTuple, cast

from everysite.decide.query import (
    AtSite,
    ChangedSince,
    Compare,
    Contains,
    Equals,
    Matches,
    OneOf,
    Predicate,
    all_of,
    any_of,
    check_path,
)
from everysite.decide.query_regex import finder, read_flags
from everysite.errors import BadRequest

LONGEST = 8192
MOST = 200
"""Characters of a query and terms in it."""

_OPERATORS: tuple[Literal["<=", "<", ">=", ">", ":"], ...] = ("<=", "<", ">=", ">", ":")
_QUOTED = r'"((?:[^"\\]|\\.)*)"(?!\S)'
_PHRASE = re.compile(_QUOTED, re.DOTALL)
_KEY_QUOTED = re.compile(rf"(\S[^\s<>:]*)(<=|<|>=|>|:){_QUOTED}", re.DOTALL)
_KEY_REGEX = re.compile(r"(\S[^\s<>:]*):/(?=\S)")
_CLOSED = re.compile(r"(.*[^\\](?:\\\\)*|(?:\\\\)+)/([gimy]*)", re.DOTALL)  # the last slash no backslash stands before
_WORD = re.compile(r"\S+")
_AT_SITE = re.compile(r"(missing|outdated|only|error|current)@([A-Za-z0-9_-]{1,64})")
_CHANGED = re.compile(r"changed(?:@|\s+since\s+)(\S+)(?!\S)")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_AGO = re.compile(r"(\d{1,9})([smhdw])")
_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_NO_TYPE: Any = object()
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


class _Term(NamedTuple):
    """A predicate (None: says nothing) and where the text goes on."""

    part: Predicate | None
    end: int


def parse(text: str, lone: Literal["contains", "ignored"] = "contains", now: int | None = None) -> Predicate:
    """The predicate of a query. Raises BadRequest.

    `lone`: what a word without an operator does, other than `*` and the words about sites: found anywhere in `_id`
    whatever the case, or nothing (as in the reference). `now`, ms since 1970, is what `changed@2h` is counted from.
    """
    if not text.strip() or text.strip() == "undefined":
        raise BadRequest("there is no query; write key:value, a word, or * for everything")
    if len(text) > LONGEST:
        raise BadRequest(
            f"the query has {len(text)} characters; {LONGEST} are allowed, POST /api/search_mongo takes more"
        )
    terms = list(islice(_terms(text, lone, now), MOST + 1))
    if len(terms) > MOST:
        raise BadRequest(f"the query has more than {MOST} terms; split it, or POST it to /api/search_mongo")
    return all_of([term for term in terms if term is not None])


def _terms(text: str, lone: str, now: int | None) -> Iterator[Predicate | None]:
    at = 0
    while word := _WORD.search(text, at):
        term = _changed(text, word.start(), now) or _quoted(text, word.start(), lone) or _regex(text, word.start())
        if term is None:
            term = _Term(_plain(word[0], lone), word.end())
        yield term.part
        at = term.end


def _changed(text: str, at: int, now: int | None) -> _Term | None:
    found = _CHANGED.match(text, at)
    return _Term(ChangedSince(_moment(found[1], now)), found.end()) if found else None


def _quoted(text: str, at: int, lone: str) -> _Term | None:
    """`key:"a value"`, of any operator, or `"a phrase"`."""
    if found := _KEY_QUOTED.match(text, at):
        value = _unquoted(found[3])
        path = check_path(found[1])
        if found[2] == ":":
            return _Term(Equals(path, value), found.end())
        return _Term(_compare(path, found[2], value), found.end())
    if found := _PHRASE.match(text, at):
        return _Term(_lone(_unquoted(found[1]), lone), found.end())
    return None


def _unquoted(inside: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", inside)


def _regex(text: str, at: int) -> _Term | None:
    """`key:/pattern/flags`. The pattern ends in its word, or in a later one if no word before that has an operator."""
    found = _KEY_REGEX.match(text, at)
    if not found:
        return None
    for word in _WORD.finditer(text, at):
        if word.start() > at and (_operator(word[0]) or word[0].startswith('"')):
            return None
        if closed := _CLOSED.fullmatch(text, max(found.end(), word.start() - 1), word.end()):
            start = found.end()
            pattern, flags = text[start : closed.end(1)], read_flags(closed[2])
            finder(pattern, flags)
            return _Term(Matches(check_path(found[1]), pattern, flags), word.end())
    return None


def _operator(word: str) -> Literal["<=", "<", ">=", ">", ":"] | None:
    return next((op for op in _OPERATORS if word.find(op) > 0), None)


def _plain(word: str, lone: str) -> Predicate | None:
    op = _operator(word)
    if op is None:
        return _lone(word, lone)
    key, _, value = word.partition(op)
    path = check_path(key)
    typed = _typed(value)
    if op == ":":
        return Equals(path, value) if typed is _NO_TYPE else OneOf(path, (value, typed))
    by_text = _compare(path, op, value)
    if typed is _NO_TYPE or typed is None or isinstance(typed, bool):
        return by_text
    return any_of([_compare(path, op, typed), by_text])


def _compare(path: str, op: str, value: Any) -> Predicate:
    return Compare(path, cast(Literal["<", "<=", ">", ">="], op), value)


def _typed(text: str) -> Any:
    """The number, boolean or null a text reads as in JSON, or _NO_TYPE."""
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text) or len(text) > 400:
        return _NO_TYPE
    number = float(text)
    if not math.isfinite(number):
        return _NO_TYPE
    return int(text) if text.lstrip("-").isdigit() and abs(number) < 2**63 else number


def _lone(word: str, lone: str) -> Predicate | None:
    if found := _AT_SITE.fullmatch(word):
        return AtSite(cast(Literal["missing", "outdated", "only", "error", "current"], found[1]), found[2])
    return None if word in ("*", "") or lone == "ignored" else Contains("_id", word)


def _moment(text: str, now: int | None) -> int:
    """ms since 1970 from such a number, a date (UTC unless it says otherwise), or a time ago."""
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    if ago := _AGO.fullmatch(text):
        if now is None:
            raise BadRequest(f"{text!r} is a time ago and there is no clock here; give ms since 1970 or a date")
        return max(0, now - int(ago[1]) * _MS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
        return max(0, round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError) as err:
        raise BadRequest(
            f"{text!r} is no time; write ms since 1970, 2026-11-22T10:00, or 30s, 15m, 2h, 7d, 4w"
        ) from err
