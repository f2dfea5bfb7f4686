"""Every import of the program, read and compared with the order of the rooms.

Owns: the order of the rooms, which outside packages each may use, and that the program can be imported where
Linux's own modules are missing (decisions C 10).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parent.parent / "src"
PACKAGE = SRC / "everysite"

ORDER = (
    ("errors",),
    ("model",),
    ("decide",),
    ("disk",),
    ("index", "stores", "records"),
    ("tracker",),
    ("client",),
    ("observe",),
    ("transfer",),
    ("agent",),
    ("web",),
    ("config",),
    ("importer",),
    ("assemble",),
    ("cli",),
    ("desktop",),
)
"""A room imports from rows above its own only; rooms in one row do not know each other."""

CONTRACT_ONLY = frozenset({"index", "stores"})
"""Other rooms see `contract.py` of these and nothing else; `assemble` names the adapters."""

NARROWER = {
    "config": frozenset({"errors", "model"}),
    "cli": frozenset(
        {"errors", "model", "decide", "client", "config", "importer", "assemble", "tracker", "observe", "transfer"}
    ),
}
"""Rooms that may see less than their place in the order allows."""

OUTSIDE = {
    "errors": "",
    "model": "msgspec",
    "decide": "msgspec pathspec re2",
    "disk": "blake3",
    "index": "msgspec apsw psycopg re2",
    "stores": "msgspec blake3",
    "records": "msgspec blake3",
    "tracker": "msgspec argon2 blake3 ulid",
    "client": "msgspec aiohttp",
    "observe": "msgspec blake3 pathspec",
    "transfer": "msgspec blake3",
    "agent": "msgspec aiohttp blake3 uvloop",
    "web": "msgspec starlette uvicorn httptools uvloop cryptography argon2 blake3 python_multipart socketio engineio wsproto",
    "config": "msgspec",
    "importer": "msgspec blake3",
    "assemble": "msgspec cryptography uvicorn uvloop",
    "cli": "msgspec blake3 rich uvloop",
    "desktop": "msgspec PySide6",
}
"""Third-party packages a room may use, next to the standard library."""

LINUX_ONLY = ("fcntl", "resource", "uvloop", "pwd", "grp", "termios")


@dataclass(frozen=True)
class Import:
    """One imported module: which file and line asks for what. `name` is dotted and absolute."""

    file: Path
    line: int
    name: str

    @property
    def room(self) -> str:
        return _room(self.file)

    @property
    def target(self) -> str:
        """The room asked for, or '' when it is not ours."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "everysite" and len(parts) > 1 else ""

    def __str__(self) -> str:
        return f"{self.file.relative_to(SRC.parent)}:{self.line}: {self.room} imports {self.name}"


def _room(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _level(room: str) -> int:
    return next((level for level, rooms in enumerate(ORDER) if room in rooms), -1)


def _absolute(file: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = file.relative_to(SRC).with_suffix("").parts[: -node.level]
    return ".".join((*package, node.module) if node.module else package)


def _imports(file: Path) -> Iterator[Import]:
    """Those inside functions and `if TYPE_CHECKING` too: knowing is knowing."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(file, node)
            for alias in node.names:
                # `from everysite import index` and `from everysite.index import sqlite` name modules, not things in them.
                deeper = f"{module}.{alias.name}"
                yield Import(file, node.lineno, deeper if _is_module(deeper) else module)


def _is_module(name: str) -> bool:
    path = SRC.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _complaint(wanted: Import) -> str:
    """Why this import is not allowed and what to do instead; '' when it is fine."""
    room, target = wanted.room, wanted.target
    top = wanted.name.split(".")[0]
    if top == "tests":
        return "the program does not know its tests; move what both need into the program"
    if top != "everysite":
        if top in sys.stdlib_module_names or top in OUTSIDE.get(room, "").split():
            return ""
        return f"{room} may use {OUTSIDE.get(room) or 'no package'} from outside; give the work to a room that may use {top}"
    if not target or target == room or room in ("__init__", "__main__"):
        return ""
    if _level(target) >= _level(room):
        return f"imports point up only and {target} stands beside or below {room}; pass the value in, or move the code down"
    if room in NARROWER and target not in NARROWER[room]:
        return f"{room} may see {', '.join(sorted(NARROWER[room]))}; offer what it needs from one of those"
    if target in CONTRACT_ONLY and room != "assemble" and wanted.name != f"everysite.{target}.contract":
        return (
            f"only everysite.{target}.contract is open to {room}; take the adapter as an argument, assemble.py names it"
        )
    return ""


def complaints(files: list[Path]) -> list[str]:
    """One line for every import that breaks a rule."""
    return [f"{wanted}: {why}" for file in files for wanted in _imports(file) if (why := _complaint(wanted))]


def test_imports_follow_the_order_of_the_rooms() -> None:
    assert not complaints(sorted(PACKAGE.rglob("*.py")))


def test_every_room_has_its_place() -> None:
    rooms = {_room(file) for file in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert not {room for room in rooms if _level(room) < 0}, "give the room a row in ORDER and in docs/architecture.md"
    assert set(OUTSIDE) == {room for row in ORDER for room in row}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("model/x.py", "from everysite.index.contract import Index", "stands beside or below"),
        ("index/x.py", "import everysite.stores.contract", "stands beside or below"),
        ("tracker/x.py", "from everysite.index.sqlite import open", "only everysite.index.contract"),
        ("tracker/x.py", "from everysite.index import contract", ""),
        ("agent/x.py", "def f():\n    from everysite.stores import folder", "only everysite.stores.contract"),
        ("assemble.py", "from everysite.index.sqlite import open", ""),
        ("index/x.py", "from . import sqlite", ""),
        ("decide/x.py", "from ..web import app", "stands beside or below"),
        ("decide/x.py", "import aiohttp", "may use msgspec pathspec re2"),
        ("web/x.py", "from tests import conftest", "does not know its tests"),
        ("config.py", "from everysite.tracker import contract", "may see errors, model"),
    ],
)
def test_the_rules_find_what_breaks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, said: str
) -> None:
    place = tmp_path / "everysite" / file
    for name in ("index/sqlite.py", "index/contract.py", "stores/folder.py", "stores/contract.py", "web/app.py", file):
        module = tmp_path / "everysite" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()
    place.write_text(text)
    monkeypatch.setitem(globals(), "SRC", tmp_path)
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "everysite")
    found = complaints([place])
    assert [said in line for line in found] == ([True] if said else [])


_IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1].split():
    sys.modules[name] = None
import os
for name in [name for name in dir(os) if name.startswith("sched_")]:
    delattr(os, name)
import everysite
for found in pkgutil.walk_packages(everysite.__path__, "everysite."):
    if found.name.rpartition(".")[2] != "__main__":
        importlib.import_module(found.name)
"""


def test_everything_can_be_imported_without_linux() -> None:
    """Linux-only calls sit behind guards, so a machine without them gets a message and not a traceback."""
    # The standard library itself asks for fcntl and grp with a guard; what has none must be ours to fix.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORT_ALL, " ".join(LINUX_ONLY)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
