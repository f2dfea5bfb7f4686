from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.decide.values import keys

from everysite.decide.naming import case_twins, folded, problem


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("/a/con", "device"),
        ("/a/CON.tar.gz", "device"),
        ("/Com7/x", "device"),
        ("/lpt¹.txt", "device"),
        ("/nul .txt", "device"),
        ("/a./b", "dot or a space"),
        ("/a /b", "dot or a space"),
        ("/a:b", "':'"),
        ("/a\\b", "not allow"),
        ("/what?", "'?'"),
        ("/line\nbreak", "not allow"),
        ("/" + "é" * 256, "longer"),
        ("/" + "😀" * 128, "longer"),
        ("/caf\uefe9", "not UTF-8"),
    ],
)
def test_what_windows_cannot_hold_is_named(key: str, word: str) -> None:
    found = problem(key, "windows")
    assert found is not None and word in found


@pytest.mark.parametrize("key", ["/a/console", "/com10", "/.hidden", "/a b/c.d/", "/" + "é" * 255, "/com", "/aux-1"])
def test_what_windows_can_hold(key: str) -> None:
    assert problem(key, "windows") is None


@given(keys)
def test_linux_holds_every_name_and_macos_whatever_windows_does(key: str) -> None:
    assert problem(key, "linux") is None
    if problem(key, "windows") is None:
        assert problem(key, "darwin") is None


@given(keys, keys)
def test_a_problem_of_a_folder_is_one_of_everything_below(above: str, inner: str) -> None:
    key = above.rstrip("/") + inner
    assert (problem(key, "windows") is None) == (
        problem(above, "windows") is None and problem(inner, "windows") is None
    )


@given(st.lists(st.text("aAbBéÉsSß", min_size=1, max_size=3), max_size=12))
def test_twins_are_different_paths_that_fold_alike(found: list[str]) -> None:
    groups = case_twins(found)
    for group in groups:
        assert len(set(group)) == len(group) > 1
        assert len({folded(key) for key in group}) == 1
    twins = {key for group in groups for key in group}
    assert twins == {key for key in found if any(key != other and folded(key) == folded(other) for other in found)}


def test_forms_of_one_letter_are_twins() -> None:
    assert case_twins(["/Ab", "/x", "/aB", "/caf\u00e9", "/cafe\u0301", "/Ab"]) == [
        ("/Ab", "/aB"),
        ("/caf\u00e9", "/cafe\u0301"),
    ]
