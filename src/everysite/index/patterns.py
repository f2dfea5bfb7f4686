"""What a regular expression says in plain words, for a condition that narrows the rows it is tried on.

Owns: the text a pattern is, or that a match must start with. Must not know: SQL, regular expressions beyond that.
"""

from __future__ import annotations

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-:, @#%&=~<>!;'\"`")
_MEANINGFUL = frozenset("imx")
_ALTERNATIVES = frozenset("|()")
_CLASSES = frozenset("dDwWsSbB.+*?[]{}^$/\\-")
_SETS = frozenset("[{")
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


def needed_text(pattern: str, flags: str) -> str:
    """The longest text that stands in everything the pattern is found in, as far as that is plain to see; else ''."""
    if _ALTERNATIVES & set(pattern) or {"i", "x"} & set(flags):
        return ""
    best, rest = "", pattern
    while rest:
        run, rest = _run(rest)
        best = max(run, best, key=len)
        if rest[:1] == "\\" and rest[1:2] not in _CLASSES:
            break  # digits or names may follow that are no text
        if rest[:1] in _SETS:
            break
        rest = rest[2:] if rest[:1] == "\\" else rest[1:]
    return best


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
