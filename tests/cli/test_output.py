"""The two forms of a table, and values for people."""

from __future__ import annotations

import io
import sys

import pytest

from everysite.cli.output import Size, duration, moment, printable, show_json, show_table, size
from everysite.cli.progress import Bar, Progress

ROWS = [("paris", 1234, Size(1_500_000), True), ("tokyo", 7, Size(0), False)]
HEADERS = ("site", "files", "size", "paused")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_plain_table_is_aligned_and_easy_to_split(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(HEADERS, ROWS)
    assert capsys.readouterr().out == (
        "site   files    size  paused\nparis   1234  1.5 MB  yes\ntokyo      7     0 B  no\n"
    )


def test_a_terminal_gets_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    show_table(HEADERS, ROWS)
    shown = terminal.getvalue()
    assert all(word in shown for word in ("paris", "1,234", "1.5 MB", "tokyo"))


def test_nothing_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(HEADERS, [], "no sites yet")
    assert capsys.readouterr().out == "no sites yet\n"


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name",), [("a\x1b[2Jb\nc",)])
    assert capsys.readouterr().out == "name\na\\x1b[2Jb\\nc\n"
    assert printable("é /x") == "é /x"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (1_500_000, "1.5 MB"), (3 * 10**12, "3.0 TB")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(7, "0:07"), (750, "12:30"), (7509, "2:05:09")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_never_is_a_dash() -> None:
    assert moment(0) == "-"
    assert moment(1_700_000_000_000).startswith("2023-11-")


def test_json_has_no_surprises(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"a": [1, "é"]})
    assert '"é"' in capsys.readouterr().out


def test_progress_says_rate_and_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with Progress("copying") as progress:
        progress.update([Bar("paris", 0, 100, 0)])
        for done in (50, 50, 50):
            now[0] += 2.0
            progress.update([Bar("paris", done, 100, done * 100)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["  paris 50/100  25 files/s  2.5 kB/s  ETA 0:02"]  # and no line while nothing moves


def test_progress_draws_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with Progress("copying") as progress:
        progress.update([Bar("paris", 10, 100, 0, "paused")])
    shown = terminal.getvalue()
    assert "10/100 files" in shown
    assert "paused" in shown
