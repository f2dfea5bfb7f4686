"""A Hypothesis state machine that has an index.

Owns: an index for each example, opened and closed, now and then reopened. Must not know: what is tried out on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, TypeVar

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from tests.index.engines import ENGINES

from everysite.index.contract import Transaction

T = TypeVar("T")


class IndexMachine(RuleBasedStateMachine):
    """`run` and `read` without await."""

    engine: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._runner = asyncio.Runner()
        self._open()

    def _open(self) -> None:
        async def opened() -> None:
            self._index = await ENGINES[self.engine](Path(self._folder.name))

        self._runner.run(opened())

    def run(self, unit: Callable[[Transaction], T]) -> T:
        return self._runner.run(self._index.run(unit))

    def read(self, unit: Callable[[Transaction], T]) -> T:
        return self._runner.run(self._index.read(unit))

    @rule()
    def reopen(self) -> None:
        self._runner.run(self._index.close())
        self._open()

    def teardown(self) -> None:
        self._runner.run(self._index.close())
        self._runner.close()
        self._folder.cleanup()


def drive(machine: type[IndexMachine], engine: str, examples: int = 25, steps: int = 25) -> None:
    """Try the machine out on an engine."""
    ours = type(machine.__name__, (machine,), {"engine": engine})
    run_state_machine_as_test(ours, settings=settings(max_examples=examples, stateful_step_count=steps))
