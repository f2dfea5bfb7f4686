"""What is built and shipped: wheel, sdist, container file, units, the proxy page; read, built and installed for real."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.test_repository import FILES

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for path in FILES if path.is_relative_to(ROOT / "src" / "everysite"))
UNITS = sorted((ROOT / "packaging" / "systemd").glob("*.service"))


def build(place: Path, kind: str, out: Path) -> Path:
    """The one file hatchling makes, without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    [made] = out.iterdir()
    return made


def checkout(place: Path, names: list[Path]) -> Path:
    """The files of the repository at another place, and nothing that lies around here."""
    for path in names:
        target = place / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return place


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = checkout(tmp_path_factory.mktemp("checkout"), FILES)
    return build(place, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    [top] = place.iterdir()
    return top


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as an installer without a wheel does."""
    return build(unpacked, "wheel", tmp_path_factory.mktemp("wheel"))


def test_the_sdist_is_the_repository(sdist: Path, unpacked: Path) -> None:
    made = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    wanted = {str(path.relative_to(ROOT)) for path in FILES}
    assert made - {"PKG-INFO", ".gitignore"} == wanted - {".gitignore"}
    assert os.access(unpacked / "run", os.X_OK)


def test_the_wheel_has_every_file_of_the_program_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        texts = {name: archive.read(name) for name in names}
        [metadata] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA")]
    assert names == {str(path.relative_to(ROOT / "src")) for path in SOURCES}
    assert {path.suffix for path in SOURCES} >= {".py", ".sql", ".js", ".css", ".typed"}
    assert all(texts[str(path.relative_to(ROOT / "src"))] == path.read_bytes() for path in SOURCES)
    assert "Requires-Python: >=3.11" in metadata
    assert "License-File: LICENSE" in metadata


def install_alone(wheel: Path, venv: Path) -> None:
    """By pip where Python has one to give, else by uv: it made this environment then."""
    python = str(venv / "bin" / "python")
    if importlib.util.find_spec("ensurepip"):
        make = [sys.executable, "-m", "venv", str(venv)]
        install = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    else:
        make = ["uv", "venv", "--quiet", "--offline", "--python", sys.executable, str(venv)]
        install = ["uv", "pip", "install", "--offline", "--python", python]
    for command in (make, [*install, "--no-index", "--no-deps", "--quiet", str(wheel)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stderr


def test_the_wheel_installs_and_serves(wheel: Path, tmp_path: Path) -> None:
    """Into an environment of its own, outside of the checkout; what it needs is that of this environment."""
    venv = tmp_path / "venv"
    install_alone(wheel, venv)
    [site] = venv.glob("lib/python3*/site-packages")
    for needed in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "everysite" not in needed.name and not (site / needed.name).exists():
            (site / needed.name).symlink_to(needed)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "EVERYSITE_HOME": str(tmp_path / "home")}

    def run(*words: str) -> str:
        command = [str(venv / "bin" / "everysite"), *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    code = "import everysite, sys; sys.stdout.write(everysite.__file__)"
    where = subprocess.run(
        [venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert Path(where.stdout).is_relative_to(site)
    assert "everysite" in run("--help")
    (tmp_path / "dump").write_text('{"_id":"a"}\n')
    assert "verified: 1" in run("import", "damas", "dump")  # the migrations are there
    assert "sound" in run("check")


# --- container -------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """(instruction, what follows) of the container file, lines that are continued joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def test_what_the_container_copies_is_enough_to_build_it(tmp_path: Path) -> None:
    """And is let in by the ignore file, which lets nothing else in."""
    copied = [words.split()[:-1] for name, words in instructions() if name == "COPY" and "--from" not in words]
    names = sorted({name for words in copied for name in words})
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    assert let_in[0] == "*"
    assert sorted(line[1:] for line in let_in if line.startswith("!")) == names
    some = [path for path in FILES if path.relative_to(ROOT).parts[0] in names]
    made = build(checkout(tmp_path / "build", some), "wheel", tmp_path / "out")
    with zipfile.ZipFile(made) as archive:
        assert len([name for name in archive.namelist() if ".dist-info/" not in name]) == len(SOURCES)


def test_the_container_runs_as_nobody_special() -> None:
    stages = [i for i, (name, _) in enumerate(instructions()) if name == "FROM"]
    last = dict(instructions()[stages[-1] :])
    assert last["USER"] == "10001:10001"
    assert "--uid 10001" in last["RUN"]
    assert last["VOLUME"] in last["ENV"]
    assert last["VOLUME"] in last["RUN"]
    assert last["HEALTHCHECK"].endswith('CMD ["everysite", "site", "list"]')
    assert (last["ENTRYPOINT"], last["CMD"]) == ('["everysite"]', '["up"]')
    assert "EVERYSITE_SERVER__HOST=0.0.0.0" in last["ENV"]
    hashed = [words for name, words in instructions() if name == "RUN" and "-r requirements.lock" in words]
    assert all("--require-hashes" in words for words in hashed)
    assert len(hashed) == 1


# --- systemd ---------------------------------------------------------------------------------------------------------


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Section -> key -> values: a key may come several times."""
    found: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(section, {}).setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_hardened_and_call_verbs_there_are(path: Path) -> None:
    from everysite.cli import VERBS

    configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True).read_string(path.read_text())
    service = unit(path)["Service"]
    [command] = service["ExecStart"]
    program, verb, *_ = command.split()
    assert program == "/opt/everysite/bin/everysite"
    assert verb in VERBS
    for key in (
        "NoNewPrivileges",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectHome",
        "RestrictNamespaces",
        "LockPersonality",
    ):
        assert service[key] == ["yes"], key
    assert service["ProtectSystem"] == ["strict"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["User"] == ["everysite"]
    assert service["StateDirectoryMode"] == ["0700"]
    assert "ProcSubset" not in service, "who reads no boot_id takes every machine for another one"
    assert int(service["TimeoutStopSec"][0]) > 10, "what `up` may take to end in order"


def test_there_is_a_unit_for_each_kind_of_process() -> None:
    assert [path.name for path in UNITS] == ["everysite-agent@.service", "everysite.service"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_agree_with_their_page(path: Path) -> None:
    page = (ROOT / "docs" / "deploy" / "systemd.md").read_text()
    service = unit(path)["Service"]
    assert path.name in page
    assert service["StateDirectory"][0].partition("/%i")[0] in page
    assert service["EnvironmentFile"][0].removeprefix("-").replace("%i", "NAME") in page
