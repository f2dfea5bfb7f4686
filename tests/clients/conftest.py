"""A running tracker for clients that block, on a loop and a thread of its own.

Owns: Tracked, `tracked`, fetched(). Must not know: any client.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.api.conftest import Api, running

from everysite.web.options import Options

T = TypeVar("T")


@dataclass(frozen=True)
class Tracked:
    """A tracker one may block beside. `do` carries out something in its loop."""

    api: Api
    url: str
    do: Callable[[Coroutine[Any, Any, Any]], Any]


@contextlib.contextmanager
def serving(home: Path, options: Options | None = None) -> Iterator[Tracked]:
    """Run one until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tracker")
    thread.start()

    def do(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    made = running(home, options)
    try:
        api = do(made.__aenter__())
        base = (options or Options()).base_path
        yield Tracked(api, f"http://127.0.0.1:{api.port}{base}", do)
    finally:
        do(made.__aexit__(None, None, None))
        do(_end_of_tasks())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_of_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracked]:
    """One for all tests of a module: choose identifiers no other test uses."""
    with serving(tmp_path_factory.mktemp("home")) as made:
        yield made


@dataclass(frozen=True)
class Fetched:
    """What a plain GET answered. Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def fetched(url: str, headers: dict[str, str] | None = None) -> Fetched:
    """A GET as any program makes it, whatever the answer."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Fetched(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Fetched(refused.code, {k.lower(): v for k, v in refused.headers.items()}, refused.read())
