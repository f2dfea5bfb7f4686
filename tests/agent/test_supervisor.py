"""A supervised child: started again when it dies, ended in order, told secrets where nobody can read them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from tests.agent.waiting import until

from everysite.agent.supervisor import Supervisor

pytestmark = pytest.mark.anyio

_TOLD = "import sys,time,pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.readline()); time.sleep(60)"
_STUBBORN = (
    "import signal,sys,time,pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
)


async def test_a_child_that_dies_is_started_again() -> None:
    lines: list[str] = []
    child = Supervisor([sys.executable, "-c", "import time; time.sleep(60)"], log=lines.append, first_wait=0.01)
    await child.start()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.starts == 2 and child.pid)
    assert child.pid != first
    assert "started again" in lines[0]
    await child.stop()
    assert child.pid is None


async def test_secrets_come_by_standard_input_only(tmp_path: Path) -> None:
    told = tmp_path / "told"
    child = Supervisor([sys.executable, "-c", _TOLD, str(told)], secret="s3cret")
    await child.start()
    await until(lambda: told.exists() and told.read_bytes())
    assert told.read_text() == "s3cret\n"
    assert child.pid is not None
    assert b"s3cret" not in Path(f"/proc/{child.pid}/cmdline").read_bytes()
    await child.stop()


async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    lines: list[str] = []
    child = Supervisor([sys.executable, "-c", _STUBBORN, str(ready)], log=lines.append)
    await child.start()
    await until(ready.exists)
    await child.stop(grace=0.05)
    assert child.pid is None
    assert "was killed" in lines[0]


async def test_stopping_while_it_waits_for_the_restart_starts_nothing() -> None:
    lines: list[str] = []
    child = Supervisor([sys.executable, "-c", "raise SystemExit(3)"], log=lines.append, first_wait=30)
    await child.start()
    await until(lambda: lines)
    await child.stop()
    assert child.starts == 1
    assert "ended with 3" in lines[0]
