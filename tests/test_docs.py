"""Examples in README.md and docs/ are carried out; links lead somewhere; every setting is explained.

A fenced block opened with ```console everysite is a session: lines after `$ ` are commands for sh, the lines below a
command are what it prints (`...` stands for anything; none: anything). Every command must succeed. The blocks of a page
run one after another in one folder with a home of its own; 8090 becomes a free port. The folder has the files that are
named where a block is opened (```python report.py) and nothing else. ```toml blocks are read as everysite.toml.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from everysite.config import check, describe

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECONDS = 90
_MARK = "--- example answered"


class Command(NamedTuple):
    """One line a reader would type, where it stands, and what the page says it prints."""

    line: int
    text: str
    prints: str


def blocks(page: str, kind: str) -> Iterator[tuple[int, list[str]]]:
    """The fenced blocks of a kind: number of the first line inside, and the lines."""
    lines = page.splitlines()
    start = None
    for number, line in enumerate(lines):
        if start is None and line.strip() == f"```{kind}":
            start = number + 1
        elif start is not None and line.strip() == "```":
            yield start + 1, lines[start:number]
            start = None


def commands(page: str) -> list[Command]:
    """The commands of a page's sessions in order."""
    found: list[Command] = []
    for first, lines in blocks(page, "console everysite"):
        for number, line in enumerate(lines, first):
            if line.startswith("$ "):
                found.append(Command(number, line[2:], ""))
            elif found:
                last = found.pop()
                found.append(last._replace(prints=last.prints + line + "\n"))
    return found


def files(page: str) -> dict[str, str]:
    """The files a page shows, by name."""
    kinds = re.findall(r"^```(\w+ [\w-]+\.\w+)$", page, re.MULTILINE)
    return {kind.split()[1]: "\n".join(lines) + "\n" for kind in kinds for _, lines in blocks(page, kind)}


def carry_out(page: str, folder: Path) -> list[str]:
    """Run a page's sessions; one line for each command that fails or prints something else."""
    work = folder / "work"
    work.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    page = page.replace("8090", port)
    for name, text in files(page).items():
        work.joinpath(name).write_text(text)
    session = commands(page)
    script = "".join(f"{command.text}\nprintf '\\n{_MARK} %d\\n' $?\n" for command in session)
    folder.joinpath("user").mkdir()
    environ = {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "HOME": str(folder / "user"),
        "EVERYSITE_HOME": str(folder / "home"),
        "EVERYSITE_SERVER__PORT": port,
        "COLUMNS": "120",
        "LC_ALL": "C.UTF-8",
    }
    done = _shell(script, work, environ)
    answers = re.split(rf"\n{_MARK} (\d+)\n", done)
    return list(_differences(session, answers))


def _shell(script: str, work: Path, environ: dict[str, str]) -> str:
    # The answer goes to a file: a server left running by the example would keep a pipe open for ever.
    with tempfile.TemporaryFile() as answer:
        shell = subprocess.Popen(
            ["sh", "-c", script], cwd=work, env=environ, stdin=subprocess.DEVNULL, stdout=answer, stderr=answer,
            start_new_session=True,
        )  # fmt: skip
        try:
            shell.wait(SECONDS)
        finally:
            # Servers an example started in the background belong to the shell's own group.
            with contextlib.suppress(ProcessLookupError):  # nothing was left
                os.killpg(shell.pid, signal.SIGTERM)
            shell.wait(10)
        answer.seek(0)
        return answer.read().decode()


def _differences(session: list[Command], answers: list[str]) -> Iterator[str]:
    for i, command in enumerate(session):
        printed, code = answers[2 * i], answers[2 * i + 1] if 2 * i + 1 < len(answers) else "nothing"
        if code != "0":
            yield f"line {command.line}: {command.text!r} ended with {code}: {printed}"
            return  # the rest builds on it
        wanted = ".*".join(re.escape(part) for part in command.prints.strip().split("..."))
        if wanted and not re.fullmatch(wanted, printed.strip(), re.DOTALL):
            yield f"line {command.line}: {command.text!r} printed\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    assert not carry_out(page.read_text(), tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_example_settings_are_settings(page: Path, tmp_path: Path) -> None:
    for _, lines in blocks(page.read_text(), "toml"):
        tmp_path.joinpath("everysite.toml").write_text("\n".join(lines))
        assert not check(tmp_path, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    inside = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert not [target for target in inside if not (page.parent / target).exists()]


def test_every_setting_is_explained(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|.*\| (.+) \|$", page, re.MULTILINE))
    assert rows == {line.key: line.doc for line in describe(tmp_path, {})}


@pytest.mark.parametrize(
    ("session", "said"),
    [
        ("$ echo one two three\none ... three\n", []),
        ("$ true\n$ mkdir a\n$ cd a && pwd\n.../a\n", []),
        ("$ echo one\ntwo\n", ["line 2: 'echo one' printed"]),
        ("$ true\n$ false\n$ echo not reached\n", ["line 3: 'false' ended with 1"]),
        ("$ exit 3\n", ["line 2: 'exit 3' ended with nothing"]),
        ("$ sleep 60 &\n$ test 8090 = $EVERYSITE_SERVER__PORT\n", []),
    ],
)
def test_an_example_that_is_wrong_is_found(session: str, said: list[str], tmp_path: Path) -> None:
    found = carry_out(f"```console everysite\n{session}```\n", tmp_path)
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True))
