"""Under which name an old state is kept, and how states are counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everysite.decide.versions import keeps_version, kept_name, next_number


@pytest.mark.parametrize(
    ("file", "kept"),
    [
        ("/a/b.ma", "/a/b_5.ma"),
        ("b.tar.gz", "b.tar_5.gz"),
        ("/a.b/c", "/a.b/c_5"),
        ("/a/p/", "/a/p_5/"),
        ("/a/p.q/", "/a/p.q_5/"),
        (".rc", ".rc_5"),
        ("/a/.rc", "/a/.rc_5"),
        ("x.", "x_5."),
        ("", "_5"),
    ],
)
def test_the_name_of_an_old_state(file: str, kept: str) -> None:
    assert kept_name(file, 5) == kept


@given(st.text(), st.none() | st.text() | st.integers() | st.floats() | st.booleans())
def test_any_file_and_time_make_a_child_that_counts(file: str, time: Any) -> None:
    assert keeps_version({"file": kept_name(file, time), "time": time})


@pytest.mark.parametrize(
    "child",
    [
        {},
        {"comment": "c", "time": 5},
        {"file": "a.ma", "time": 5},
        {"file": 5, "time": 5},
        {"file": "a_5.ma", "version": 1, "time": 5},
    ],
)
def test_other_children_do_not_count(child: dict[str, Any]) -> None:
    assert not keeps_version(child)
    assert next_number([child, {"file": "a_5", "time": 5}, {"file": "b_6", "time": 6}]) == 4
