"""Patterns in gitignore form, as a question a walk can ask.

Owns: `ignoring`. Must not know: where patterns come from.
"""

from __future__ import annotations

from collections.abc import Sequence

from everysite.errors import BadRequest
from everysite.model.path import to_text
from everysite.observe.folder import Skip


def ignoring(patterns: Sequence[str]) -> Skip:
    """Leaves out what the patterns ignore. As in git, the last one that matches decides, '!' takes back, and what lies
    in an ignored folder cannot be taken back. Raises BadRequest naming a malformed pattern."""
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(patterns)
    except ValueError as err:
        raise BadRequest(f"a pattern is not in gitignore form: {err}") from err

    def skip(path: bytes, folder: bool) -> bool:
        return spec.match_file(to_text(path) + ("/" if folder else ""))

    return skip
