"""Which files of a tree a scan looks at.

Owns: the scan patterns (decisions B 2): includes, then excludes, then exact paths; package patterns; our own names.
Must not know: sites, the disk, or what is done with a file that passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from everysite.errors import BadRequest

Passes = Callable[[str], bool]

_COMMA = re.compile(r"(?<!\\),")
_OWN = re.compile(r"(^|/)(\.everysite-[^/]*\.part|\.everysite(/|$))")


def split_patterns(text: object) -> tuple[str, ...]:
    """Globs written one per line or comma-separated (a list of them is taken too). A line starting with '#' is a comment,
    a comma after a backslash belongs to its glob. Raises BadRequest."""
    if text is None:
        return ()
    if isinstance(text, list | tuple):
        return tuple(part for item in text for part in split_patterns(item))
    if not isinstance(text, str):
        raise BadRequest(f"{text!r} is no list of patterns; write globs, one per line or separated by commas")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return tuple(part.strip() for line in lines for part in _COMMA.split(line) if part.strip())


def compile(includes: Iterable[str], excludes: Iterable[str], excluded_files: Iterable[str]) -> Passes:
    """Whether a path is to be looked at. Paths are text with or without a leading '/', folders end with '/'.

    Patterns are gitignore's. With includes, a file passes only if one of them matches it; of those, nothing an exclude
    matches; of those, nothing `excluded_files` names exactly (with a trailing '/': the folder and all below it).
    Stages and `.everysite` folders never pass. Folders pass whatever the includes say, since a file below may match;
    below a folder that does not pass nothing is looked at, as in git. Raises BadRequest for a pattern nobody can read.
    """
    includes, excludes = tuple(includes), tuple(excludes)
    wanted, unwanted = packages(includes), packages(excludes)
    exact = frozenset(_relative(path) for path in excluded_files)
    folders = tuple(path for path in exact if path.endswith("/"))

    def passes(path: str) -> bool:
        path = _relative(path)
        if _OWN.search(path) or path in exact or (folders and path.startswith(folders)):
            return False
        if includes and not path.endswith("/") and not wanted(path):
            return False
        return not (excludes and unwanted(path))

    return passes


def packages(patterns: Iterable[str]) -> Passes:
    """Whether one of these patterns matches a path; for `packagePatterns`, ask with the folder's trailing '/'."""
    lines = tuple(patterns)
    if not lines:
        return lambda path: False
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error) as err:
        raise BadRequest(f"a pattern of {', '.join(lines)} cannot be read ({err}); write it as in .gitignore") from err
    return lambda path: bool(spec.match_file(_relative(path)))


def _relative(path: str) -> str:
    return path[1:] if path.startswith("/") else path
