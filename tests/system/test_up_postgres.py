"""A tracker that remembers in PostgreSQL, as an admin meets it: up, backup, check, restore, and no password in sight."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.index.engines import server

from everysite.assemble import check_home, open_index, open_tracker, restore_index
from everysite.cli import main
from everysite.config import load
from everysite.errors import BadRequest, NotOffered

pytestmark = pytest.mark.anyio


def settings_of(home: Path, url: str) -> Any:
    return load(home, {"EVERYSITE_INDEX__URL": url})


async def test_a_tracker_remembers_there_and_is_restored(tmp_path: Path) -> None:
    url = server().url(server().database())
    settings = settings_of(tmp_path, url)
    async with open_tracker(settings):
        index = open_index(settings)  # a second process may have it open
        await index.run(lambda t: t.set_meta("fact", "1"))
        await index.backup(str(tmp_path / "backup.db"))
        await index.close()
    assert check_home(settings) == []
    assert not settings.database.exists()
    with (tmp_path / "backup.db").open("rb") as file:
        kept = restore_index(settings, file, "backup.db")
    assert kept is not None
    assert kept.exists()
    async with open_tracker(settings):
        pass
    index = open_index(settings)
    assert await index.read(lambda t: t.meta("fact")) == "1"
    await index.close()


def test_a_password_on_the_command_line_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://me:sesame@127.0.0.1:1/x"
    for words in (
        ["up", "--home", str(tmp_path), "--database", url],
        ["config", "set", "--home", str(tmp_path), "index.url", url],
    ):
        assert main(words) != 0
        said = capsys.readouterr()
        assert "EVERYSITE_INDEX__URL" in said.err
        assert "sesame" not in said.err + said.out


def test_a_password_is_never_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("EVERYSITE_INDEX__URL", "postgresql://me:sesame@127.0.0.1:1/x?password=open")
    main(["config", "show", "--home", str(tmp_path), "index"])
    main(["check", "--home", str(tmp_path)])
    said = capsys.readouterr()
    assert "postgresql://me@127.0.0.1:1/x" in said.out
    assert "sesame" not in said.err + said.out
    assert "open" not in said.out


@pytest.mark.parametrize("url", ["mysql://x/y", "everysite.db", "postgresql://host:port/x"])
def test_what_is_no_address_of_a_database_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadRequest, match=r"index\.url"):
        settings_of(tmp_path, url)


def test_without_the_driver_the_extra_is_named(tmp_path: Path) -> None:
    """In a process of its own, where psycopg cannot be imported."""
    text = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from pathlib import Path\n"
        "from everysite.assemble import open_index\n"
        "from everysite.config import load\n"
        f"settings = load(Path({str(tmp_path)!r}), {{'EVERYSITE_INDEX__URL': 'postgresql://localhost/x'}})\n"
        "try:\n    open_index(settings)\n"
        f"except Exception as err:\n    assert type(err).__name__ == {NotOffered.__name__!r}, err\n    print(err)\n"
    )
    said = subprocess.run([sys.executable, "-c", text], env=os.environ, capture_output=True, text=True, check=True)
    assert "everysite[postgres]" in said.stdout
