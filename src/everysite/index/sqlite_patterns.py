"""What a regular expression says in plain words, for a condition that narrows the rows it is tried on.

Owns: the text a pattern is, or that a match must start with. Must not know: SQL, regular expressions beyond that.
"""

from __future__ import annotations

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-:, @#%&=~<>!;'\"`")
_MEANINGFUL = frozenset("imx")
_REPEATS = frozenset("*+?{")


def plain_text(pattern: str, flags: str) -> str | None:
    """The text that is looked for, when the pattern is nothing but that."""
    if not pattern or _MEANINGFUL & set(flags):
        return None
    text, rest = _run(pattern)
    return None if rest else text


def literal_start(pattern: str, flags: str) -> str:
    """What every text must start with in which the pattern is found; '' when that is not plain to see."""
    if not pattern.startswith("^") or _MEANINGFUL & set(flags) or "|" in pattern:
        return ""
    return _run(pattern[1:])[0]


def _run(pattern: str) -> tuple[str, str]:
    """(plain text the pattern starts with, what comes after). A character that is repeated is not plain."""
    text, i = "", 0
    while i < len(pattern):
        escaped = pattern[i] == "\\" and pattern[i + 1 : i + 2] in tuple(".+*?()[]{}|^$/\\-")
        step = 2 if escaped else 1
        char = pattern[i + step - 1]
        if not (escaped or char in _PLAIN) or pattern[i + step : i + step + 1] in _REPEATS:
            break
        text, i = text + char, i + step
    return text, pattern[i:]
