"""An import that is killed again and again, and one of a dump that does not fit into memory."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import apsw
from tests.cli import dump_files
from tests.cli.processes import Everysite, environment
from tests.cli.test_import import imported

COUNT = 20_000


def test_an_import_that_is_killed_goes_on(tmp_path: Path, long: bool) -> None:
    """Nothing is there twice or half; what came is not written again."""
    everysite = Everysite(tmp_path)
    documents = [{"_id": f"/f/{n:05}", "origin": "paris", "time": n + 1, "synced_rome": n + 1} for n in range(COUNT)]
    documents += [{"_id": "s", "name": "rome", "url": "ssh://h/d/"}]
    dump = dump_files.write(tmp_path, "bson", documents)
    command = [sys.executable, "-m", "everysite", "import", "damas", str(dump), "--home", str(everysite.home)]
    times = 20 if long else 4
    for at in sorted(random.sample(range(COUNT - 3000), times)):
        with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.DEVNULL) as running:
            until = time.monotonic() + 60
            while elements(everysite.home) <= at:
                assert running.poll() is None
                assert time.monotonic() < until
                time.sleep(random.random() / 100)
            running.send_signal(signal.SIGKILL)
    came = elements(everysite.home) - 1  # the global parameters were made by the first start
    assert 0 < came < COUNT
    told = imported(everysite, str(dump))["import"]
    assert told["there"] == came
    assert (told["verified"], told["sound"]) == (COUNT + 1, True)
    assert everysite("check").returncode == 0


def elements(home: Path) -> int:
    """How many there are, beside a process that writes."""
    file = home / "everysite.db"
    if not file.exists() or not file.stat().st_size:
        return 0
    db = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        db.set_busy_timeout(5000)
        made = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'element'").fetchall()
        return len(db.execute("SELECT id FROM element").fetchall()) if made else 0
    finally:
        db.close()


def test_memory_does_not_grow_with_the_dump(tmp_path: Path) -> None:
    """Four times the dump, in one line, and not half as much memory again."""
    peaks = []
    for name, count in (("small", 1500), ("large", 6000)):
        with (tmp_path / name).open("w") as file:  # two bytes a character, cut anywhere by those who read in pieces
            elements = ({"_id": f"e{n}", "text": "é" * 16_000} for n in range(count))
            file.write("[" + ",".join(json.dumps(each, ensure_ascii=False) for each in elements) + "]")
        # Not getrusage: what it says of a child begins with the size of this process.
        script = (
            "import re, sys\nfrom everysite.cli import main\nassert main(sys.argv[1:]) == 0\n"
            "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
        )
        command = [sys.executable, "-c", script, "import", "damas", name, "--home", name + ".home"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < 1.5 * peaks[0]
