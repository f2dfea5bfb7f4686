"""A mapping as its workers see it: the folder, what is held of it, and whose turn it is.

Owns: Ground, what everything that touches one mapping's tree shares.
Must not know: what is done with it.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

from everysite.agent.gate import Gate
from everysite.agent.health import Health
from everysite.agent.holding import Holder
from everysite.agent.journal import Journal
from everysite.agent.link import Line, Options
from everysite.agent.reporting import Reporter
from everysite.index.contract import Index
from everysite.model.site import Mapping


@dataclass(slots=True)
class Ground:
    """`turn` is taken by whoever changes the tree or tells the tracker what it found there, so that neither is taken for
    the other. `stop` ends long disk work."""

    site: str
    mapping: Mapping
    root: bytes
    host: str
    link: Line
    held: Index
    holder: Holder
    health: Health
    journal: Journal
    reporter: Reporter
    options: Options
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    gate: Gate = field(default_factory=Gate)  # of the workers
    stop: threading.Event = field(default_factory=threading.Event)
