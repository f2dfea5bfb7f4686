"""Agents and tracker killed at random moments inside one run: everything arrives whole, nothing is left behind.

A tracker and three agents are separate processes, started through the command line. While 5,000 files are published,
changed, renamed and deleted at one site, one process after the other gets SIGKILL and is started again. Readers poll the
other two sites all the time; every file carries its own checksum.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from tests.cli.processes import Up, environment

FILES = 5_000
FOLDERS = 50
KILLS = 50
LONG_KILLS = 300
SITES = ("paris", "oslo", "rome")
STAGE = ".everysite-"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def whole(number: int, generation: int) -> bytes:
    """A file that says itself whether it is whole."""
    body = f"{number} {generation} ".encode() * (20 + number % 300)
    return blake3(body).hexdigest().encode() + body


def is_whole(data: bytes) -> bool:
    return blake3(data[64:]).hexdigest().encode() == data[:64]


class Agent:
    """The agent of one site; killed and started again, it goes on with its state folder."""

    def __init__(self, place: Path, site: str, url: str, token: str) -> None:
        self.folder = place / "sites" / site
        self.folder.mkdir(parents=True)
        self.log = place / f"{site}.log"
        self._place, self._state = place, place / "state" / site
        join = ["join", url, "-", str(self.folder), "--state", str(self._state)]
        self.process = self._start(join, token)
        until(lambda: (self._state / "held.db").exists(), self.log)

    def _start(self, words: list[str], line: str = "") -> subprocess.Popen[bytes]:
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "everysite", *words],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, env=environment(self._place),
            )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(line.encode() + b"\n")
        process.stdin.close()
        return process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def again(self) -> None:
        self.process = self._start(["agent", "--state", str(self._state)])

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def tree(self) -> dict[str, bytes]:
        """Every visible file but the trash, whole ones by their checksum."""
        found = {}
        for path, folders, names in os.walk(self.folder):
            if ".everysite" in folders:
                folders.remove(".everysite")
            for name in names:
                full = os.path.join(path, name)
                try:
                    with open(full, "rb") as file:
                        data = file.read()
                except FileNotFoundError:
                    continue  # it is being renamed just now
                found[os.path.relpath(full, self.folder)] = data[:64] if is_whole(data) else b"torn"
        return found

    def stages(self) -> list[Path]:
        return list(self.folder.rglob(f"{STAGE}*"))


class Reader(threading.Thread):
    """Reads a site all the time, as somebody would who works there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self.torn: list[str] = []
        self.looks = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.05):
            for path, _, names in os.walk(self._folder):
                for name in names:
                    if not name.startswith(STAGE):
                        self._look(f"{path}/{name}")

    def _look(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        self.looks += 1
        if not is_whole(data):
            self.torn.append(path)


class Author:
    """Somebody who works at one site: the tree grows to FILES files while old ones change, move and go."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._folder, self._dice = folder, dice
        self._made = 0
        self._generation = 0

    def work(self, share: int) -> None:
        """Write `share` more files and touch a few of the old ones."""
        self._generation += 1
        for number in range(self._made, min(FILES, self._made + share)):
            self._write(f"d{number % FOLDERS}/f{number}", whole(number, 0))
        self._made = min(FILES, self._made + share)
        files = [path for path in self._folder.glob("d*/*") if not path.name.startswith(STAGE)]
        for path in self._dice.sample(files, min(len(files), 20)):
            number = int(path.name[1:].partition("-")[0])
            match self._dice.randrange(8):
                case 0:
                    path.rename(path.with_name(f"f{number}-{self._generation}"))
                case 1:
                    path.unlink()
                case _:
                    self._write(str(path.relative_to(self._folder)), whole(number, self._generation))
        if self._generation % 10 == 0:
            folders = [path for path in self._folder.iterdir() if path.name.startswith("d")]
            chosen = self._dice.choice(folders)
            chosen.rename(chosen.with_name(f"{chosen.name}x{self._generation}"))

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_name(f"{STAGE}0123456789abcdef.part")
        fresh.write_bytes(data)
        os.replace(fresh, path)


def until(true: object, log: Path, seconds: float = 60) -> None:
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.05)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def up(place: Path) -> Iterator[Up]:
    with Up(place, words=["--port", str(free_port())]) as running:
        yield running


@pytest.fixture
def agents(place: Path, up: Up) -> Iterator[dict[str, Agent]]:
    found: dict[str, Agent] = {}
    try:
        for site in SITES:
            answer = up.everysite.json(
                "site", "add", site, "--set", "sleepBetweenScans=0.2", "--set", "propagateDeletes=true"
            )
            found[site] = Agent(place, site, up.url, answer["token"])
        yield found
    finally:
        for agent in found.values():
            agent.kill()


@pytest.mark.timeout(1800)
def test_agents_and_tracker_killed_again_and_again(up: Up, agents: dict[str, Agent], long: bool) -> None:
    dice = random.Random()
    kills = LONG_KILLS if long else KILLS
    author = Author(agents["paris"].folder, dice)
    readers = [Reader(agents[site].folder) for site in ("oslo", "rome")]
    for reader in readers:
        reader.start()
    for kill in range(kills):
        author.work(-(-FILES // kills))
        time.sleep(dice.uniform(0.05, 0.6))
        victim = dice.choice([*SITES, "tracker"])
        if victim == "tracker":
            up.process.kill()
            up.process.wait()
            up.start()
        else:
            agents[victim].kill()
            agents[victim].again()
        assert kill < kills
    wait_until_equal(agents, up)
    for reader in readers:
        reader.ended.set()
        reader.join()
    assert [torn for reader in readers for torn in reader.torn] == []
    assert all(reader.looks > 1000 for reader in readers)
    assert {site: agent.stages() for site, agent in agents.items()} == {site: [] for site in SITES}
    assert [agent.end() for agent in agents.values()] == [0, 0, 0]


def wait_until_equal(agents: dict[str, Agent], up: Up, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while True:
        trees = {site: agent.tree() for site, agent in agents.items()}
        if trees["paris"] and trees["paris"] == trees["oslo"] == trees["rome"]:
            return
        if time.monotonic() > end:
            raise AssertionError(f"{difference(trees)}\n{up.everysite.json('status')}")
        time.sleep(0.3)


def difference(trees: dict[str, dict[str, bytes]]) -> str:
    lines = [f"{site}: {len(tree)} files" for site, tree in trees.items()]
    names = sorted({name for tree in trees.values() for name in tree})
    unlike = [n for n in names if len({tree.get(n) for tree in trees.values()}) > 1]
    return "\n".join(lines + [f"{n}: {[site for site, tree in trees.items() if n in tree]}" for n in unlike[:30]])
