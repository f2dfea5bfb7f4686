"""What belongs to a running `everysite up` besides the tracker: its first admin, the key for this user's command line,
and the agent process for the sites of this machine.

Owns: the file run/tracker.json, the tokens behind it, when the local agent is started.
Must not know: HTTP servers, signals, what is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from everysite.cli.children import command
from everysite.cli.private import write_private
from everysite.cli.reach import Place, run_file
from everysite.errors import Conflict

if TYPE_CHECKING:
    from everysite.assemble import Doors
    from everysite.config import Settings
    from everysite.tracker.operation import Caller
    from everysite.tracker.service import Service

ADMIN_PASSWORD = "EVERYSITE_ADMIN_PASSWORD"
ADMIN_USER = "EVERYSITE_ADMIN_USER"

_log = logging.getLogger("everysite.up")
_COMMAND_LINE = "command line of this machine's user"
_LOCAL_AGENT = "agent of this machine's sites"
_LOOK_S = 1.0  # how soon the command line works again after its user's password was changed
_DRAIN = 6.0  # s for the local agent to end; the whole stop has to be over within 10


async def first_admin(service: Service, name: str, password: str) -> tuple[str, str] | None:
    """Make the first admin of a new tracker. (name, password) when the password was generated, else None."""
    from everysite.tracker.access import generated_password

    chosen = password or generated_password()
    made = await service.access.first_admin(name, chosen)
    return (name, chosen) if made and not password else None


class Supervised(Protocol):
    """A process that is kept running."""

    @property
    def pid(self) -> int | None: ...

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None: ...


class Household:
    """Runs while the block is open."""

    def __init__(self, service: Service, settings: Settings, doors: Doors) -> None:
        self._service = service
        self._settings = settings
        self._doors = doors
        self._file = run_file(settings.home)
        self._agent: Supervised | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._token = ""
        where = f" ({service.home})" if service.home else ""  # other homes have theirs in the same database
        self._labels = _COMMAND_LINE + where, _LOCAL_AGENT + where

    async def __aenter__(self) -> Household:
        """The command line of this user works when this returns; the agent follows when there is a site for it."""
        await self._forget_tokens()
        await self._hand_out()
        self._tasks = [asyncio.create_task(self._keep_handed_out()), asyncio.create_task(self._start_agent())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._agent is not None:
            await self._agent.stop(_DRAIN)
        with contextlib.suppress(FileNotFoundError):
            self._file.unlink()
        await self._forget_tokens()

    def kill(self) -> None:
        """End the agent's process at once."""
        if self._agent is not None and self._agent.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._agent.pid, signal.SIGKILL)

    # --- the key of the command line ---

    async def _hand_out(self) -> None:
        """An admin's token for whoever may read our file: who owns the home may do everything anyway."""
        from everysite.tracker.messages import NewToken

        admin = await self._admin()
        issued = await self._service.access.grants.create_token(admin, NewToken(self._labels[0], None, 0))
        self._token = issued.token
        doors = self._doors
        place = Place(doors.local_url, issued.token, doors.local_fingerprint, doors.url, doors.fingerprint)
        await asyncio.to_thread(write_private, self._file, {**asdict(place), "pid": os.getpid()})

    async def _keep_handed_out(self) -> None:
        """A changed password ends all tokens of its user, ours among them."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if await self._service.authenticate(self._token, "") is None:
                await self._hand_out()

    async def _admin(self) -> Caller:
        from everysite.tracker.messages import Nothing
        from everysite.tracker.operation import Caller

        users = (await self._service.access.accounts.users(Caller("support", "admin"), Nothing())).users
        names = [user["username"] for user in users if user.get("class") == "admin" and not user.get("disable")]
        if not names:  # nobody can make this happen through the verbs; a damaged index can
            raise Conflict(f"{self._settings.home}: the tracker has no admin; set {ADMIN_PASSWORD} and start again")
        return Caller(names[0], "admin")

    async def _forget_tokens(self) -> None:
        """Ours of this run, and those of a former one that was killed."""
        from everysite.tracker.messages import Nothing, TokenId

        admin = await self._admin()
        for token in (await self._service.access.grants.tokens(admin, Nothing())).tokens:
            if token.label in self._labels:
                await self._service.access.grants.remove_token(admin, TokenId(token.id))

    # --- the local agent ---

    async def _start_agent(self) -> None:
        """Wait for the first site of this machine, then keep one agent running for all of them."""
        from everysite.assemble import supervised
        from everysite.tracker.agent_messages import Revision
        from everysite.tracker.contract import MY_SITES
        from everysite.tracker.operation import Caller

        tracker = self._service.as_caller(Caller("agent:*", "agent", "*"))
        mine = await tracker.call(MY_SITES, Revision())
        while not mine.sites:
            mine = await tracker.call(MY_SITES, Revision(mine.revision, 3_600_000))
        token = await self._service.access.grants.agent_token("*", self._labels[1])
        words = ["agent", "--local", "--tracker", self._doors.local_url, "--home", str(self._settings.home)]
        if self._doors.local_fingerprint:
            words += ["--fingerprint", self._doors.local_fingerprint]
        self._agent = supervised(command(words), token, _log.warning)
        await self._agent.start()
