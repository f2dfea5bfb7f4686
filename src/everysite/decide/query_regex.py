"""Regular expressions of queries: written as in JavaScript, carried out in linear time by RE2.

Owns: what is translated, which flags there are, the bounds on a pattern. Must not know: how a query spells one.

RE2 has no look-around and no backreferences, the two things that let a pattern run for years; such patterns are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from everysite.errors import BadRequest

LONGEST = 1000
"""Characters of a pattern. People's patterns have some tens."""

MEMORY = 1 << 20
"""Bytes one compiled pattern may take (RE2's own default is 8 MiB). RE2 keeps 128 of them."""

_MEANING = frozenset("imsx")
_WITHOUT_MEANING = frozenset("dguvy")  # JavaScript's others: about positions and Unicode, which change no match here
_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|(_)|([^\x00-\x7f])|.)", re.DOTALL)
_SPACED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\s+|#[^\n]*", re.DOTALL)


def read_flags(text: str) -> str:
    """Those of i, m, s and x that are set, sorted. Raises BadRequest for a letter that is no flag."""
    unknown = set(text) - _MEANING - _WITHOUT_MEANING
    if unknown:
        raise BadRequest(f"{min(unknown)!r} is no flag of a regular expression; use i, m, s or x")
    return "".join(sorted(set(text) & _MEANING))


@lru_cache(maxsize=128)
def finder(pattern: str, flags: str = "") -> Callable[[str], bool]:
    """Whether the pattern is found anywhere in a text. Raises BadRequest for one that cannot be read or is too large.

    `flags`: i without regard to case, m `^` and `$` at each line, s `.` is a newline too, x white space and comments are
    left out.
    """
    import re2  # type: ignore[import-untyped]  # here, since most commands never need it

    if len(pattern) > LONGEST:
        raise BadRequest(f"the regular expression {pattern[:40]!r}... is longer than {LONGEST} characters")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MEMORY
    try:
        compiled = re2.compile(_spelled(pattern, read_flags(flags)), options)
    except (re2.error, UnicodeEncodeError) as err:
        raise BadRequest(f"the regular expression {pattern!r} cannot be used: {_reason(err)}") from err
    search = compiled.search
    # Bytes: RE2 would count characters of the text for positions nobody asks for, which takes three times as long.
    return lambda text: search(text.encode("utf-8", "surrogatepass")) is not None


def _spelled(pattern: str, flags: str) -> str:
    """The same in RE2's spelling, flags in front."""
    if "x" in flags:
        pattern = _SPACED.sub(lambda found: found[0] if found[0][0] in "\\[" else "", pattern)
        flags = flags.replace("x", "")
    pattern = _ESCAPE.sub(_escape, pattern)
    return f"(?{flags}){pattern}" if flags else pattern


def _escape(found: re.Match[str]) -> str:
    if code := found[1] or found[2]:
        return rf"\x{{{code}}}"
    return found[3] or found[4] or found[0]


def _reason(err: Exception) -> str:
    said = err.args[0] if err.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(err)
    if re.search(r"\(\?(<?[=!]|P=)|escape sequence: \\[1-9k]", text):
        return f"{text}; look-around and backreferences are not offered"
    return text
