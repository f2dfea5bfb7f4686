"""A child process that is kept running.

Owns: starting, restarting with backoff, and ending one child.
Must not know: what the child does.

Secrets reach the child through `secret` (its standard input, one line), never through its arguments, which every user
of the machine can read.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence

_FIRST = 0.5  # seconds before the first restart, doubled each time
_LONGEST = 30.0
_SETTLED = 60.0  # a child that ran that long starts again from the first wait
_GRACE = 15.0  # an agent drains within 10 s


class Supervisor:
    """Runs `argv` until `stop`; a child that ends by itself is started again."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        log: Callable[[str], None] = lambda line: None,
        secret: str = "",
        first_wait: float = _FIRST,
    ) -> None:
        """`env` replaces the child's environment (None: it inherits ours). `log` gets one line a start, end, restart."""
        self._argv = list(argv)
        self._env = None if env is None else dict(env)
        self._log = log
        self._secret = secret
        self._first_wait = first_wait
        self._stopping = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Of the running child, None while there is none."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def start(self) -> None:
        """Start the child and keep it running. Raises OSError when it cannot be started the first time."""
        await self._spawn()
        self._task = asyncio.create_task(self._watch())

    async def stop(self, grace: float = _GRACE) -> None:
        """SIGTERM, then SIGKILL when the child has not ended after `grace` seconds."""
        self._stopping.set()
        child = self._child
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            try:
                await asyncio.wait_for(child.wait(), grace)
            except TimeoutError:
                self._log(f"process {child.pid} did not end within {grace:g} s and was killed")
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        if self._task is not None:
            await self._task
            self._task = None

    async def _spawn(self) -> None:
        stdin = asyncio.subprocess.PIPE if self._secret else asyncio.subprocess.DEVNULL
        # A session of its own: Ctrl-C reaches the parent alone, which then ends the child in order.
        self._child = await asyncio.create_subprocess_exec(
            *self._argv, stdin=stdin, env=self._env, start_new_session=True
        )
        self.starts += 1
        if self._child.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._child.stdin.write(self._secret.encode() + b"\n")
                await self._child.stdin.drain()
            self._child.stdin.close()

    async def _watch(self) -> None:
        wait = self._first_wait
        while not self._stopping.is_set():
            assert self._child is not None
            began = time.monotonic()
            code = await self._child.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > _SETTLED:
                wait = self._first_wait
            self._log(f"{self._argv[0]} ended with {code}; it is started again in {wait:g} s")
            if await self._stopped_within(wait):
                return
            wait = min(_LONGEST, wait * 2)
            try:
                await self._spawn()
            except OSError as err:
                self._log(f"{self._argv[0]} cannot be started: {err}")

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()
