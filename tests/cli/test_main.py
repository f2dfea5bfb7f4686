"""The table of verbs, help without imports, and how trouble becomes a line and an exit code."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from everysite import cli
from everysite.cli.outcome import carry_out
from everysite.errors import BadRequest, Conflict, DigestMismatch, EverysiteError, NotFound, SiteUnreachable


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {verb} " in shown for verb in cli.VERBS)


def test_bare_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert "usage: everysite" in told.err


def test_help_imports_no_verb_and_nothing_heavy() -> None:
    text = "import sys; from everysite.cli import main; main(['--help']); print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    ours = {name for name in loaded if name.startswith("everysite")}
    assert ours == {"everysite", "everysite.cli"}
    assert not loaded & {"argparse", "asyncio", "msgspec", "aiohttp", "rich", "starlette", "apsw"}


@pytest.mark.parametrize("module", ["everysite", "everysite.cli"])
def test_runs_as_a_module(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "everysite", "")


@pytest.mark.parametrize(("word", "said"), [("statsu", "'everysite status'"), ("xyzzy", "'everysite --help'")])
def test_unknown_verb_gets_a_hint(word: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert word in told.err
    assert said in told.err
    assert told.err.count("\n") == 1


class Raising:
    """A verb that ends in a given way."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--n", type=int)

    def run(self, args: argparse.Namespace) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadRequest("no such key"), 2, "everysite try: no such key\n"),
        (NotFound("/a is not there"), 4, "everysite try: not found: /a is not there\n"),
        (Conflict("taken\nby b"), 4, "everysite try: conflict: taken by b\n"),
        (SiteUnreachable("nobody answers"), 3, "everysite try: nobody answers\n"),
        (DigestMismatch("other bytes"), 1, "everysite try: other bytes\n"),
        (EverysiteError("hm"), 1, "everysite try: hm\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "everysite try: Permission denied: /x\n"),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_trouble_is_one_line_and_a_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out("try", Raising(error), "try", []) == code
    assert capsys.readouterr().err == said


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        carry_out("try", Raising(ZeroDivisionError()), "try", [])


def test_wrong_arguments_are_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out("try", Raising(EverysiteError()), "try", ["--n", "x"]) == 2
    told = capsys.readouterr().err
    assert "--n" in told
    assert told.count("\n") == 1


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m everysite --help | true; {sys.executable} -m everysite version | true"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
