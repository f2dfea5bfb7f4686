"""What a tracker believes to be here is compared with the disk."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from everysite.errors import SiteUnreachable
from everysite.model.site import Mapping
from everysite.observe.recall import recall
from everysite.tracker.agent_messages import Announced, Recalled, SeenItem

pytestmark = pytest.mark.anyio


class Tracker:
    """Believes in these keys, two a page."""

    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)
        self.told: list[SeenItem] = []

    async def ask(self, after: int) -> Recalled:
        more = after + 2 < len(self._keys)
        return Recalled(self._keys[after : after + 2], after + 2 if more else 0)

    async def announce(self, items: list[SeenItem], first: bool) -> Announced:
        assert not first
        self.told += items
        return Announced({})


async def told(root: Path, tracker: Tracker, prefix: str = "/") -> list[SeenItem]:
    mapping = Mapping(1, root.as_uri() + "/", prefix)
    await recall(os.fsencode(root), mapping, tracker.ask, tracker.announce, asyncio.Lock())
    return tracker.told


async def test_what_is_not_there_is_told_as_gone(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "package").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    tracker = Tracker("/a", "/b", "/package/", "/gone/", "/link", "/x/y/z", "/a/below")
    assert await told(tmp_path, tracker) == [
        SeenItem("/b"),
        SeenItem("/gone/", package=True),
        SeenItem("/x/y/z"),
        SeenItem("/a/below"),
    ]


async def test_names_are_below_the_prefix(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert await told(tmp_path, Tracker("/shots/a", "/shots/b"), "/shots/") == [SeenItem("/shots/b")]


async def test_all_there_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert await told(tmp_path, Tracker("/a")) == []
    assert await told(tmp_path, Tracker()) == []


async def test_a_folder_that_goes_away_meanwhile_tells_nothing(tmp_path: Path) -> None:
    """The disk is unmounted between the first page and the second one: nothing of it is gone."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("a")
    tracker = Tracker("/a", "/a", "/b")

    async def ask(after: int) -> Recalled:
        if after:
            (root / "a").unlink()
            root.rename(tmp_path / "away")
            root.mkdir()
        return await Tracker.ask(tracker, after)

    mapping = Mapping(1, root.as_uri() + "/", "/")
    with pytest.raises(SiteUnreachable):
        await recall(os.fsencode(root), mapping, ask, tracker.announce, asyncio.Lock())
    assert tracker.told == []
