"""Three sites as processes of their own, joined over HTTP to a real tracker: what a studio does in a day."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.processes import Up
from tests.small_disk import mounted
from tests.system.agents import Agent, joined, until

SOON = "sleepBetweenScans=0.2"
NAMES = ("paris", "montreal", "tokyo")


class Studio:
    """A tracker and three joined sites."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up, self.folder = up, folder
        self.agents = {name: joined(up, folder, name, SOON) for name in NAMES}
        self.until(lambda: [site["agent"] for site in up.everysite.json("site", "list")] == ["on"] * 3)

    def __call__(self, *words: str) -> str:
        """A verb that has to succeed; what it printed."""
        done = self.up.everysite(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def path(self, site: str, name: str) -> Path:
        return self.folder / site / name

    def write(self, site: str, name: str, text: str) -> Path:
        path = self.path(site, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def reads(self, name: str, text: str, *sites: str) -> Callable[[], bool]:
        """Whether these sites (all, when none is named) have this text under this name."""
        paths = [self.path(site, name) for site in sites or NAMES]
        return lambda: all(path.exists() and path.read_text() == text for path in paths)

    def until(self, true: Callable[[], object]) -> None:
        until(true, lambda: "\n".join(agent.log.read_text()[-2000:] for agent in self.agents.values()))

    def why(self, path: str, site: str) -> str:
        return str(self.up.everysite.json("why", path, site)["sentence"])


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with Up(folder) as up:
        studio = Studio(up, folder)
        try:
            yield studio
        finally:
            codes = {name: agent.stop() for name, agent in studio.agents.items()}
            assert codes == dict.fromkeys(NAMES, 0)


def test_scan_change_and_deep_folders(studio: Studio) -> None:
    studio.write("paris", "seq/a/b/c/one.txt", "one")
    studio.until(studio.reads("seq/a/b/c/one.txt", "one"))
    studio.write("paris", "seq/a/b/c/one.txt", "changed at its origin")
    studio.until(studio.reads("seq/a/b/c/one.txt", "changed at its origin"))
    studio.until(lambda: "current since" in studio.why("/seq/a/b/c/one.txt", "tokyo"))


def test_times_and_modes_travel(studio: Studio) -> None:
    path = studio.write("montreal", "tool.sh", "#!/bin/sh\n")
    path.chmod(0o750)
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    other = studio.path("tokyo", "tool.sh")
    studio.until(lambda: other.exists() and other.stat().st_mode & 0o777 == 0o750)
    assert other.stat().st_mtime_ns == 1_600_000_000_123_456_789


def test_publish_by_name_waits_until_it_is_there(studio: Studio) -> None:
    studio("site", "set", "paris", "enableDiscovery=false")
    studio.write("paris", "named.txt", "published")
    studio("publish", "/named.txt", "--origin", "paris", "--comment", "first", "--wait", "--timeout", "30")
    assert studio.reads("named.txt", "published")()
    studio.write("paris", "named.txt", "and again")
    studio("publish", "/named.txt", "--origin", "paris", "--changed", "--wait", "--timeout", "30")
    assert studio.reads("named.txt", "and again")()
    studio("site", "set", "paris", "enableDiscovery=true")


def test_destination_keys(studio: Studio) -> None:
    studio("site", "set", "paris", "enableDiscovery=false")
    studio.write("paris", "only-tokyo.txt", "x")
    studio("publish", "/only-tokyo.txt", "--origin", "paris", "--to", "tokyo", "--wait", "--timeout", "30")
    assert studio.path("tokyo", "only-tokyo.txt").exists()
    assert not studio.path("montreal", "only-tokyo.txt").exists()
    assert "syncEverywhere" in studio.why("/only-tokyo.txt", "montreal")
    studio("site", "set", "paris", "enableDiscovery=true")


def test_packages_arrive_as_one(studio: Studio) -> None:
    studio("site", "set", "paris", "packagePatterns=*.pkg", "enableDiscoveryPackages=true")
    staged = studio.folder / "staged.pkg"
    (staged / "deep").mkdir(parents=True)
    (staged / "one").write_text("1")
    (staged / "deep" / "two").write_text("2")
    staged.rename(studio.path("paris", "render.pkg"))
    studio.until(studio.reads("render.pkg/deep/two", "2"))
    assert studio.reads("render.pkg/one", "1")()
    studio.until(lambda: "current since" in studio.why("/render.pkg/", "tokyo"))
    assert "not known" in studio.up.everysite("why", "/render.pkg/one", "tokyo").stderr


def test_renames_of_files_and_folders(studio: Studio) -> None:
    for number in range(20):
        studio.write("paris", f"shots/{number}.txt", str(number))
    studio.until(studio.reads("shots/19.txt", "19"))
    inodes = {n: studio.path("tokyo", f"shots/{n}.txt").stat().st_ino for n in range(20)}
    studio.path("paris", "shots").rename(studio.path("paris", "takes"))
    studio.until(lambda: studio.reads("takes/0.txt", "0")() and not studio.path("tokyo", "shots").exists())
    assert {n: studio.path("tokyo", f"takes/{n}.txt").stat().st_ino for n in range(20)} == inodes
    studio.path("paris", "takes/0.txt").rename(studio.path("paris", "takes/zero.txt"))
    studio.until(studio.reads("takes/zero.txt", "0"))
    studio.until(lambda: not studio.path("montreal", "takes/0.txt").exists())
    assert studio.path("tokyo", "takes/zero.txt").stat().st_ino == inodes[0]


def test_a_conflict_overwrites_nothing(studio: Studio) -> None:
    studio.write("paris", "both.txt", "from paris")
    studio.until(studio.reads("both.txt", "from paris"))
    studio.write("tokyo", "both.txt", "changed in tokyo")
    studio.until(lambda: "conflict" in studio.why("/both.txt", "tokyo"))
    studio.write("paris", "both.txt", "again from paris")
    studio.until(studio.reads("both.txt", "again from paris", "montreal"))
    assert studio.reads("both.txt", "changed in tokyo", "tokyo")()


def test_pause_and_resume(studio: Studio) -> None:
    studio("site", "pause", "tokyo")
    studio.write("paris", "paused.txt", "x")
    studio.until(studio.reads("paused.txt", "x", "montreal"))
    assert not studio.path("tokyo", "paused.txt").exists()
    assert "paused" in studio.why("/paused.txt", "tokyo")
    studio("site", "resume", "tokyo")
    studio.until(studio.reads("paused.txt", "x"))


def test_priority_goes_first(studio: Studio) -> None:
    studio("site", "pause", "tokyo")
    studio("site", "set", "paris", "enableDiscovery=false")
    size = 3 << 20
    for name in ("low", "high"):
        studio.path("paris", f"{name}.bin").write_bytes(os.urandom(size))
        number = {"low": "-5", "high": "5"}[name]
        studio("publish", f"/{name}.bin", "--origin", "paris", f"--priority={number}", "--to", "tokyo")
    studio.until(lambda: "paused" in studio.why("/low.bin", "tokyo") and "paused" in studio.why("/high.bin", "tokyo"))
    studio("site", "resume", "tokyo")
    studio.until(lambda: "current" in studio.why("/low.bin", "tokyo") and "current" in studio.why("/high.bin", "tokyo"))
    low, high = (studio.path("tokyo", f"{name}.bin").stat().st_ctime_ns for name in ("low", "high"))
    assert high <= low
    studio("site", "set", "paris", "enableDiscovery=true")


def test_a_site_away_and_back(studio: Studio) -> None:
    agent = studio.agents["tokyo"]
    agent.process.kill()
    agent.process.wait()
    studio.write("paris", "while-away.txt", "x")
    studio.write("tokyo", "made-offline.txt", "y")
    studio.until(studio.reads("while-away.txt", "x", "montreal"))
    studio.agents["tokyo"] = Agent(studio.folder, "agent", "--state", str(studio.folder / "state-tokyo"))
    studio.until(studio.reads("while-away.txt", "x"))
    studio.until(studio.reads("made-offline.txt", "y"))


def test_the_tracker_away_and_back(studio: Studio) -> None:
    studio.up.process.send_signal(signal.SIGKILL)
    studio.up.process.wait()
    studio.write("paris", "no-tracker.txt", "x")
    port = studio.up.url.rpartition(":")[2]
    studio.up._words = ("--port", port)
    studio.up.start()
    studio.until(studio.reads("no-tracker.txt", "x"))


def test_names_of_any_bytes(studio: Studio) -> None:
    names = [b"line\nbreak", b"\xff\xfe bytes", b"n" * 255, b"Case", b"case", "déjà vu".encode(), b" lead", b"#%;?*"]
    for name in names:
        Path(os.fsdecode(os.fsencode(studio.folder / "paris") + b"/" + name)).write_bytes(name)
    there = os.fsencode(studio.folder / "tokyo") + b"/"

    def arrived() -> bool:
        return all(
            os.path.exists(there + name) and Path(os.fsdecode(there + name)).read_bytes() == name for name in names
        )

    studio.until(arrived)


def test_a_full_disk_halts_one_site_and_heals(studio: Studio, tmp_path: Path) -> None:
    with mounted(studio.folder / "lima", 24) as disk:
        agent = joined(studio.up, studio.folder, "lima", SOON)
        try:
            studio.write("paris", "fits.txt", "fits")
            studio.until(studio.reads("fits.txt", "fits", "lima"))
            (studio.path("paris", "huge.bin")).write_bytes(os.urandom(32 << 20))
            studio.until(lambda: studio.path("tokyo", "huge.bin").exists())
            studio.until(lambda: "no space left" in studio.why("/huge.bin", "lima"))
            assert not (disk / "huge.bin").exists()
            studio.path("paris", "huge.bin").write_bytes(b"small by now")
            studio.until(lambda: studio.path("tokyo", "huge.bin").stat().st_size == 12)
            studio.until(lambda: (disk / "huge.bin").exists() and (disk / "huge.bin").stat().st_size == 12)
            assert not [name for name in os.listdir(disk) if name.startswith(".everysite-")]
        finally:
            assert agent.stop() == 0
            studio("site", "remove", "lima")


def test_an_unreadable_file_stops_nobody_and_heals(studio: Studio) -> None:
    secret = studio.write("paris", "locked/secret.txt", "secret")
    secret.chmod(0)
    studio.write("paris", "locked/open.txt", "open")
    studio.until(studio.reads("locked/open.txt", "open"))
    studio.until(lambda: "secret.txt" in str(studio.up.everysite.json("site", "show", "paris")))
    assert studio.up.everysite.json("site", "show", "paris")["element"]["exit_scan"] == 23
    assert not studio.path("tokyo", "locked/secret.txt").exists()
    secret.chmod(0o644)
    studio.until(studio.reads("locked/secret.txt", "secret"))


def test_a_file_that_vanishes(studio: Studio) -> None:
    studio("site", "set", "paris", "enableDiscovery=false")
    studio.write("paris", "gone.txt", "x").unlink()
    done = studio.up.everysite("publish", "/gone.txt", "--origin", "paris", "--wait", "--timeout", "3")
    assert done.returncode == 1
    assert "gone.txt" in done.stderr
    studio("site", "set", "paris", "enableDiscovery=true")
    studio.write("paris", "after-the-bad-one.txt", "x")
    studio.until(studio.reads("after-the-bad-one.txt", "x"))


def test_at_the_end_all_is_clean(studio: Studio) -> None:
    """No stage file anywhere, and a removed folder takes nobody with it."""
    for site in NAMES:
        found = [f for _, _, files in os.walk(studio.folder / site) for f in files if f.startswith(".everysite-")]
        assert not found
    studio.write("paris", "old/one.txt", "one")
    studio.until(studio.reads("old/one.txt", "one"))
    shutil.rmtree(studio.path("paris", "old"))
    studio.until(lambda: "deleted" in studio.why("/old/one.txt", "paris"))
    assert studio.path("tokyo", "old/one.txt").exists()
