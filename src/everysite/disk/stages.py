"""Stages: where bytes wait beside their target until they are whole and durable.

Owns: the spelling of stage names. Must not know: who stages what, or when stages are removed.
"""

from __future__ import annotations

import os
import re

from blake3 import blake3

_STAGE = re.compile(rb"\.everysite-[0-9a-f]{16}\.part")


def stage_name(name: bytes, token: bytes) -> bytes:
    """The file name of the stage for `name`, in the folder of `name`.

    The same (name, token) always gives the same stage: a caller that keeps its token can name its leftovers after a
    crash without having written down a single one.
    """
    return b".everysite-" + blake3(token + b"\0" + name).hexdigest(8).encode() + b".part"


def new_token() -> bytes:
    """A token nobody else uses."""
    return os.urandom(16)


def is_stage(leaf: bytes) -> bool:
    """Whether a file name (its last part) is that of a stage."""
    return leaf.startswith(b".everysite-") and _STAGE.fullmatch(leaf) is not None


def stage_of(name: bytes, token: bytes) -> bytes:
    """The stage for `name` as a name below the same root."""
    above, slash, _ = name.rpartition(b"/")
    return above + slash + stage_name(name, token)
