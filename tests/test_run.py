"""The entrance: what `./run` does when its environment is ready, stale, half made, or cannot be made."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parent.parent / "run"
TOOLS = ("sh", "cat", "cmp", "env", "id", "mkdir", "rm", "readlink", "sed", "tr", "true", "flock")

OLD_PYTHON = """#!/bin/sh
[ "$1" != -V ] || echo Python 3.9.2
"""
EVERYSITE = """#!/bin/sh
printf '%s\\n' "$PWD" "$@"
exit 7
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment is complete, below a path with a space."""
    place = tmp_path / "my checkout"
    bin = place / ".venv" / "bin"
    bin.mkdir(parents=True)
    shutil.copy(RUN, place / "run")
    for file in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        place.joinpath(file).write_text(f"{file}\n")
    script(bin / "everysite", EVERYSITE)
    script(bin / "python", OLD_PYTHON)
    for kind in ("requirements", "requirements-dev"):
        place.joinpath(f".venv/{kind}.stamp").write_text(f"{place}\npyproject.toml\n{kind}.lock\n")
    return place


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with the tools every system has, and no Python, uv, apt-get or sudo."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            folder.joinpath(tool).symlink_to(found)
    return folder


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def run(place: Path, path: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(place / "run"), *words],
        cwd=cwd,
        env={"PATH": str(path), "HOME": str(path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_a_ready_environment_is_used_as_it_is(checkout: Path, path: Path, tmp_path: Path) -> None:
    before = sorted(checkout.rglob("*"))
    done = run(checkout, path, "copy", "a b", "", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, f"{tmp_path}\ncopy\na b\n\n", "")
    assert sorted(checkout.rglob("*")) == before


def test_it_may_be_reached_through_a_link(checkout: Path, path: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("run").symlink_to(checkout / "run")
    assert run(tmp_path, path, "up").returncode == 7


@pytest.mark.parametrize("changed", ["pyproject.toml", "requirements.lock"])
def test_a_changed_lock_makes_it_install_again(checkout: Path, path: Path, changed: str) -> None:
    checkout.joinpath(changed).write_text("other\n")
    done = run(checkout, path, "up")
    assert done.returncode == 69  # there is no Python to install with
    assert "python3" in done.stderr


def test_an_environment_made_elsewhere_is_not_used(checkout: Path, path: Path) -> None:
    moved = checkout.rename(checkout.parent / "moved")
    assert run(moved, path, "up").returncode == 69


def test_a_python_that_is_too_old_is_named(checkout: Path, path: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    script(path / "python3", OLD_PYTHON)
    done = run(checkout, path, "up")
    assert done.returncode == 69
    assert "Python 3.9.2 is too old; everysite needs Python 3.11" in done.stderr
    assert not checkout.joinpath(".venv").exists()


def test_the_line_to_type_is_printed_when_it_may_not_install(checkout: Path, path: Path) -> None:
    """Not root, and sudo asks for a password."""
    script(path / "apt-get", "#!/bin/sh\nexit 9\n")
    script(path / "sudo", "#!/bin/sh\nexit 1\n")
    path.joinpath("id").unlink()
    script(path / "id", "#!/bin/sh\necho 1000\n")
    shutil.rmtree(checkout / ".venv")
    done = run(checkout, path, "up")
    assert done.returncode == 69
    assert "please type:  sudo apt-get install -y python3 python3-venv" in done.stderr


@pytest.mark.parametrize("way", ["root", "sudo"])
def test_missing_system_packages_are_installed(checkout: Path, path: Path, way: str) -> None:
    """apt-get as root or through a sudo that asks nothing; the package list is fetched only when it is missing."""
    log = path / "log"
    # The first try fails, as it does where no list was ever fetched.
    fake = f'#!/bin/sh\necho "$@" >>"{log}"\n[ "$1" = update ] && : >"{log}.list"\n[ -e "{log}.list" ]\n'
    script(path / "apt-get", fake)
    script(path / "sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    path.joinpath("id").unlink()
    script(path / "id", f"#!/bin/sh\necho {0 if way == 'root' else 1000}\n")
    for tool in ("git", "mount", "setpriv", "sshd", "ssh-keygen", "curl", "node", "chromium"):
        script(path / tool, "#!/bin/sh\n")
    run(checkout, path, "test")
    install = "install -y --no-install-recommends rsync"
    assert log.read_text().splitlines() == [install, "update", install]


def test_a_half_made_environment_is_made_anew(checkout: Path, path: Path) -> None:
    """An installation that was killed: what it left is removed before anything else is tried."""
    venv = checkout / ".venv"
    venv.joinpath("requirements.stamp").unlink()
    venv.joinpath("half-made").touch()
    venv.joinpath("leftover").touch()
    new = '#!/bin/sh\ncase "$*" in *realpath*) echo "$0" ;; *"import ensurepip"*) ;; *) exit 1 ;; esac\n'
    script(path / "python3", new)
    done = run(checkout, path, "up")
    assert done.returncode == 70
    assert os.listdir(venv) == ["half-made"]
