from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.decide import filters
from everysite.decide.filters import packages, split_patterns
from everysite.errors import BadRequest

words = st.lists(st.from_regex(r"[a-z*./]{1,6}", fullmatch=True), max_size=5)


@given(words)
def test_lines_and_commas_mean_the_same(globs: list[str]) -> None:
    assert (
        split_patterns("\n".join(globs)) == split_patterns(" , ".join(globs)) == split_patterns(globs) == tuple(globs)
    )


def test_comments_blanks_and_escaped_commas() -> None:
    assert split_patterns("# all, of it\n *.exr ,, \r\n\n a\\,b ") == ("*.exr", "a\\,b")
    assert split_patterns(None) == split_patterns("") == ()
    assert packages(["a\\,b"])("a,b")


def test_what_is_no_list_of_patterns_is_refused() -> None:
    with pytest.raises(BadRequest, match="separated by commas"):
        split_patterns(5)


@pytest.mark.parametrize("pattern", ["[z-a]", "!", "a\\"])
def test_a_pattern_nobody_can_read_is_named(pattern: str) -> None:
    with pytest.raises(BadRequest, match=r"cannot be read"):
        filters.compile([], [pattern], [])


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/shots/010.exr", True),
        ("shots/010.exr", True),
        ("/shots/010.txt", False),  # no include names it
        ("/shots/", True),  # it may hold some
        ("/shots/bad.exr", False),
        ("/tmp/010.exr", False),
        ("/tmp/", False),
        ("/deep/tmp/010.exr", True),
        ("/shots/020.exr", False),  # excluded exactly
        ("/deep/shots/020.exr", True),
        ("/pack/", False),
        ("/pack/in/it.exr", False),
    ],
)
def test_includes_then_excludes_then_exact_paths(path: str, passes: bool) -> None:
    check = filters.compile(["*.exr"], ["bad.*", "/tmp/"], ["/shots/020.exr", "/pack/"])
    assert check(path) is passes


@given(words, words)
def test_our_own_names_never_pass(includes: list[str], excludes: list[str]) -> None:
    try:
        check = filters.compile(includes, excludes, [])
    except BadRequest:
        return
    for own in ("/.everysite-00ff00ff00ff00ff.part", "a/.everysite-1.part", ".everysite/", "a/.everysite/held.db"):
        assert not check(own)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_without_patterns_everything_else_passes(path: str) -> None:
    assert filters.compile([], [], [])(path) == (".everysite" not in path)
    assert filters.compile([], [], [])("x.everysite") and filters.compile([], [], [])("/.everysite.txt")


def test_the_pattern_library_is_loaded_when_a_pattern_is() -> None:
    check = "import sys, everysite.decide.filters as f; f.compile([], [], []); sys.exit('pathspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
