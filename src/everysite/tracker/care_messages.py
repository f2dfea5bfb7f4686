"""What the verbs for the care of a tracker take and answer.

Owns: Verdict, Copied. Must not know: how a verb is carried out, where HTTP finds it.
"""

from __future__ import annotations

import msgspec


class Verdict(msgspec.Struct, frozen=True):
    """What is damaged or contradicts itself, one sentence each; none when everything is sound."""

    problems: list[str]


class Copied(msgspec.Struct, frozen=True):
    """A copy of everything that lies in a folder of its own on the tracker's disk. Whoever asked removes that folder."""

    path: str
    folder: str
