"""`everysite copy` killed at random moments: no torn file is ever seen, the next run completes, nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.transfer.trees import content

FILES = 5_000


def command(source: Path, target: Path, state: Path, *more: str) -> list[str]:
    words = ["copy", "--delete", "--processes", "2", "--state", str(state), *more, f"{source}/", f"{target}/"]
    return [sys.executable, "-m", "everysite.cli", *words]


def make(source: Path, generation: int = 0) -> None:
    """5,000 files in new and old, flat and deep folders, one of them large. Every file says itself whether it is whole."""
    for number in range(FILES):
        folder = source / (f"d{number % 40}" if number % 3 else f"deep/{number % 7}/x{number % 50}")
        folder.mkdir(parents=True, exist_ok=True)
        if number % 10 < generation or not generation:
            whole(folder / f"f{number}", 200 + number % 5000, generation)
    if not generation:
        whole(source / "large", 30 << 20, generation)


def whole(path: Path, size: int, generation: int) -> None:
    path.write_bytes(b"%02d" % generation + b"x" * size + b"whole")


class Reader(threading.Thread):
    """Reads the target all the time, as somebody would who works there."""

    def __init__(self, target: Path) -> None:
        super().__init__()
        self.target = target
        self.torn: list[str] = []
        self.seen = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            for path, folders, files in os.walk(self.target):
                folders[:] = [name for name in folders if not name.startswith(".everysite-")]
                for name in files:
                    if not name.startswith(".everysite-"):
                        self.look(f"{path}/{name}")

    def look(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        self.seen += 1
        if not data.endswith(b"whole"):
            self.torn.append(path)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make(tmp_path / "source")
    return tmp_path


@pytest.mark.timeout(900)
@pytest.mark.parametrize("whom", ["the parent", "everybody", "a worker"])
def test_killed_at_any_moment(place: Path, long: bool, whom: str) -> None:
    source, target, state = place / "source", place / "target", place / "state"
    reader = Reader(target)
    reader.start()
    began = time.monotonic()
    kills = tries = 0
    try:
        while kills < (50 if long else 12) and (long or time.monotonic() - began < 10):
            hit = kill_once(source, target, state, whom)
            kills += hit
            tries += 1
            if not hit or kills % 4 == 3:  # a copy that ended before the blow leaves nothing to copy for the next one
                make(source, 1 + tries % 9)
        done = subprocess.run(command(source, target, state), capture_output=True, text=True, check=False)
    finally:
        reader.ended.set()
        reader.join()
    assert done.returncode == 0, done.stderr
    assert content(source) == content(target)
    assert kills
    assert reader.seen
    assert not reader.torn
    again = subprocess.run(command(source, target, state), capture_output=True, text=True, check=True)
    assert again.stdout.startswith(f"0 of {FILES + 1:,} files copied")


def kill_once(source: Path, target: Path, state: Path, whom: str) -> int:
    """Start a copy and kill; 1 when it hit something that still ran."""
    running = subprocess.Popen(
        command(source, target, state, "--quiet"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(random.uniform(0.03, 0.5))
    if whom == "everybody":
        os.killpg(running.pid, signal.SIGKILL)
    elif whom == "the parent":
        running.kill()
    else:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        victims = children.read_text().split() if children.exists() and running.poll() is None else []
        for victim in victims[:1]:
            try:
                os.kill(int(victim), signal.SIGKILL)
            except ProcessLookupError:
                victims = []
        hit = bool(victims)
        code = running.wait(30)
        return int(hit and code != 0)
    return int(running.wait(30) == -signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_copy_ends_clean_and_goes_on(place: Path, number: signal.Signals) -> None:
    source, target, state = place / "source", place / "target", place / "state"
    running = subprocess.Popen(
        command(source, target, state, "--bwlimit", "8M"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(0.8)
    running.send_signal(number)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert out.startswith("interrupted: ")
    assert not err
    assert not [path for path in content(target) if b".everysite-" in path]
    done = subprocess.run(command(source, target, state), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert content(source) == content(target)
