"""A second copy of 200,000 files of which 100 changed, nobody knows which."""

from __future__ import annotations

from bench.measure import Setting, Table
from bench.resync import measure


def run(setting: Setting) -> Table:
    """The same walk, and 100 files."""
    return measure(setting, 100, False, "100 changed among {} files")
